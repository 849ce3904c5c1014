"""The deployed graphs: their versions, and how they are shown. ``deployer`` changes them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from pypes.config import Settings
from pypes.core.graph_limits import GraphLimits
from pypes.core.secrets import variables_in
from pypes.errors import Conflict, NotFound
from pypes.graph import codec
from pypes.graph.schedule import sources
from pypes.graph.spec import ComponentSpec
from pypes.ingest.dispatch.topology import Topology
from pypes.registry import Code, codes_of, differences, digest_of
from pypes.runtime.generations.generation import SetupFailure
from pypes.runtime.generations.generations import Generations
from pypes.runtime.graphs.check import NO_FLEET, gone, scrub
from pypes.runtime.graphs.checking import CheckedGraphs
from pypes.runtime.graphs.store import ControlStore, StoredGraph
from pypes.runtime.graphs.times import times_of
from pypes.runtime.pools.node_pools import NodePools


class DeployedGraphs(CheckedGraphs):
    """The graphs of this node, as they are shown."""

    def __init__(self, store: ControlStore, generations: Generations, pools: NodePools, settings: Settings) -> None:
        super().__init__(store, settings)
        #: Those that are deployed, but could not be set up when the node started.
        self.failed: dict[str, SetupFailure] = {}
        #: Graphs whose deliveries are accepted and kept, and not run.
        self.paused: set[str] = store.paused()
        #: Graphs that take no more, and go when what they have is done.
        self.closing: set[str] = set()
        self._generations = generations
        self._pools = pools

    def topology(self) -> Topology:
        """The topology for ingest workers. Deliveries for a graph that could not be set up are accepted and wait."""
        graphs = {name: graph.version for name, graph in self.live.items() if name not in self.failed}
        ready = self._generations.ready()
        return Topology(
            generation=self._generations.number,
            instances={i.spec.id: i.spec.socket for i in ready},
            graphs=graphs,
            failed=self.reasons(),
            stalled=self.stalled(),
            routes={route: name for name, graph in self.live.items() for route in graph.graph.get("routes", ())},
            default=self.default(),
            ordered=frozenset(name for name, graph in self.live.items() if graph.graph.get("order_by")),
            retiring={i.spec.id: i.spec.socket for i in self._generations.retiring()},
            paused=frozenset(self.paused & self.live.keys()),
            closing=frozenset(self.closing),
            runs={i.spec.id: runs for i in ready if not (runs := frozenset(i.hosts)) >= graphs.keys()},
            weights={name: weight for name, graph in self.live.items() if (weight := graph.graph.get("weight", 1)) != 1},
            limits={name: GraphLimits(**limits) for name, graph in self.live.items() if (limits := graph.graph.get("limits"))},
            sources=self._sources(),
            fleet=frozenset(name for name, graph in self.live.items() if graph.graph.get("firing") == "fleet"),
            strict_routes=self.settings.server.strict_routes,
            variables=frozenset().union(*(variables_in(graph.graph["nodes"]) for graph in self.live.values())),
        )

    def _sources(self) -> dict[str, list[str]]:
        if self.catalogue is None:
            return {}
        catalogue = self.catalogue
        found = {n: sources(codec.from_obj(g.graph, is_expanded=True), catalogue) for n, g in self.live.items()}
        return {name: nodes for name, nodes in found.items() if nodes}

    def default(self) -> str | None:
        """The graph for documents without a route, or with one that no graph names; ``None`` if there is none."""
        if self.settings.server.default:
            return self.settings.server.default if self.settings.server.default in self.live else None
        # one that only fetches would make each document a dead letter
        live = {name: graph for name, graph in self.live.items() if self._takes_documents(graph)} or self.live
        names = list(live) if len(live) == 1 else [n for n, g in live.items() if not g.graph.get("routes")]
        return names[0] if len(names) == 1 else None

    def _takes_documents(self, graph: StoredGraph) -> bool:
        """True if a graph has an adapter that no wire leads to, or what may be one as it is not known."""
        if self.catalogue is None:
            return True
        read = codec.from_obj(graph.graph, is_expanded=True)
        fed = {wire.target for wire in read.wires}
        found = [self.catalogue.get(node.component) for name, node in read.nodes.items() if name not in fed]
        return any(spec is None or spec.error or (spec.kind == "ADAPTER" and not spec.fetches) for spec in found)

    def summaries(self) -> list[dict[str, Any]]:
        """All deployed graphs: ``{name, version, state, description, filters, routes}`` each, ``filters`` being its nodes' names.

        One that cannot run has ``error``, too; one in which filters wait for a service has ``resting``, one with filters that
        count has ``counts``, and one that publishes to what can be searched has ``indexes``.
        """
        return [
            {
                "name": g.name,
                "version": g.version,
                "state": self._state(g.name),
                "description": g.graph.get("description", ""),
                "filters": sorted(g.graph["nodes"]),
                "routes": list(g.graph.get("routes", ())),
                **({"indexes": sorted(indexes)} if (indexes := self._indexes(g)) else {}),
                **self._told(g),
            }
            for _, g in sorted(self.live.items())
        ]

    def get(self, name: str) -> dict[str, Any]:
        """One deployed graph: ``{name, version, state, graph}``, and ``error`` if it cannot run.

        ``code`` is the digest of what it has imported. With composites in it, it has ``composites`` (:meth:`composites_of`), and
        ``expanded``, the graph as it runs.
        """
        graph = self._graph(name)
        shown = {"name": name, "version": graph.version, "state": self._state(name), "graph": graph.source}
        if graph.code:
            shown["code"] = digest_of(graph.code)
        shown |= self.composites_of(graph)
        return {**shown, **self._told(graph)}

    def composites_of(self, graph: StoredGraph) -> dict[str, Any]:
        """``expanded`` and ``composites`` of a version that has some: ``{name, version, digest, newest}`` each.

        ``newest`` is the version that a deployment would take now, unless the graph names one; 0 if there is none any more.
        """
        if graph.written is None:
            return {}
        newest = self.library.newest
        composites = [
            {**use._asdict(), "newest": newest[use.name].version if use.name in newest else 0} for use in graph.composites
        ]
        return {"expanded": graph.graph, "composites": composites}

    def searched(self, name: str, filter: str | None) -> dict[str, Any]:
        """The publisher of a graph that a search asks: ``{filter, component, params}``.

        ``filter`` names one if there are several that can be searched. Raises :class:`NotFound`, :class:`Conflict`.
        """
        found = self._indexes(self._graph(name))
        names = ", ".join(found)
        if filter is not None and filter not in found:
            told = f"; those that can be are {names}" if names else ""
            raise NotFound(f"graph {name!r} has no publisher {filter!r} that can be searched{told}", code="search.no_index")
        if not found:
            raise NotFound(
                f"graph {name!r} publishes to nothing that can be searched; name another one with graph=",
                code="search.no_index",
                where=name,
            )
        if filter is None and len(found) > 1:
            raise Conflict(
                f"graph {name!r} has several publishers that can be searched; name one with index=: {names}",
                code="search.several",
                where=name,
            )
        chosen = filter if filter is not None else next(iter(found))
        params = self._graph(name).graph["nodes"][chosen].get("params") or {}
        return {"filter": chosen, "component": found[chosen].to_obj(), "params": params}

    def _indexes(self, graph: StoredGraph) -> dict[str, ComponentSpec]:
        """The publishers of a graph that can be searched, by filter."""
        specs = ((name, (self.catalogue or {}).get(node["component"])) for name, node in graph.graph["nodes"].items())
        return {name: spec for name, spec in specs if spec is not None and spec.searches}

    def times(self, name: str) -> dict[str, Any]:
        """The time that packets take at the filters of a graph, in the instances that run it; raises :class:`NotFound`."""
        paths = [i.spec.times for i in self._generations.ready() if name in i.hosts]
        return times_of(name, self._graph(name).graph["nodes"], paths)

    def _told(self, graph: StoredGraph) -> dict[str, Any]:
        """``error`` of a graph that cannot run, and the filter that is the reason, ``error_filter``, as far as it is one.

        ``resting`` and ``counts`` as its instances have told them, and ``former`` versions with documents, if there are any.
        """
        error, filter = self._error(graph.name)
        resting = self._generations.resting(graph.name)
        filters = self._generations.counts(graph.name).items()
        counts = {name: totals for name, totals in filters if name in graph.graph["nodes"]}
        former = self._generations.former(graph.name, graph.version)
        found = {"error": error, "error_filter": filter, "resting": resting, "former": former, "counts": counts}
        return {name: value for name, value in found.items() if value}

    def _error(self, name: str) -> tuple[str, str]:
        if name in self.failed:
            failure = self.failed[name]
            return scrub(str(failure.error()), [self.live[name].graph]), failure.filter
        return self._stalled(name)

    def reasons(self) -> dict[str, str]:
        """The reasons why graphs could not be set up, by name."""
        return {name: scrub(failure.message, [self.live[name].graph]) for name, failure in self.failed.items()}

    def scrubbed(self, failure: SetupFailure, *more: StoredGraph) -> str:
        """A failure's message without the secrets of the deployed graphs and ``more``."""
        return scrub(failure.message, [graph.graph for graph in (*self.live.values(), *more)])

    def stalled(self) -> dict[str, str]:
        """The reasons why graphs that were set up cannot run now, by name: a pool of theirs has lost all of its processes."""
        return {name: reason for name in self.live if name not in self.failed and (reason := self._stalled(name)[0])}

    def _stalled(self, name: str) -> tuple[str, str]:
        """The reason why a pool of a graph cannot work, and the filter that works in it; both empty if all can."""
        generation = self._generations.hosting(name)
        uses = {} if generation is None else generation.template.pools.get(name, {})
        reasons = ((reason, filter) for filter, use in uses.items() if (reason := self._pools.stalled(use.pool)))
        reason, filter = next(reasons, ("", ""))
        return scrub(reason, [self.live[name].graph]), filter

    def _state(self, name: str) -> str:
        if name in self.failed:
            return "failed"
        if name in self.closing:
            return "closing"
        if name in self.paused:
            return "paused"
        if not self._generations.live:
            return "starting"
        return "stalled" if self._stalled(name)[0] else "live"

    def components_of(self, *graphs: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """The descriptions of the components that graphs use, as JSON values, by name."""
        assert self.catalogue is not None
        used = {node["component"] for graph in graphs for node in graph["nodes"].values()}
        return {name: self.catalogue[name].to_obj() for name in sorted(used)}

    def code_of(self, graph: Mapping[str, Any], known: dict[tuple[str, str], Code] | None = None) -> tuple[Code, ...]:
        """The code with which the components of a graph would run now; see :func:`pypes.registry.codes_of`."""
        used = {node["component"] for node in graph["nodes"].values()}
        return codes_of([spec for name in used if (spec := (self.catalogue or {}).get(name)) is not None], known)

    def note_code(self, store: ControlStore, names: Collection[str]) -> None:
        """Remember what these graphs, which have just been started, have imported. Raises :class:`StoreError`."""
        known: dict[tuple[str, str], Code] = {}
        for name, graph in self.live.items():
            if name in names and name not in self.failed and (code := self.code_of(graph.graph, known)) != graph.code:
                self.live[name] = replace(graph, code=code)
                store.record_code(name, graph.version, code)

    def other_code(self, stored: StoredGraph, known: dict[tuple[str, str], Code] | None = None) -> dict[str, list[str]]:
        """``other_code``: the changes of code since a version ran, a sentence each; nothing if none are known."""
        found = differences(stored.code, self.code_of(stored.graph, known)) if stored.code else []
        return {"other_code": found} if found else {}

    def missing(self, graph: StoredGraph) -> SetupFailure | None:
        """A stored graph was valid once; what it needs may be gone since."""
        assert self.catalogue is not None
        for filter, node in graph.graph["nodes"].items():
            spec = self.catalogue.get(node["component"])
            if spec is None:
                reason = f"component {node['component']!r} is not installed any more{gone(graph.code, self.catalogue)}"
                return SetupFailure(graph.name, filter, "; ".join([reason, *self.catalogue.unread]))
            if spec.error:
                return SetupFailure(graph.name, filter, f"component {node['component']!r} cannot be used: {spec.error}")
        if graph.graph.get("firing") == "fleet" and self.settings.server.fleet is None:
            return SetupFailure(graph.name, "", NO_FLEET)
        return None
