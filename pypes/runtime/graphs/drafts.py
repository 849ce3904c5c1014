"""Drafts of graphs: filters that were created one by one, and the wires drawn between them, until they are deployed.

An end of a wire is ``filter.port``: the filter is the id of a draft, or, to change a deployed graph, the name (or id,
``graph.filter``) of one of its filters. A draft begins with what is deployed under its name. A filter that is a draft is in the
draft of one graph only, and goes with it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from pypes.access.audit import ITSELF, Cause
from pypes.access.client import ALL, LIMITED
from pypes.errors import Conflict, Forbidden, InvalidGraph, InvalidInput, NotFound, Problem
from pypes.graph import codec
from pypes.graph.codec import NAME
from pypes.runtime.contracts.control import OWN_EDIT, Edit
from pypes.runtime.graphs.check import check
from pypes.runtime.graphs.deployer import Deployer
from pypes.runtime.graphs.store import ControlStore, Draft


class GraphDrafts:
    """Keeps drafts on the server until they are deployed or discarded."""

    def __init__(self, store: ControlStore, deployer: Deployer) -> None:
        self._store = store
        self._deployer = deployer

    def all(self) -> list[dict[str, Any]]:
        """All drafts of graphs: ``{name, wires}``, with the ids of filters in the ends."""
        return [{"name": name, "wires": [list(wire) for wire in self._store.wires(name)]} for name in self._store.drafted()]

    def wire(self, name: str, source: str, target: str, *, rights: str = ALL, cause: Cause = ITSELF) -> dict[str, Any]:
        """Draw a wire in the draft of a graph, which it begins if there is none; returns the draft.

        Raises :class:`NotFound` for a filter, :class:`InvalidInput` for a port that does not exist, :class:`Conflict` for one
        that is in the draft of another graph (``filter.wired``) and if there are as many drafted wires as may be
        (``drafts.full``), and, with rights in some graphs only, :class:`Forbidden` for all but filters of the deployed graph.
        """
        if not NAME.fullmatch(name):
            raise InvalidInput("a graph's name has 1 to 64 letters, digits, - and _", code="graph.name", where=name)
        ends = self._end(name, source, "outputs", rights), self._end(name, target, "inputs", rights)
        most = self._deployer.settings.limits.drafts_kept
        if self._store.wire_count() >= most and ends not in self._store.wires(name):
            raise Conflict(f"there are {most} drafted wires (limits.drafts_kept); deploy or discard some", code="drafts.full")
        self._store.put_wire(name, *ends, cause)
        return self.get(name)

    def unwire(self, name: str, source: str, target: str, cause: Cause = ITSELF) -> dict[str, Any]:
        """Take a drafted wire away; returns the draft, which is gone with its last one."""
        self._wires(name)
        self._store.delete_wire(name, self._plain(name, source), self._plain(name, target), cause)
        return self._shown(name, self._store.wires(name))

    def get(self, name: str) -> dict[str, Any]:
        """The draft: ``{name, graph, names, errors}``: ids of filters → their names in the graph, and what is wrong yet.

        A wire to a filter that is gone is among the errors, and not in the graph.
        """
        return self._shown(name, self._wires(name))

    def _shown(self, name: str, wires: Sequence[tuple[str, str]]) -> dict[str, Any]:
        graph, names, missing = self._build(name, wires)
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
        errors = [problem.to_obj() for problem in (*missing, *problems)]
        return {"name": name, "graph": graph, "names": names, "errors": errors}

    async def deploy(self, name: str, edit: Edit = OWN_EDIT) -> dict[str, Any]:
        """Deploy the draft, as :meth:`Deployer.put`; then it is gone. If it cannot be deployed, it stays."""
        graph, names, missing = self._build(name, self._wires(name))
        if missing:
            raise InvalidGraph("the draft is not whole", where=name, problems=missing)
        before = self._version(name)
        deployed = await self._deployer.put(name, graph, edit)
        # where nothing was to be deployed, that the draft goes is all there is to tell
        self._discard(name, names, edit.cause if deployed["version"] == before else None)
        return deployed

    def _discard(self, name: str, filters: Iterable[str], cause: Cause | None) -> None:
        # one may have been given to another draft while this one was deployed
        holders = self._holders()
        self._store.discard(name, [id for id in filters if holders.get(id, name) == name], cause)

    def _version(self, name: str) -> int:
        """The live version of a graph, 0 if there is none."""
        live = self._deployer.live.get(name)
        return 0 if live is None else live.version

    def discard(self, name: str, cause: Cause = ITSELF) -> None:
        """Throw the draft away, its filters included; raises :class:`NotFound`."""
        _, names, _ = self._build(name, self._wires(name))
        self._discard(name, names, cause)

    # -- parts ------------------------------------------------------------------------------------------

    def _wires(self, name: str) -> list[tuple[str, str]]:
        wires = self._store.wires(name)
        if not wires:
            raise NotFound(f"there is no draft of graph {name!r}; draw a wire first", code="graph.no_draft", where=name)
        return wires

    def _build(self, name: str, wires: Sequence[tuple[str, str]]) -> tuple[dict[str, Any], dict[str, str], list[Problem]]:
        """The graph, the names in it of the filters that are drafts, and the wires that lack a filter."""
        live = self._deployer.live.get(name)
        graph: dict[str, Any] = dict(live.graph) if live is not None else {"pypes": codec.FORM, "name": name}
        deployed, holders = self._deployed(name), self._holders()
        nodes = dict(deployed)
        names: dict[str, str] = {}
        drawn, missing = [], []
        for wire in wires:
            ends = []
            for end in wire:
                id, _, port = end.rpartition(".")
                if id not in deployed and id not in names:
                    draft = self._draft(id)
                    if draft is None or holders[id] != name:
                        missing.append(_missing(id, wire, is_gone=draft is None))
                        continue
                    names[id] = _free(draft.component.lower(), {*nodes, *names.values()})
                    nodes[names[id]] = {"component": draft.component, "params": draft.params}
                ends.append(f"{names.get(id, id)}.{port}")
            if len(ends) == len(wire):
                drawn.append(ends)
        return {**graph, "nodes": nodes, "wires": [*graph.get("wires", []), *drawn]}, names, missing

    def _deployed(self, name: str) -> Mapping[str, Mapping[str, Any]]:
        """The filters of a graph as it is deployed; none if it is not."""
        live = self._deployer.live.get(name)
        return {} if live is None else live.graph["nodes"]

    def _draft(self, id: str) -> Draft | None:
        with suppress(NotFound):
            return self._store.draft(id)
        return None

    def _holders(self) -> dict[str, str]:
        """The graph in whose draft a filter is that belongs to none yet, by its id.

        It is the first that drew a wire to it: earlier releases let in others.
        """
        holders: dict[str, str] = {}
        for graph, *ends in self._store.drawn():
            deployed = self._deployed(graph)
            for id in (end.rpartition(".")[0] for end in ends):
                if id not in deployed:
                    holders.setdefault(id, graph)
        return holders

    def _end(self, name: str, end: str, side: str, rights: str) -> str:
        """Check an end of a wire and bring it to the form in which it is stored."""
        id, _, port = self._plain(name, end).rpartition(".")
        node = self._deployed(name).get(id)
        # one that is called as a draft would stand for the draft once it is gone
        if rights == LIMITED and (node is None or self._draft(id) is not None):
            raise Forbidden(
                f"graph {name!r} has no filter {id!r}, and drafts of filters are only for tokens that are for all graphs",
                code="graph.forbidden",
                where=end,
            )
        component = node["component"] if node is not None else self._store.draft(id).component
        if node is None and (other := self._holders().get(id, name)) != name:
            raise Conflict(
                f"filter {id!r} is in the draft of graph {other!r} already; configure another one (POST /filters)",
                code="filter.wired",
                where=end,
            )
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


def _missing(id: str, wire: tuple[str, str], *, is_gone: bool) -> Problem:
    """The wire of a draft that lacks one of its filters."""
    reason, code = ("is gone", "filter.not_found") if is_gone else ("is in the draft of another graph", "filter.wired")
    message = f"filter {id!r} {reason}; delete the wire from {wire[0]} to {wire[1]}, or the draft"
    return Problem("wires", message, code)
