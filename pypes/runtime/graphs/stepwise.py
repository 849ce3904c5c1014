"""Drafts that are built step by step, as the original's editor did: filters are made one by one, and wires drawn between them.

An end of a wire is ``filter.port``: the filter is the id that it was made with, or the name (or ``graph.filter``) of a filter in
the draft. A filter that was made so goes into a draft with its first wire, with its id as uid, and is in the draft of one graph
only.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pypes.access.audit import Cause, Line, line_of
from pypes.access.client import LIMITED
from pypes.errors import Conflict, Forbidden, InvalidInput
from pypes.runtime.contracts.control import OWN_EDIT, Edit
from pypes.runtime.graphs.deployer import Deployer
from pypes.runtime.graphs.document import (
    Document,
    add_filter,
    ends_of,
    names_of,
    nodes_of,
    plain,
    wires_of,
    without_filter,
)
from pypes.runtime.graphs.draft_store import DraftedFilter, GraphDraft
from pypes.runtime.graphs.drafts import GraphDrafts, check_name


class Steps:
    """Changes drafts of graphs by a wire or a filter at a time."""

    def __init__(self, drafts: GraphDrafts, deployer: Deployer) -> None:
        self.drafts = drafts
        self.store = drafts.store
        self._deployer = deployer

    # -- wires ------------------------------------------------------------------------------------------

    def wire(self, name: str, source: str, target: str, edit: Edit = OWN_EDIT) -> dict[str, Any]:
        """Draw a wire in the draft of a graph, which it begins if there is none; returns the draft.

        Raises :class:`NotFound` for a filter, :class:`InvalidInput` for a port that does not exist, :class:`Conflict` for one
        that is in the draft of another graph (``filter.wired``) and if there is no room (``drafts.full``), and, with rights in
        some graphs only, :class:`Forbidden` for all but filters of the graph.
        """
        check_name(name)
        before = self.store.get(name)
        draft = before or self.drafts.begun(name)
        nodes, wires = draft.graph.get("nodes"), draft.graph.get("wires")
        graph = {**draft.graph, "nodes": dict(nodes) if isinstance(nodes, dict) else {}}
        taken: list[str] = []
        wire = [
            self._end(name, graph, source, "outputs", edit.rights, taken),
            self._end(name, graph, target, "inputs", edit.rights, taken),
        ]
        if before is None or wire not in wires_of(graph):
            graph["wires"] = [*(wires if isinstance(wires, list) else ()), wire]
            self.drafts.put(replace(draft, graph=graph), edit, [_line(edit.cause, "wire.draw", name, source, target)], taken)
        return self.drafts.get(name, edit.rights)

    def unwire(self, name: str, source: str, target: str, edit: Edit = OWN_EDIT) -> dict[str, Any]:
        """Take a wire out of the draft; returns the draft, which is gone if it is as what it began from.

        Filters that were made one by one, and have no wire left, are in no graph any more.
        """
        draft = self.drafts.draft(name)
        names, nodes = names_of(draft.graph), nodes_of(draft.graph)
        ends = (_split(name, end) for end in (source, target))
        wire = [f"{id if id in nodes else names.get(id, id)}.{port}" for id, port in ends]
        if wire not in wires_of(draft.graph):
            return self.drafts.shown(draft, edit.rights)
        graph = {**draft.graph, "wires": [each for each in draft.graph["wires"] if each != wire]}
        wired = {filter for each in wires_of(graph) for filter in ends_of(each)}
        freed = [_filter(draft, id) for id in draft.filters if names[id] not in wired]
        for filter in freed:
            graph = without_filter(graph, names[filter.id])
        return self.drafts.settle(draft, graph, edit, [_line(edit.cause, "wire.delete", name, source, target)], freed)

    def _end(self, name: str, graph: Document, end: str, side: str, rights: str, taken: list[str]) -> str:
        """Check an end of a wire, and say it by the name in the graph; its filter is put in if it is in no graph yet."""
        id, port = _split(name, end)
        filter = id if id in nodes_of(graph) else names_of(graph).get(id)
        if filter is None:
            found = self._free(name, id, end, rights)
            filter = add_filter(graph, id, found.component, found.params)
            taken.append(id)
        component = nodes_of(graph)[filter]["component"]
        assert self._deployer.catalogue is not None
        spec = self._deployer.described(component) or self._deployer.catalogue.used(component, end)
        if port not in getattr(spec, side) and not (side == "outputs" and port == "error"):
            known = ", ".join(getattr(spec, side)) or "none"
            raise InvalidInput(
                f"{component} has no port {port!r} among its {side}: {known}", code="graph.unknown_port", where=end
            )
        return f"{filter}.{port}"

    def _free(self, name: str, id: str, end: str, rights: str) -> DraftedFilter:
        """A filter that is in no graph yet."""
        if rights == LIMITED:
            raise Forbidden(
                f"graph {name!r} has no filter {id!r}, and drafts of filters are only for tokens that are for all graphs",
                code="graph.forbidden",
                where=end,
            )
        if (other := self.store.holding(id)) is not None:
            raise Conflict(
                f"filter {id!r} is in the draft of graph {other.name!r} already; configure another one (POST /filters)",
                code="filter.wired",
                where=end,
            )
        return self.store.filter(id)

    # -- filters ----------------------------------------------------------------------------------------

    def filters(self) -> list[tuple[str, DraftedFilter]]:
        """The filters that were made one by one and are in a draft by now, with the names of its graph."""
        return [(draft.name, _filter(draft, id)) for draft in self.store.held() for id in draft.filters]

    def find(self, id: str) -> tuple[str, DraftedFilter] | None:
        """One of :meth:`filters`."""
        draft = self.store.holding(id)
        return None if draft is None else (draft.name, _filter(draft, id))

    def change_filter(self, name: str, filter: DraftedFilter, edit: Edit) -> None:
        """Give one of :meth:`filters` other parameters, in the draft of a graph."""
        draft = self.drafts.draft(name)
        if filter != _filter(draft, filter.id):
            named, nodes = names_of(draft.graph)[filter.id], draft.graph["nodes"]
            graph = {**draft.graph, "nodes": {**nodes, named: {**nodes[named], "params": filter.params}}}
            line = line_of(edit.cause, "filter.change", graph=name, object=filter.id, detail={"component": filter.component})
            self.drafts.put(replace(draft, graph=graph), edit, [line])

    def delete_filter(self, name: str, id: str, edit: Edit) -> None:
        """Take one of :meth:`filters` out of the draft of a graph, with its wires."""
        draft = self.drafts.draft(name)
        graph = without_filter(draft.graph, names_of(draft.graph)[id])
        self.drafts.settle(draft, graph, edit, [line_of(edit.cause, "filter.delete", graph=name, object=id)])


def _split(name: str, end: str) -> tuple[str, str]:
    """The filter and the port of an end of a wire."""
    if end.count(".") not in (1, 2):
        raise InvalidInput('an end of a wire is "filter.port"', code="graph.form", where=end)
    id, _, port = _within(name, end).rpartition(".")
    return id, port


def _within(name: str, end: str) -> str:
    """An end of a wire without the name of the graph."""
    return end.removeprefix(f"{name}.") if end.count(".") == 2 else end


def _line(cause: Cause, operation: str, name: str, source: str, target: str) -> Line:
    return line_of(cause, operation, graph=name, object=f"{_within(name, source)} > {_within(name, target)}")


def _filter(draft: GraphDraft, id: str) -> DraftedFilter:
    """A filter in a draft as it was when it was in none."""
    node = plain(nodes_of(draft.graph)[names_of(draft.graph)[id]])
    return DraftedFilter(id, node["component"], node["params"])
