"""Drafts of graphs: filters that were created one by one, and the wires drawn between them, until they are deployed.

An end of a wire is ``filter.port``: the filter is the id of a draft, or, to change a deployed graph, the name (or id,
``graph.filter``) of one of its filters. A draft begins with what is deployed under its name.
"""

from __future__ import annotations

import os
from typing import Any

from pypes.access.audit import ITSELF, Cause
from pypes.access.client import ALL
from pypes.errors import Conflict, InvalidGraph, InvalidInput, NotFound
from pypes.graph import codec
from pypes.graph.codec import NAME
from pypes.runtime.graphs.check import check
from pypes.runtime.graphs.deployer import Deployer
from pypes.runtime.graphs.store import ControlStore


class GraphDrafts:
    """Keeps drafts on the server until they are deployed or discarded."""

    def __init__(self, store: ControlStore, deployer: Deployer) -> None:
        self._store = store
        self._deployer = deployer

    def all(self) -> list[dict[str, Any]]:
        """All drafts of graphs: ``{name, wires}``, with the ids of filters in the ends."""
        return [{"name": name, "wires": [list(wire) for wire in self._store.wires(name)]} for name in self._store.drafted()]

    def wire(self, name: str, source: str, target: str, cause: Cause = ITSELF) -> dict[str, Any]:
        """Draw a wire in the draft of a graph, which it begins if there is none; returns the draft.

        Raises :class:`NotFound` for a filter, :class:`InvalidInput` for a port that does not exist, or :class:`Conflict`
        (``drafts.full``) if there are as many drafted wires as may be.
        """
        if not NAME.fullmatch(name):
            raise InvalidInput("a graph's name has 1 to 64 letters, digits, - and _", code="graph.name", where=name)
        ends = self._end(name, source, "outputs"), self._end(name, target, "inputs")
        most = self._deployer.settings.limits.drafts_kept
        if self._store.wire_count() >= most and ends not in self._store.wires(name):
            raise Conflict(f"there are {most} drafted wires (limits.drafts_kept); deploy or discard some", code="drafts.full")
        self._store.put_wire(name, *ends, cause)
        return self.get(name)

    def unwire(self, name: str, source: str, target: str, cause: Cause = ITSELF) -> dict[str, Any]:
        """Take a drafted wire away; returns the draft."""
        self._store.delete_wire(name, self._plain(name, source), self._plain(name, target), cause)
        return self.get(name)

    def get(self, name: str) -> dict[str, Any]:
        """The draft: ``{name, graph, names, errors}``: ids of filters → their names in the graph, and what is wrong yet."""
        graph, names = self._build(name)
        try:
            assert self._deployer.catalogue is not None
            has_fleet = self._deployer.settings.server.fleet is not None
            problems = check(
                codec.from_obj(graph),
                self._deployer.catalogue,
                os.environ,
                has_fleet=has_fleet,
                paths=self._deployer.paths,
            )
        except InvalidGraph as error:
            problems = list(error.problems)
        errors = [problem.to_obj() for problem in problems]
        return {"name": name, "graph": graph, "names": names, "errors": errors}

    async def deploy(
        self, name: str, by: str = "", note: str = "", *, rights: str = ALL, cause: Cause = ITSELF
    ) -> dict[str, Any]:
        """Deploy the draft, as :meth:`Deployer.put`; then it is gone. If it cannot be deployed, it stays."""
        graph, names = self._build(name)
        before = self._version(name)
        deployed = await self._deployer.put(name, graph, by, note, rights=rights, cause=cause)
        # where nothing was to be deployed, that the draft goes is all there is to tell
        self._store.discard(name, names, cause if deployed["version"] == before else None)
        return deployed

    def _version(self, name: str) -> int:
        """The live version of a graph, 0 if there is none."""
        live = self._deployer.live.get(name)
        return 0 if live is None else live.version

    def discard(self, name: str, cause: Cause = ITSELF) -> None:
        """Throw the draft away, its filters included; raises :class:`NotFound`."""
        _, names = self._build(name)
        self._store.discard(name, names, cause)

    # -- parts ------------------------------------------------------------------------------------------

    def _build(self, name: str) -> tuple[dict[str, Any], dict[str, str]]:
        wires = self._store.wires(name)
        if not wires:
            raise NotFound(f"there is no draft of graph {name!r}; draw a wire first", code="graph.no_draft", where=name)
        live = self._deployer.live.get(name)
        graph: dict[str, Any] = dict(live.graph) if live is not None else {"pypes": codec.FORM, "name": name}
        nodes = dict(graph.get("nodes", {}))
        names: dict[str, str] = {}
        drawn = []
        for wire in wires:
            ends = []
            for end in wire:
                id, _, port = end.rpartition(".")
                if id not in nodes and id not in names:
                    draft = self._store.draft(id)
                    names[id] = _free(draft.component.lower(), {*nodes, *names.values()})
                    nodes[names[id]] = {"component": draft.component, "params": draft.params}
                ends.append(f"{names.get(id, id)}.{port}")
            drawn.append(ends)
        return {**graph, "nodes": nodes, "wires": [*graph.get("wires", []), *drawn]}, names

    def _end(self, name: str, end: str, side: str) -> str:
        """Check an end of a wire and bring it to the form in which it is stored."""
        id, _, port = self._plain(name, end).rpartition(".")
        live = self._deployer.live.get(name)
        component = live.graph["nodes"][id]["component"] if live is not None and id in live.graph["nodes"] else None
        if component is None:
            component = self._store.draft(id).component
        assert self._deployer.catalogue is not None
        spec = self._deployer.catalogue.used(component, end)
        if port not in getattr(spec, side) and not (side == "outputs" and port == "error"):
            known = ", ".join(getattr(spec, side)) or "none"
            raise InvalidInput(
                f"{component} has no port {port!r} among its {side}: {known}", code="graph.unknown_port", where=end
            )
        return f"{id}.{port}"

    def _plain(self, name: str, end: str) -> str:
        if end.count(".") not in (1, 2):
            raise InvalidInput('an end of a wire is "filter.port"', code="graph.form", where=end)
        return end.removeprefix(f"{name}.") if end.count(".") == 2 else end


def _free(base: str, taken: set[str]) -> str:
    name, number = base, 2
    while name in taken:
        name, number = f"{base}-{number}", number + 1
    return name
