"""Deliveries on their way to the nodes that own them: those that come while calls are under way travel together.

PERF: a call of its own for each costs both nodes 120 µs, more than a small document does otherwise.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
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
#: Calls to one node that are under way at a time; what comes meanwhile waits for the next.
MOST_CALLS = 2


class Waiting(NamedTuple):
    """A delivery that waits for its receipt."""

    sent: Sent
    receipt: asyncio.Future[str]


class Lane:
    """Deliveries on their way to one node: those that wait for a call, and how many calls are under way."""

    def __init__(self) -> None:
        self.waiting: deque[Waiting] = deque()
        self.calls = 0


class Forwarder:
    """Sends deliveries to other nodes; used within one event loop."""

    def __init__(self, members: Members) -> None:
        self._members = members
        self._lanes: defaultdict[str, Lane] = defaultdict(Lane)
        self._tasks = WatchedTasks(lambda name: None)
        self._loop = asyncio.get_running_loop()

    def append(self, owner: Member, header: Header, body: bytes, key: Key | None) -> asyncio.Future[str]:
        """Have a node append a delivery; the future gives its receipt, and fails as ``Queue.append`` or if the node is silent."""
        waiting = Waiting(Sent(header, body, key), self._loop.create_future())
        lane = self._lanes[owner.name]
        if not lane.waiting and lane.calls < MOST_CALLS:
            self._loop.call_soon(self._leave, owner, lane)
        lane.waiting.append(waiting)
        return waiting.receipt

    def _leave(self, owner: Member, lane: Lane) -> None:
        part: list[Waiting] = []
        size = 0
        while lane.waiting and (not part or size + len(lane.waiting[0].sent.body) <= CALL_BYTES):
            part.append(lane.waiting.popleft())
            size += len(part[-1].sent.body)
        if part:
            lane.calls += 1
            self._tasks.start(self._send(owner, lane, part), "forwarding")

    async def _send(self, owner: Member, lane: Lane, part: list[Waiting]) -> None:
        try:
            await self._carry(owner, part)
        finally:
            lane.calls -= 1
            self._leave(owner, lane)

    async def _carry(self, owner: Member, part: list[Waiting]) -> None:
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
