"""Filters as the REST interface names them: drafts, which are in no deployed graph, and the nodes of deployed graphs.

The id of a draft is a UUIDv7; a filter of a deployed graph has the id ``graph.filter``, and changing it deploys a new version of
the graph.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import msgspec

from pypes.access.audit import ITSELF, Cause
from pypes.access.client import ALL
from pypes.component import ERROR_PORT
from pypes.core.clock import wall
from pypes.errors import Changed, InvalidComponent, InvalidInput, NotFound
from pypes.graph.model import Graph, GraphNode
from pypes.graph.privileges import Nodes
from pypes.graph.spec import ComponentSpec
from pypes.runtime.contracts.control import OWN_EDIT, Edit
from pypes.runtime.graphs.check import check
from pypes.runtime.graphs.deployer import Deployer
from pypes.runtime.graphs.draft_store import DraftedFilter
from pypes.runtime.graphs.drafts import check_room
from pypes.runtime.graphs.stepwise import Steps


class Filters:
    """Creates, shows, changes and deletes filters. A filter is ``{id, component, kind, inputs, outputs, params, schema}``.

    A draft has ``graph`` besides, the graph in whose draft it is, ``None`` if it is in none.
    """

    def __init__(self, steps: Steps, deployer: Deployer) -> None:
        self._steps = steps
        self._store = steps.store
        self._deployer = deployer

    def summaries(self) -> list[dict[str, Any]]:
        """All filters, those of deployed graphs first."""
        deployed = [
            self._shown(f"{g.name}.{filter}", node)
            for _, g in sorted(self._deployer.live.items())
            for filter, node in sorted(g.source["nodes"].items())
        ]
        free = [self._draft(draft, None) for draft in self._store.filters()]
        return deployed + free + [self._draft(draft, graph) for graph, draft in self._steps.filters()]

    def get(self, id: str) -> dict[str, Any]:
        """One filter; raises :class:`NotFound`."""
        if "." in id:
            return self._shown(id, self._deployed(id))
        graph, draft = self._found(id)
        return self._draft(draft, graph)

    def _found(self, id: str) -> tuple[str | None, DraftedFilter]:
        """A draft with the graph in whose draft it is, ``None`` if it is in none; raises :class:`NotFound`."""
        found = self._store.find(id)
        return (None, found) if found is not None else self._steps.find(id) or (None, self._store.filter(id))

    def create(self, component: str, params: Any, cause: Cause = ITSELF, *, rights: str = ALL) -> dict[str, Any]:
        """Create a draft. Parameters that are required may still be missing; those that are given must be right.

        Raises :class:`Conflict` (``drafts.full``) if there are as many as may be, and :class:`Forbidden` for what may not be
        placed with these ``rights``.
        """
        draft = DraftedFilter(_uuid7(), component, self._checked(component, params))
        self._permit({}, draft, rights)
        self._put(draft, cause)
        return self._draft(draft, None)

    def _permit(self, old: Nodes, new: DraftedFilter, rights: str) -> None:
        """Raise :class:`Forbidden` for a draft that needs a privilege, and is not just so already."""
        if rights != ALL:
            self._deployer.permit_filters(old, _named(new))

    def _put(self, draft: DraftedFilter, cause: Cause) -> None:
        count, size = self._store.beside("", [draft.id])
        check_room(self._deployer.settings.limits, count, size + len(msgspec.json.encode(draft.params)))
        self._store.put_filter(draft, cause)

    async def update(self, id: str, params: Any, edit: Edit = OWN_EDIT) -> dict[str, Any]:
        """Replace a filter's parameters; for one of a deployed graph, returns when the new version is live.

        ``author``, ``note`` and ``expected`` are about that version.
        """
        if "." not in id:
            drafted, old = self._found(id)
            new = replace(old, params=self._checked(old.component, params))
            self._permit(_named(old), new, edit.rights)
            if drafted is None:
                self._put(new, edit.cause)
            else:
                self._steps.change_filter(drafted, new, edit)
            return self.get(id)
        filter = id.partition(".")[2]
        checked = self._checked(self._deployed(id)["component"], params)

        def changed(graph: dict[str, Any]) -> dict[str, Any]:
            nodes = graph["nodes"]
            return {**graph, "nodes": {**nodes, filter: {**nodes[filter], "params": checked}}}

        await self._change(id, changed, edit)
        return self.get(id)

    async def delete(self, id: str, edit: Edit = OWN_EDIT) -> None:
        """Delete a filter; one of a deployed graph goes with its wires, provided that the graph is still valid then."""
        if "." not in id:
            drafted, _ = self._found(id)
            if drafted is None:
                self._store.delete_filter(id, edit.cause)
            else:
                self._steps.delete_filter(drafted, id, edit)
            return
        filter = id.partition(".")[2]

        def changed(graph: dict[str, Any]) -> dict[str, Any]:
            nodes = {n: obj for n, obj in graph["nodes"].items() if n != filter}
            layout = {n: place for n, place in graph.get("layout", {}).items() if n != filter}
            wires = [wire for wire in graph["wires"] if filter not in (end.partition(".")[0] for end in wire)]
            return {**graph, "nodes": nodes, "wires": wires, **({"layout": layout} if "layout" in graph else {})}

        await self._change(id, changed, edit)

    async def _change(self, id: str, change: Callable[[dict[str, Any]], dict[str, Any]], edit: Edit) -> None:
        """Deploy what a change makes of the live version, and never of one that is not live any more."""
        name, _, filter = id.partition(".")
        cause = msgspec.structs.replace(edit.cause, object=filter)
        while True:
            self._deployed(id)
            live = self._deployer.live[name]
            expected = [live.version] if edit.expected is None else edit.expected
            try:
                wanted = msgspec.structs.replace(edit, expected=expected, cause=cause)
                await self._deployer.put(name, change(live.source), wanted)
            except Changed:
                if edit.expected is not None:
                    raise
            else:
                return

    def _deployed(self, id: str) -> dict[str, Any]:
        name, _, filter = id.partition(".")
        graph = self._deployer.live.get(name)
        if graph is None or filter not in graph.source["nodes"]:
            raise NotFound(f"there is no filter {id!r}; GET /filters lists them", code="filter.not_found", where=id)
        found: dict[str, Any] = graph.source["nodes"][filter]
        return found

    def _draft(self, draft: DraftedFilter, graph: str | None) -> dict[str, Any]:
        return {**self._shown(draft.id, {"component": draft.component, "params": draft.params}), "graph": graph}

    def _shown(self, id: str, node: Mapping[str, Any]) -> dict[str, Any]:
        shown = {"id": id, "component": node["component"], "params": node.get("params", {})}
        spec = self._deployer.described(node["component"])
        if spec is None:
            # uninstalled since: the filter is still there, and can be deleted
            return {**shown, "kind": None, "inputs": [], "outputs": [], "schema": {}}
        return {
            **shown,
            "kind": spec.kind,
            "inputs": list(spec.inputs),
            "outputs": [*spec.outputs, ERROR_PORT],
            "schema": spec.schema,
        }

    def _checked(self, component: str, params: Any) -> dict[str, Any]:
        if not isinstance(params, dict):
            raise InvalidInput("params is a JSON object: parameter name to value", code="param.invalid", where="params")
        spec = self._spec(component)
        assert self._deployer.catalogue is not None
        lenient = replace(spec, schema={key: value for key, value in spec.schema.items() if key != "required"})
        graph = Graph(name="draft", nodes={"filter": GraphNode("filter", component, params)}, wires=())
        prefix = "nodes.filter.params"
        problems = [
            replace(p, path=p.path.removeprefix("nodes.filter."))
            for p in check(graph, {component: lenient}, os.environ, paths=self._deployer.paths)
            if p.path.startswith(prefix)
        ]
        if problems:
            raise InvalidInput("the parameters are not valid", code="param.invalid", where=component, problems=problems)
        return params

    def _spec(self, component: str) -> ComponentSpec:
        assert self._deployer.catalogue is not None
        spec = self._deployer.described(component) or self._deployer.catalogue.used(component, "component")
        if spec.error:
            raise InvalidComponent(f"component {component!r} cannot be used: {spec.error}", code=spec.error_code, where=component)
        return spec


def _named(draft: DraftedFilter) -> Nodes:
    """A draft as the filters of a graph are; it is called by its component."""
    return {draft.component: {"component": draft.component, "params": draft.params}}


def _uuid7() -> str:
    """A UUIDv7 (RFC 9562) of now."""
    number = int(wall() * 1000) << 80 | int.from_bytes(os.urandom(10), "big")
    return str(uuid.UUID(int=number & ~(0xF << 76) & ~(3 << 62) | 7 << 76 | 2 << 62))
