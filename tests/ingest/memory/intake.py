"""Intake of a queue in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from pypes.core.graph_limits import GraphLimits
from pypes.ingest.contracts.intake import Key, Waiter
from pypes.ingest.delivery import Header, Spooled
from pypes.ingest.queues.idempotency import check
from tests.ingest.memory.bodies import discard
from tests.ingest.memory.shelf import Shelf


class MemoryIntake:
    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._loop = asyncio.get_running_loop()

    def append(
        self, header: Header, body: bytes | Spooled, decoded: bytes | None = None, key: Key | None = None
    ) -> asyncio.Future[str]:
        keys = self._shelf.keys
        if key is not None and key.name in keys:
            digest, receipt = keys[key.name]
            discard(body)
            check(key, digest)
            return self.later(receipt)
        id = self._shelf.put(header, body, decoded)
        if key is not None:
            keys[key.name] = (key.digest, id)
        return self.later(id)

    async def known(self, key: Key) -> str | None:
        found = self._shelf.keys.get(key.name)
        if found is None:
            return None
        check(key, found[0])
        return found[1]

    def append_for(self, waiter: Waiter, header: Header, body: bytes, decoded: bytes | None = None) -> None:
        self._tell_later(waiter, self._shelf.put(header, body, decoded))

    def later(self, receipt: str) -> asyncio.Future[str]:
        """A future that is done some iterations of the loop from now."""
        future: asyncio.Future[str] = self._loop.create_future()
        self._tell_later(future, receipt)
        return future

    def _tell_later(self, waiter: Waiter, receipt: str) -> None:
        def done() -> None:
            if not waiter.done():
                waiter.set_result(receipt)

        self._loop.call_soon(lambda: self._loop.call_soon(done))

    def check_room(self, size: int, graph: str = "", *, is_bulk: bool = False) -> None:
        self._shelf.room.check(size, graph, is_bulk=is_bulk)

    def reserve_arriving(self, size: int, *, is_repeatable: bool = False) -> None:
        self._shelf.room.reserve_arriving(size, is_repeatable=is_repeatable)

    def release_arriving(self, size: int) -> None:
        self._shelf.room.release_arriving(size)

    def deployed(self, graphs: Mapping[str, GraphLimits]) -> None:
        self._shelf.room.deployed(graphs)
