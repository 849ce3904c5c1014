"""Strides of a process executor: which items wait, which are out where, and which are to run alone.

Bookkeeping only, without sockets and locks; see :class:`~pypes.placement.process_executor.ProcessExecutor`.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from itertools import count
from typing import Any

from pypes.errors import Reject
from pypes.placement.channel import PassingChannel
from pypes.placement.executor import Outcome
from pypes.placement.pool_process import TIMEOUT, Loss
from pypes.placement.progress import NUMBERS

#: A pool worker whose strides take longer than this gets the next one when it is done: others may be done before.
LONG_S = 0.02
#: Ends of pool workers of which an item may be the cause before it has failed.
ENDS = 2


class Stride:
    """Items that were submitted together."""

    __slots__ = ("ends", "future", "items", "left", "outcomes")

    def __init__(self, items: Sequence[Any]) -> None:
        self.items = items
        self.outcomes: list[Outcome | None] = [None] * len(items)
        self.left = len(items)
        self.future: Future[list[Outcome]] = Future()
        self.future.set_running_or_notify_cancel()  # it is not to be cancelled: a pool worker may have begun it
        #: Ends of pool workers that had an item in hand, by its position.
        self.ends: dict[int, int] = {}


class Part:
    """Items of one stride that are sent together: all of it or, where one of them has ended a pool worker, a single one."""

    __slots__ = ("indices", "is_alone", "sent_at", "stride")

    def __init__(self, stride: Stride, indices: Sequence[int], *, is_alone: bool = False) -> None:
        self.stride = stride
        self.indices = indices
        self.is_alone = is_alone
        self.sent_at = 0.0

    @property
    def unfinished(self) -> list[int]:
        outcomes = self.stride.outcomes
        return [index for index in self.indices if outcomes[index] is None]


class Seat:
    """One pool worker after the other."""

    def __init__(self, number: int) -> None:
        self.number = number
        #: The way to the one that is there now.
        self.channel: PassingChannel | None = None
        #: Parts that were sent to it and are not done, by number, in the order of sending.
        self.out: dict[int, Part] = {}
        #: Items that run alone, before anything else.
        self.alone: deque[Part] = deque()
        self.depth = 1
        #: Held while a part is sent.
        self.sending = threading.Lock()
        self._done_at = 0.0

    def finished(self, number: int) -> None:
        """Forget a part that is done; strides that are quickly done are sent ahead, so that the pool worker need not wait."""
        now = time.monotonic()
        part = self.out.pop(number)
        self.depth = 1 if now - max(part.sent_at, self._done_at) > LONG_S else 2
        self._done_at = now


class Strides:
    """The strides of one executor that are not done."""

    def __init__(self, width: int) -> None:
        self.seats = [Seat(number) for number in range(width)]
        self.waiting: deque[Part] = deque()
        self._numbers = count()
        #: Strides that were submitted and are not done.
        self.open: set[Stride] = set()

    def add(self, items: Sequence[Any]) -> Stride:
        stride = Stride(items)
        self.open.add(stride)
        self.waiting.append(Part(stride, range(len(items))))
        return stride

    def idlest(self) -> Seat | None:
        """The seat that would have the next part begun first."""
        free = [seat for seat in self.seats if seat.channel is not None and not seat.alone and len(seat.out) < seat.depth]
        return min(free, key=lambda seat: len(seat.out), default=None)

    def next_for(self, seat: Seat) -> tuple[int, Part] | None:
        """The part to send now, which counts as sent: see that it is, or tell of its outcomes."""
        if seat.channel is None or any(part.is_alone for part in seat.out.values()):
            return None
        if seat.alone:
            if seat.out:
                return None
            part = seat.alone.popleft()
        elif self.waiting and len(seat.out) < seat.depth:
            part = self.waiting.popleft()
        else:
            return None
        number = next(self._numbers) % NUMBERS
        part.sent_at = time.monotonic()
        seat.out[number] = part
        return number, part

    def settle(self, seat: Seat, number: int, outcomes: Sequence[tuple[int, Outcome]]) -> Stride | None:
        """Take down outcomes of a part; the stride, if it is done with that. An item that has an outcome keeps it."""
        part = seat.out.get(number)
        if part is None:
            return None
        done = self._note(part.stride, outcomes)
        if not part.unfinished:
            seat.finished(number)
        return done

    def _note(self, stride: Stride, outcomes: Sequence[tuple[int, Outcome]]) -> Stride | None:
        if not stride.left:
            return None
        for index, outcome in outcomes:
            if stride.outcomes[index] is None:
                stride.outcomes[index] = outcome
                stride.left -= 1
        if stride.left:
            return None
        self.open.discard(stride)
        return stride

    def lost(self, seat: Seat, loss: Loss, user: int) -> list[Stride]:
        """Have the items run again that a lost pool worker had; the strides that are done, because one has failed."""
        parts = [*seat.out.items()]
        seat.out.clear()
        in_hand = loss.in_hand
        if in_hand is not None and in_hand.user == user:
            running: int | None = in_hand.number
        else:  # if it was between two items, that may have been in the first part
            running = parts[0][0] if parts and in_hand is None else None
        done: list[Stride] = []
        for number, part in reversed(parts):
            if number != running:
                self.waiting.appendleft(part)
                continue
            for index in reversed(part.unfinished):
                is_cause = part.is_alone if in_hand is None else in_hand.at == index
                if is_cause and self._is_failed(part.stride, index, loss):
                    found = self._note(part.stride, [(index, Outcome(None, Reject(loss.reason, loss.code)))])
                    if found is not None:
                        done.append(found)
                else:
                    seat.alone.appendleft(Part(part.stride, (index,), is_alone=True))
        return done

    @staticmethod
    def _is_failed(stride: Stride, index: int, loss: Loss) -> bool:
        ends = stride.ends[index] = stride.ends.get(index, 0) + 1
        return ends >= ENDS or loss.code == TIMEOUT

    def unreachable(self, seat: Seat, error: BaseException) -> list[Stride]:
        """Fail the items that wait for a seat on which there is no pool worker; the strides that are done with that."""
        parts = [*seat.alone]
        seat.alone.clear()
        if not any(other.channel is not None for other in self.seats):
            parts += self.waiting
            self.waiting.clear()
        done = (self._note(part.stride, [(index, Outcome(None, error)) for index in part.unfinished]) for part in parts)
        return [stride for stride in done if stride is not None]
