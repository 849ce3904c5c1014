"""Stores of graphs: the files in which filters of a node keep entries, shown, cleared, and deleted with what they belong to."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pypes import logs
from pypes.access.audit import ITSELF, Cause, line_of
from pypes.errors import NotFound, Unavailable
from pypes.runtime.file_store import STORES, FileStores, clear, describe, remove
from pypes.runtime.graphs.store import ControlStore

#: A graph as a JSON object.
Obj = Mapping[str, Any]


class GraphStores:
    """The stores of all graphs of this node.

    A filter that was not there for a while knows nothing of the documents that were published meanwhile. So a store goes with
    its filter, and one that a version brings (back) begins empty.
    """

    def __init__(self, data: Path, control: ControlStore) -> None:
        self._files = FileStores(data / STORES)
        self._control = control
        self._log = logs.get("pypes.stores")

    # -- for clients ------------------------------------------------------------------------------------------

    async def all(self, graph: str) -> list[dict[str, Any]]:
        """The stores of a graph, by filter; one that cannot be read has ``error``."""
        return await asyncio.to_thread(self._all, graph)

    def _all(self, graph: str) -> list[dict[str, Any]]:
        found = []
        for filter, path in self._files.of(graph).items():
            try:
                found.append({"filter": filter, **describe(path)})
            except (sqlite3.Error, OSError) as error:
                found.append({"filter": filter, "error": f"it cannot be read: {error}"})
        return found

    async def clear(self, graph: str, filter: str, cause: Cause = ITSELF) -> dict[str, Any]:
        """Delete all entries of a filter's store: ``{filter, cleared}``. Raises :class:`NotFound`, :class:`Unavailable`.

        The file is another one than that of the audit log. So it is remembered there before, and if the node is killed meanwhile
        the next start finishes it (:meth:`finish`): in the end the store is empty, and there is one line that says so.
        """
        path = self._files.of(graph).get(filter)
        if path is None:
            raise NotFound(
                f"filter {filter!r} of graph {graph!r} has no store; GET /graphs/{graph}/stores lists those there are",
                code="graph.no_store",
                where=filter,
            )
        number = self._control.begin(line_of(cause, "store.clear", graph=graph, object=filter))
        try:
            cleared = await asyncio.to_thread(clear, path)
        except sqlite3.Error as error:
            self._control.give_up(number)
            raise Unavailable(
                f"the store cannot be cleared now: {error}; try again", code="store.failed", where=filter
            ) from error
        self._control.end(number, detail={"entries": cleared})
        self._log.info("store cleared", graph=graph, filter=filter, entries=cleared)
        return {"filter": filter, "cleared": cleared}

    async def finish(self) -> None:
        """Clear the stores that were being cleared when the node was killed. One that is gone has nothing left to clear."""
        for number, line in self._control.begun():
            path = self._files.of(line.graph).get(line.object)
            try:
                entries = 0 if path is None else await asyncio.to_thread(clear, path)
            except sqlite3.Error as error:
                self._log.warning("store not cleared yet", graph=line.graph, filter=line.object, reason=str(error))
            else:
                self._control.end(number, detail={"entries": entries})

    # -- with deployments -------------------------------------------------------------------------------------

    def prepare(self, name: str, old: Obj | None, new: Obj) -> None:
        """A version is about to start: filters that the live one does not have begin without entries."""
        kept = _filters(old)
        self._remove(name, {filter for filter, component in _filters(new).items() if kept.get(filter) != component})

    def tidy(self, name: str, live: Obj | None) -> None:
        """A version is live (``None``: the graph is gone): delete the stores of filters that it does not have."""
        self._remove(name, self._files.of(name).keys() - _filters(live).keys())

    def tidy_all(self, live: Mapping[str, Obj]) -> None:
        """The node has started: delete the stores of graphs and filters that there are not."""
        for name in self._files.graphs():
            self.tidy(name, live.get(name))

    def _remove(self, graph: str, filters: set[str]) -> None:
        for filter in filters & self._files.of(graph).keys():
            try:
                remove(self._files.path(graph, filter))
            except OSError as error:
                self._log.warning("store not deleted", graph=graph, filter=filter, reason=str(error))
            else:
                self._log.info("store deleted", graph=graph, filter=filter)


def _filters(graph: Obj | None) -> dict[str, str]:
    """The components of a graph's filters."""
    return {} if graph is None else {name: node["component"] for name, node in graph["nodes"].items()}
