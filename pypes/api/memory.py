"""Budget of memory for the bodies that an ingest worker is receiving.

Each body holds a share that grows and shrinks with what is kept of it. What does not fit waits a little, its client's connection
being paused meanwhile, and is then refused with 429. The oldest body always gets what it needs, so that bodies which wait for
each other's memory come to an end one after the other; the budget is exceeded by one body at most.
"""

from __future__ import annotations

import asyncio
from bisect import insort
from types import TracebackType

from pypes.errors import QueueFull

#: Seconds for which a body waits for memory, and after which its client shall come back if there was none.
WAIT_S = 5.0
RETRY_S = 2.0

#: Age of a share, bytes it waits to hold, what is set when it does.
_Waiting = tuple[int, int, asyncio.Future[None]]


class Memory:
    """A budget of ``max_bytes``; a body waits for its part at most ``wait_s`` seconds."""

    def __init__(self, max_bytes: int, wait_s: float = WAIT_S) -> None:
        self._max_bytes = max_bytes
        self._wait_s = wait_s
        self._made = 0
        #: The bytes that each share holds, by its age; those that hold nothing are left out.
        self._held: dict[int, int] = {}
        #: From the oldest share to the youngest.
        self._waiting: list[_Waiting] = []
        #: The bytes that all shares hold together.
        self.held_bytes = 0

    def share(self) -> Share:
        """A share that holds nothing yet; use it as a context manager."""
        self._made += 1
        return Share(self, self._made)

    async def hold(self, age: int, size: int) -> None:
        """As :meth:`Share.hold`, for the share of that age."""
        if (size > self._held.get(age, 0) and self._waiting and self._waiting[0][0] < age) or not self._take(age, size):
            await self._wait(age, size)

    def give_back(self, age: int) -> None:
        """A share holds nothing any more."""
        self._take(age, 0)

    def _take(self, age: int, size: int) -> bool:
        held = self._held.get(age, 0)
        total = self.held_bytes - held + size
        if size > held and total > self._max_bytes and min(self._held, default=age) < age:
            return False
        self.held_bytes = total
        if size:
            self._held[age] = size
        else:
            self._held.pop(age, None)
        if size < held:
            self._wake()
        return True

    async def _wait(self, age: int, size: int) -> None:
        future = asyncio.get_running_loop().create_future()
        waiting = (age, size, future)
        insort(self._waiting, waiting)
        try:
            async with asyncio.timeout(self._wait_s):
                await future
        except TimeoutError:
            raise QueueFull(
                "the memory for bodies being received is used up; post again after the time in Retry-After",
                code="receiving.full",
                limit="receiving_bytes",
                retry_after_s=RETRY_S,
            ) from None
        finally:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
                self._wake()

    def _wake(self) -> None:
        """Serve those that wait, in turn, as far as there is room."""
        while self._waiting and self._take(*self._waiting[0][:2]):
            *_, future = self._waiting.pop(0)
            if not future.done():
                future.set_result(None)


class Share:
    """Share of the budget that one body holds, until the end of the ``with`` block."""

    __slots__ = ("_age", "_memory", "held_bytes")

    def __init__(self, memory: Memory, age: int) -> None:
        self._memory = memory
        self._age = age
        self.held_bytes = 0

    async def hold(self, size: int) -> None:
        """Hold ``size`` bytes in all, more or less than before. Raises :class:`QueueFull` (``receiving.full``)."""
        await self._memory.hold(self._age, size)
        self.held_bytes = size

    def __enter__(self) -> Share:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._memory.give_back(self._age)
