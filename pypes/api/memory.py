"""Budget of memory for the bodies that an ingest worker is receiving.

Each body holds a share that grows and shrinks with what is kept of it. What does not fit waits a little, its client's connection
being paused meanwhile, and is then refused with 429. The oldest body always gets what it needs, so that bodies which wait for
each other's memory come to an end one after the other; the budget is exceeded by one body at most.

The bodies of one of many clients have their part of it together, by the same rules: those of others do not wait for them.
"""

from __future__ import annotations

import asyncio
from bisect import insort
from types import TracebackType

from pypes.access.account import Account
from pypes.errors import QueueFull

#: Seconds for which a body waits for memory, and after which its client shall come back if there was none.
WAIT_S = 5.0
RETRY_S = 2.0

#: Age of a share, bytes it waits to hold, whose it is, what is set when it does.
_Waiting = tuple[int, int, Account | None, asyncio.Future[None]]


class Memory:
    """A budget of ``max_bytes``; a body waits for its part at most ``wait_s`` seconds."""

    def __init__(self, max_bytes: int, wait_s: float = WAIT_S) -> None:
        self._max_bytes = max_bytes
        self._wait_s = wait_s
        self._made = 0
        #: The bytes that each share holds, by its age; those that hold nothing are left out.
        self._held: dict[int, int] = {}
        #: The owners of these shares, as far as they are bounded, and the bytes of each.
        self._owners: dict[int, Account] = {}
        self._of_owner: dict[Account, int] = {}
        #: From the oldest share to the youngest.
        self._waiting: list[_Waiting] = []
        #: The bytes that all shares hold together.
        self.held_bytes = 0

    def share(self, owner: Account | None = None) -> Share:
        """A share that holds nothing yet; use it as a context manager. ``owner`` is the client whose body it is for."""
        self._made += 1
        return Share(self, self._made, owner if owner is not None and owner.is_one_of_many else None)

    async def hold(self, age: int, size: int, owner: Account | None) -> None:
        """As :meth:`Share.hold`, for the share of that age."""
        if (size > self._held.get(age, 0) and self._is_behind(age)) or not self._take(age, size, owner):
            await self._wait(age, size, owner)

    def give_back(self, age: int, owner: Account | None) -> None:
        """A share holds nothing any more."""
        self._take(age, 0, owner)

    def _is_behind(self, age: int) -> bool:
        """True if an older share waits for memory, and not only for that of its owner."""
        return any(other < age and not self._is_over_part(other, size, owner) for other, size, owner, _ in self._waiting)

    def _is_over_part(self, age: int, size: int, owner: Account | None) -> bool:
        """True if a share of ``size`` bytes would be too much for its owner, who has an older one."""
        if owner is None:
            return False
        total = self._of_owner.get(owner, 0) - self._held.get(age, 0) + size
        return total > owner.part(self._max_bytes) and any(
            other < age and whose is owner for other, whose in self._owners.items()
        )

    def _take(self, age: int, size: int, owner: Account | None) -> bool:
        held = self._held.get(age, 0)
        total = self.held_bytes - held + size
        is_too_much = total > self._max_bytes and min(self._held, default=age) < age
        if size > held and (is_too_much or self._is_over_part(age, size, owner)):
            return False
        self.held_bytes = total
        self._note(age, size, owner)
        if size < held:
            self._wake()
        return True

    def _note(self, age: int, size: int, owner: Account | None) -> None:
        if owner is not None:
            self._of_owner[owner] = self._of_owner.get(owner, 0) - self._held.get(age, 0) + size
            self._owners[age] = owner
            if not self._of_owner[owner]:
                del self._of_owner[owner]
        if size:
            self._held[age] = size
        else:
            self._held.pop(age, None)
            self._owners.pop(age, None)

    async def _wait(self, age: int, size: int, owner: Account | None) -> None:
        future = asyncio.get_running_loop().create_future()
        waiting = (age, size, owner, future)
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
        for waiting in tuple(self._waiting):
            age, size, owner, future = waiting
            if self._is_over_part(age, size, owner):
                continue
            if not self._take(age, size, owner):
                return
            self._waiting.remove(waiting)
            if not future.done():
                future.set_result(None)


class Share:
    """Share of the budget that one body holds, until the end of the ``with`` block."""

    __slots__ = ("_age", "_memory", "_owner", "held_bytes")

    def __init__(self, memory: Memory, age: int, owner: Account | None) -> None:
        self._memory = memory
        self._age = age
        self._owner = owner
        self.held_bytes = 0

    async def hold(self, size: int) -> None:
        """Hold ``size`` bytes in all, more or less than before. Raises :class:`QueueFull` (``receiving.full``)."""
        await self._memory.hold(self._age, size, self._owner)
        self.held_bytes = size

    def __enter__(self) -> Share:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._memory.give_back(self._age, self._owner)
