"""The deployed graphs: their versions, and how they are shown. ``deployer`` changes them."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from pypes.access.client import ALL, LIMITED
from pypes.config import Settings
from pypes.core.graph_limits import GraphLimits
from pypes.core.paths import Paths
from pypes.core.secrets import variables_in
from pypes.errors import Conflict, Forbidden, InvalidGraph, NotFound, Problem
from pypes.graph import codec
from pypes.graph.beside import route_problems
from pypes.graph.model import Graph
from pypes.graph.privileges import Nodes, newly_privileged, outboxes_in
from pypes.graph.schedule import sources
from pypes.graph.spec import ComponentSpec
from pypes.ingest.dispatch.topology import Topology
from pypes.outbox.file import OUTBOXES
from pypes.registry import Catalogue, Code, codes_of, differences, digest_of
from pypes.runtime.folders import paths_of
from pypes.runtime.generations.generation import SetupFailure
from pypes.runtime.generations.generations import Generations
from pypes.runtime.graphs.check import NO_FLEET, check, check_size, gone, scrub
from pypes.runtime.graphs.reached import Part, part_of
from pypes.runtime.graphs.store import ControlStore, StoredGraph
from pypes.runtime.graphs.times import times_of
from pypes.runtime.pools.node_pools import NodePools


class DeployedGraphs:
    """The graphs of this node. ``catalogue`` is ``None`` until components were discovered."""

    def __init__(self, store: ControlStore, generations: Generations, pools: NodePools, settings: Settings) -> None:
        self.settings = settings
        self.catalogue: Catalogue | None = None
        #: Deployed graphs by name; those in ``failed`` are deployed but could not be set up when the node started.
        self.live: dict[str, StoredGraph] = store.live()
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
        found = {name: sources(codec.from_obj(graph.graph), self.catalogue) for name, graph in self.live.items()}
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
        read = codec.from_obj(graph.graph)
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

        ``code`` is the digest of what it has imported.
        """
        graph = self._graph(name)
        shown = {"name": name, "version": graph.version, "state": self._state(name), "graph": graph.graph}
        if graph.code:
            shown["code"] = digest_of(graph.code)
        return {**shown, **self._told(graph)}

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

    def outboxes(self) -> dict[str, list[str]]:
        """Outboxes by name, and the graphs that publish to each. Of a name with ``${NAME}`` nobody knows which outbox that is."""
        found: dict[str, list[str]] = {}
        for graph in sorted(self.live):
            for outbox in outboxes_in(self.live[graph].graph["nodes"], self.catalogue or {}):
                found.setdefault(outbox, []).append(graph)
        return found

    def _graph(self, name: str) -> StoredGraph:
        graph = self.live.get(name)
        if graph is None:
            raise NotFound(f"there is no graph {name!r}; GET /graphs lists them", code="graph.not_found", where=name)
        return graph

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

    @property
    def paths(self) -> Paths:
        """The places to which parameters that are paths may lead on this node."""
        return paths_of(self.settings)

    # -- what may be ------------------------------------------------------------------------------------

    def _permit(self, name: str, graph: dict[str, Any], rights: str) -> None:
        """Raise :class:`Forbidden` for a graph with filters that may not be placed with these ``rights``.

        Those that are in the live version, just as they are in the graph, stay.
        """
        self.permit_filters(self.live[name].graph["nodes"] if name in self.live else {}, graph["nodes"], f"{name}.")
        if rights == LIMITED and (shared := self._shared_outboxes(name, graph)):
            raise Forbidden(
                f"the outbox {shared[0]!r} may have results of other graphs; name another one, or have it placed with a token "
                "that is for all graphs",
                code="outbox.shared",
                where=name,
            )

    def permit_filters(self, old: Nodes, new: Nodes, prefix: str = "") -> None:
        """Raise :class:`Forbidden` for filters among ``new`` ones that only the scope admin may place.

        Those that are just so among the ``old`` ones stay. ``prefix`` stands before a name in ``where``.
        """
        assert self.catalogue is not None
        if found := newly_privileged(old, new, self.catalogue, os.environ):
            told = ", ".join(f"{name} ({'; '.join(reasons)})" for name, reasons in found.items())
            raise Forbidden(
                f"{told}: filters that run programs, may reach files or sockets of the server, or have the node's own token "
                "are placed and changed with a token that has the scope admin",
                code="component.privileged",
                where=f"{prefix}{next(iter(found))}",
            )

    def _permit_routes(self, name: str, obj: dict[str, Any]) -> None:
        """Raise :class:`Forbidden` if a graph, as it was sent, would get documents that go to other graphs now.

        Asked first: what else is wrong with its routes tells of other graphs.
        """
        given = obj.get("routes")
        routes = {route for route in given if isinstance(route, str)} if isinstance(given, list) else set()
        live = list(self.live[name].graph.get("routes", ())) if name in self.live else [name]
        if routes - {*live, name}:
            reason = f"may give a graph no other routes than it has, and its name: {name}"
        elif live and not routes:
            reason = (
                f'names the routes of a graph, which would get what no other has a route for: send "routes": {json.dumps(live)}'
            )
        elif routes and not live:
            reason = f"leaves a graph without routes as it is: send no routes for {name}"
        else:
            return
        raise Forbidden(f"a token for some graphs only {reason}", code="graph.route_forbidden", where=name)

    def _shared_outboxes(self, name: str, graph: dict[str, Any]) -> list[str]:
        """Outboxes that a version of a graph would be the first to publish to, while there is something of others in them."""
        own = outboxes_in(self.live[name].graph["nodes"], self.catalogue or {}) if name in self.live else set()
        wanted = outboxes_in(graph["nodes"], self.catalogue or {}) - own
        others = {outbox for outbox, graphs in self.outboxes().items() if {*graphs} != {name}}
        folder = self.settings.server.data / OUTBOXES
        return sorted(outbox for outbox in wanted if "$" in outbox or outbox in others or (folder / f"{outbox}.db").exists())

    def checked(self, name: str, obj: Any, rights: str = ALL) -> dict[str, Any]:
        """The graph in canonical form; raises :class:`InvalidGraph` with everything that is wrong with it.

        Raises :class:`Forbidden` for what may not be deployed with these ``rights`` (:class:`pypes.access.client.Client`).
        """
        if rights == LIMITED and isinstance(obj, dict):
            self._permit_routes(name, obj)
        canonical: dict[str, Any] = codec.to_obj(self.read(name, obj, rights))
        if rights != ALL:
            self._permit(name, canonical, rights)
        return canonical

    def read(self, name: str, obj: Any, rights: str = ALL) -> Graph:
        """The graph that could be deployed as it is; raises :class:`InvalidGraph` as :meth:`checked`.

        It need not be deployed: ``rights`` say what is told of other graphs.
        """
        graph = self._read(name, obj)
        problems = self._problems(graph)
        assert self.catalogue is not None
        if any(problem.code == "graph.unknown_component" for problem in problems):
            problems += [Problem("nodes", reason, "component.broken") for reason in self.catalogue.unread]
        others = [(n, live.graph.get("routes", ())) for n, live in self.live.items() if n != name]
        # who is for some graphs is not told the names of others
        called = {n: "another graph" if rights == LIMITED else f"graph {n!r}" for n, _ in others}
        problems += route_problems(graph.routes, {route: called[n] for n, routes in others for route in routes})
        if problems:
            raise InvalidGraph("the graph is not valid", where=name, problems=problems)
        return graph

    def tried(self, name: str, obj: Any, at: str = "", rights: str = ALL) -> tuple[Part, dict[str, Any]]:
        """The part of a graph that documents reach, from the adapters or from a filter, and that part in canonical form.

        It need not be whole: what is not reached does not matter. Raises as :meth:`checked`.
        """
        assert self.catalogue is not None
        part = part_of(self._read(name, obj), self.catalogue, at)
        if problems := part.problems(self._problems, enters=not at):
            raise InvalidGraph("the graph is not valid", where=name, problems=problems)
        canonical: dict[str, Any] = codec.to_obj(part.graph)
        if rights != ALL:
            reached = {n: node for n, node in canonical["nodes"].items() if n not in part.absent}
            self._permit(name, {**canonical, "nodes": reached}, rights)
        return part, canonical

    def _read(self, name: str, obj: Any) -> Graph:
        """A graph that is to be called ``name``; raises :class:`InvalidGraph` for what is no graph by its form, or too large."""
        if not isinstance(obj, dict):
            raise InvalidGraph("a graph is a JSON object", where=name)
        if obj.get("name", name) != name:
            problem = Problem(
                "name",
                f"is {json.dumps(obj['name'], ensure_ascii=False)}, but the graph is deployed as {name!r}; make them the same",
                "graph.name",
            )
            raise InvalidGraph("the graph is not valid", where=name, problems=[problem])
        check_size(name, obj)
        return codec.from_obj({"pypes": 1, **obj, "name": name})

    def _problems(self, graph: Graph) -> list[Problem]:
        assert self.catalogue is not None
        has_fleet = self.settings.server.fleet is not None
        return check(graph, self.catalogue, os.environ, has_fleet=has_fleet, paths=self.paths, pools=self.settings.pool_rules)

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
