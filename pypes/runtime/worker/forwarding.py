"""Deliveries on their way to the nodes that own them: those of one turn of the loop travel together.

PERF: a call of its own for each costs both nodes 120 µs, more than a small document does otherwise.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from pypes.core.watched_tasks import WatchedTasks
from pypes.errors import PypesError, Unavailable
from pypes.ingest.contracts.intake import Key
from pypes.ingest.delivery import Header
from pypes.runtime.contracts.fleet import Member, Sent
from pypes.runtime.fleet.link import away
from pypes.runtime.rpc import error_from_obj
from pypes.runtime.worker.members import LOST, Members

#: Bytes of bodies with which a call is full.
CALL_BYTES = 8 << 20


class Waiting(NamedTuple):
    """A delivery that waits for its receipt."""

    sent: Sent
    receipt: asyncio.Future[str]


class Forwarder:
    """Sends deliveries to other nodes; used within one event loop."""

    def __init__(self, members: Members) -> None:
        self._members = members
        #: Deliveries that go to each node at the end of this turn of the loop, by its name.
        self._leaving: dict[str, list[Waiting]] = {}
        self._tasks = WatchedTasks(lambda name: None)
        self._loop = asyncio.get_running_loop()

    def append(self, owner: Member, header: Header, body: bytes, key: Key | None) -> asyncio.Future[str]:
        """Have a node append a delivery; the future gives its receipt, and fails as ``Queue.append`` or if the node is silent."""
        waiting = Waiting(Sent(header, body, key), self._loop.create_future())
        leaving = self._leaving.get(owner.name)
        if leaving is None:
            leaving = self._leaving[owner.name] = []
            self._loop.call_soon(self._leave, owner)
        leaving.append(waiting)
        return waiting.receipt

    def _leave(self, owner: Member) -> None:
        leaving = self._leaving.pop(owner.name)
        part: list[Waiting] = []
        size = 0
        for waiting in leaving:
            if part and size + len(waiting.sent.body) > CALL_BYTES:
                self._tasks.start(self._send(owner, part), "forwarding")
                part, size = [], 0
            part.append(waiting)
            size += len(waiting.sent.body)
        self._tasks.start(self._send(owner, part), "forwarding")

    async def _send(self, owner: Member, part: list[Waiting]) -> None:
        try:
            taken = await self._members.calls(owner).append([waiting.sent for waiting in part])
        except PypesError as error:
            for waiting in part:
                _fail(waiting.receipt, _of_one(error, waiting.sent, owner))
            return
        for waiting, one in zip(part, taken, strict=True):
            if one.error is not None:
                _fail(waiting.receipt, error_from_obj(one.error))
            elif not waiting.receipt.done():
                waiting.receipt.set_result(one.receipt)

    async def close(self) -> None:
        """Wait for nothing any more."""
        await self._tasks.close()


def _fail(receipt: asyncio.Future[str], error: PypesError) -> None:
    if not receipt.done():  # done: the client has hung up
        receipt.set_exception(error)


def _of_one(error: PypesError, sent: Sent, owner: Member) -> PypesError:
    """An error of a call as one of a delivery in it: with a key, asking again is safe."""
    if isinstance(error, Unavailable):
        if error.code == LOST and sent.key is not None:
            return away(owner)
        return Unavailable(error.message, retry_after_s=error.retry_after_s, code=error.code, where=error.where)
    return type(error)(error.message, code=error.code, where=error.where)
