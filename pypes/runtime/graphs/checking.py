"""Checking: which graphs may be deployed on this node, as they are and by whom."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from pypes.access.client import ALL, LIMITED
from pypes.config import Settings
from pypes.core.paths import Paths
from pypes.errors import Forbidden, InvalidGraph, NotFound, Problem
from pypes.graph import codec
from pypes.graph.beside import route_problems
from pypes.graph.composite_spec import spec_of
from pypes.graph.expansion import Expanded, Use, expand_graph, named
from pypes.graph.model import Graph
from pypes.graph.privileges import Nodes, newly_privileged, outboxes_in
from pypes.graph.spec import ComponentSpec
from pypes.outbox.file import OUTBOXES
from pypes.registry import Catalogue
from pypes.runtime.folders import paths_of
from pypes.runtime.graphs.check import check, check_size
from pypes.runtime.graphs.composite_library import CompositeLibrary
from pypes.runtime.graphs.reached import Part, part_of
from pypes.runtime.graphs.store import ControlStore, StoredGraph


class Checked(NamedTuple):
    """A graph that may be deployed, in canonical form: as it was ``written``, and expanded, as it runs.

    ``composites`` are those in it; without any, both are the same.
    """

    written: dict[str, Any]
    graph: dict[str, Any]
    composites: tuple[Use, ...]

    def is_of(self, stored: StoredGraph) -> bool:
        """True if it is what a version has."""
        return self.graph == stored.graph and self.written == stored.source and self.composites == stored.composites

    def stored(self, name: str, version: int, created: float, author: str, note: str = "") -> StoredGraph:
        """It as a version."""
        written = None if self.written == self.graph else self.written
        return StoredGraph(name, version, self.graph, created, author, note, written=written, composites=self.composites)


class CheckedGraphs:
    """The deployed graphs, and what may be in their place. ``catalogue`` is ``None`` until components were discovered."""

    def __init__(self, store: ControlStore, settings: Settings) -> None:
        self.settings = settings
        self.catalogue: Catalogue | None = None
        #: Deployed graphs by name.
        self.live: dict[str, StoredGraph] = store.live()
        #: The composites that graphs may use.
        self.library = CompositeLibrary(store.composites)

    def running(self, name: str) -> dict[str, Any]:
        """A deployed graph as it runs; raises :class:`NotFound`."""
        return self._graph(name).graph

    def _graph(self, name: str) -> StoredGraph:
        graph = self.live.get(name)
        if graph is None:
            raise NotFound(f"there is no graph {name!r}; GET /graphs lists them", code="graph.not_found", where=name)
        return graph

    @property
    def paths(self) -> Paths:
        """The places to which parameters that are paths may lead on this node."""
        return paths_of(self.settings)

    def outboxes(self) -> dict[str, list[str]]:
        """Outboxes by name, and the graphs that publish to each. Of a name with ``${NAME}`` nobody knows which outbox that is."""
        found: dict[str, list[str]] = {}
        for graph in sorted(self.live):
            for outbox in outboxes_in(self.live[graph].graph["nodes"], self.catalogue or {}):
                found.setdefault(outbox, []).append(graph)
        return found

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
        if found := newly_privileged(self.placed(old), self.placed(new), self.catalogue, os.environ):
            told = ", ".join(f"{name} ({'; '.join(reasons)})" for name, reasons in found.items())
            raise Forbidden(
                f"{told}: filters that run programs, may reach files or sockets of the server, or have the node's own token "
                "are placed and changed with a token that has the scope admin",
                code="component.privileged",
                where=f"{prefix}{next(iter(found))}",
            )

    def described(self, component: str) -> ComponentSpec | None:
        """The description of a component, or of a composite, by the name that filters have for it; ``None`` if there is none."""
        catalogue: Mapping[str, ComponentSpec] = self.catalogue or {}
        found = catalogue.get(component)
        if found is not None:
            return found
        composite = self.library.find(*named(component))
        return None if composite is None else spec_of(composite, self.library, catalogue)

    def placed(self, nodes: Nodes) -> dict[str, Mapping[str, Any]]:
        """The filters of a graph that need not be valid, and those that are placed by its composites, as far as they can be."""
        found: dict[str, Mapping[str, Any]] = {}
        for name, node in nodes.items():
            found[name] = node
            if node["component"] in (self.catalogue or ()):
                continue
            with suppress(InvalidGraph):
                whole = codec.from_obj({"pypes": codec.FORM, "name": "placed", "nodes": {name: dict(node)}})
                found |= codec.to_obj(self.expanded(whole).graph)["nodes"]
        return found

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

    def checked(self, name: str, obj: Any, rights: str = ALL) -> Checked:
        """The graph in canonical form; raises :class:`InvalidGraph` with everything that is wrong with it.

        Raises :class:`Forbidden` for what may not be deployed with these ``rights`` (:class:`pypes.access.client.Client`).
        """
        if rights == LIMITED and isinstance(obj, dict):
            self._permit_routes(name, obj)
        written, expanded = self.read(name, obj, rights)
        canonical: dict[str, Any] = codec.to_obj(written)
        graph = canonical if expanded.graph is written else codec.to_obj(expanded.graph)
        if rights != ALL:
            self._permit(name, graph, rights)
        return Checked(canonical, graph, expanded.uses)

    def checked_again(self, name: str, stored: StoredGraph, rights: str = ALL) -> Checked:
        """A version as it is to be deployed once more, with the composites that it had; raises as :meth:`checked`."""
        if stored.written is None:
            return self.checked(name, stored.graph, rights)
        if rights == LIMITED:
            self._permit_routes(name, stored.graph)
        self._check(name, Expanded(codec.from_obj(stored.graph, is_expanded=True)), rights)
        if rights != ALL:
            self._permit(name, stored.graph, rights)
        return Checked(stored.written, stored.graph, stored.composites)

    def read(self, name: str, obj: Any, rights: str = ALL) -> tuple[Graph, Expanded]:
        """The graph that could be deployed as it is, as it was written and expanded; raises :class:`InvalidGraph` as
        :meth:`checked`.

        It need not be deployed: ``rights`` say what is told of other graphs.
        """
        graph = self._read(name, obj)
        expanded = self.expanded(graph)
        self._check(name, expanded, rights)
        return graph, expanded

    def _check(self, name: str, expanded: Expanded, rights: str) -> None:
        """Raise :class:`InvalidGraph` with all problems of a graph, at their places in it as it is written."""
        graph = expanded.graph
        problems = [expanded.retold(problem) for problem in self.problems(graph)]
        assert self.catalogue is not None
        if any(problem.code == "graph.unknown_component" for problem in problems):
            problems += [Problem("nodes", reason, "component.broken") for reason in self.catalogue.unread]
        others = [(n, live.graph.get("routes", ())) for n, live in self.live.items() if n != name]
        # who is for some graphs is not told the names of others
        called = {n: "another graph" if rights == LIMITED else f"graph {n!r}" for n, _ in others}
        problems += route_problems(graph.routes, {route: called[n] for n, routes in others for route in routes})
        if problems:
            raise InvalidGraph("the graph is not valid", where=name, problems=problems)

    def expansion(self, name: str, obj: Any = None) -> Expanded:
        """A graph expanded, by default the deployed one of this name; it need not be valid otherwise.

        Raises :class:`InvalidGraph`; :class:`NotFound` where there is none.
        """
        if obj is not None:
            return self.expanded(self._read(name, obj))
        return Expanded(codec.from_obj(self.running(name), is_expanded=True))

    def tried(self, name: str, expanded: Expanded, at: str = "", rights: str = ALL) -> tuple[Part, dict[str, Any]]:
        """The part of a graph that documents reach, from the adapters or from a filter, and that part in canonical form.

        It need not be whole: what is not reached does not matter. Raises as :meth:`checked`.
        """
        assert self.catalogue is not None
        part = part_of(expanded.graph, self.catalogue, at)
        if problems := part.problems(self.problems, enters=not at):
            problems = [expanded.retold(problem) for problem in problems]
            raise InvalidGraph("the graph is not valid", where=name, problems=problems)
        canonical: dict[str, Any] = codec.to_obj(part.graph)
        if rights != ALL:
            reached = {n: node for n, node in canonical["nodes"].items() if n not in part.absent}
            self._permit(name, {**canonical, "nodes": reached}, rights)
        return part, canonical

    def expanded(self, graph: Graph) -> Expanded:
        """A graph with its composites put in, in their newest versions; raises :class:`InvalidGraph`."""
        return expand_graph(graph, self.library, self.catalogue or {})

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
        return codec.from_obj({"pypes": codec.FORM, **obj, "name": name})

    def problems(self, graph: Graph) -> list[Problem]:
        """Everything that is wrong with a graph without composites, by itself."""
        assert self.catalogue is not None
        has_fleet = self.settings.server.fleet is not None
        return check(graph, self.catalogue, os.environ, has_fleet=has_fleet, paths=self.paths, pools=self.settings.pool_rules)
