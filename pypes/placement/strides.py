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

from pypes.placement.channel import PassingChannel
from pypes.placement.executor import Listener, Outcome
from pypes.placement.gathered import Gathered
from pypes.placement.pool_process import TIMEOUT, Loss, lost
from pypes.placement.progress import ALL, NUMBERS, Progress, SeenProgress

#: A pool worker whose strides take longer than this gets the next one when it is done: others may be done before.
LONG_S = 0.02
#: Ends of pool workers of which an item may be the cause before it has failed.
ENDS = 2
#: Losses after which a part is taken for the reason, whatever is told of others.
LOSSES = 5


class Stride:
    """Items that were submitted together."""

    __slots__ = ("ends", "future", "items", "left", "listener", "outcomes", "sent", "together")

    def __init__(self, items: Sequence[Any], listener: Listener | None = None, *, together: bool = False) -> None:
        self.items = items
        self.listener = listener
        self.together = together
        #: Positions of items over which a listener was told of something: what has gone on must not be made again.
        self.sent: set[int] = set()
        self.outcomes: list[Outcome | None] = [None] * len(items)
        self.left = len(items)
        self.future: Future[list[Outcome]] = Future()
        self.future.set_running_or_notify_cancel()  # it is not to be cancelled: a pool worker may have begun it
        #: Ends of pool workers that had an item in hand, by its position.
        self.ends: dict[int, int] = {}


class Part:
    """Items of one stride that are sent together: all of it or, where one of them has ended a pool worker, a single one."""

    __slots__ = ("gathered", "indices", "is_alone", "losses", "memos", "sent_at", "stride")

    def __init__(self, stride: Stride, indices: Sequence[int], *, is_alone: bool = False) -> None:
        self.stride = stride
        self.indices = indices
        self.is_alone = is_alone
        self.sent_at = 0.0
        #: Things that were said of items, by position (see ``Speech``).
        self.memos: dict[int, list[Any]] = {}
        #: Values that were sent over items, by position, where nobody listens.
        self.gathered: dict[int, Gathered] = {}
        #: Pool workers that were lost while it was out, whoever's fault that was.
        self.losses = 0

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
        #: The pool worker has finished nothing yet: what happens to it is the first item's own doing.
        self.is_fresh = True
        #: Progress as the pool worker tells all its users of it, once it has.
        self.progress: Progress | None = None
        #: Progress as it is seen here, if what the pool worker tells of it is not believed.
        self.seen: SeenProgress | None = None
        #: Held while a part is sent.
        self.sending = threading.Lock()
        self._done_at = 0.0

    @property
    def load(self) -> int:
        """Strides that would be done before another one: those of this user, or else the one in hand, which is of another."""
        return len(self.out) or (self.progress is not None and self.progress.begun > 0)

    def finished(self, number: int) -> None:
        """Forget a part that is done; strides that are quickly done are sent ahead, so that the pool worker need not wait."""
        now = time.monotonic()
        part = self.out.pop(number)
        self.depth = 1 if now - max(part.sent_at, self._done_at) > LONG_S else 2
        self._done_at = now


class Strides:
    """The strides of one executor that are not done."""

    def __init__(self, width: int, *, is_trusting: bool = True) -> None:
        #: False if pool workers are not believed which item they have in hand: it is the first that is not done.
        self._is_trusting = is_trusting
        self.seats = [Seat(number) for number in range(width)]
        self.waiting: deque[Part] = deque()
        self._numbers = count()
        #: Strides that were submitted and are not done.
        self.open: set[Stride] = set()
        #: Outcomes, and strides that are done, of which nobody was told yet.
        self._news: list[tuple[Stride, int, Outcome]] = []
        self._done: list[Stride] = []

    def add(self, items: Sequence[Any], listener: Listener | None = None, *, together: bool = False) -> Stride:
        stride = Stride(items, listener, together=together)
        self.open.add(stride)
        self.waiting.append(Part(stride, range(len(items))))
        return stride

    def idlest(self) -> Seat | None:
        """The seat that would have the next part begun first."""
        free = [seat for seat in self.seats if seat.channel is not None and not seat.alone and len(seat.out) < seat.depth]
        return min(free, key=lambda seat: seat.load, default=None)

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
        if seat.seen is not None and not seat.out:
            seat.seen.step(is_out=True)
        seat.out[number] = part
        return number, part

    def news(self) -> tuple[list[tuple[Stride, int, Outcome]], list[Stride]]:
        """Outcomes since this was last asked, of strides with a listener, and strides that are done."""
        found = self._news, self._done
        self._news, self._done = [], []
        return found

    def settle(self, seat: Seat, number: int, outcomes: Sequence[tuple[int, Outcome]], *, is_answer: bool = True) -> None:
        """Take down outcomes of a part. An item that has an outcome keeps it. ``is_answer`` if the pool worker told of them."""
        part = seat.out.get(number)
        if part is not None:
            self._note(part.stride, outcomes)
            # PERF: one that is not alone has all that is left of its stride
            if not (part.unfinished if part.is_alone else part.stride.left):
                seat.finished(number)
            if seat.seen is not None and outcomes and (is_answer or not seat.out):
                seat.seen.step(is_out=bool(seat.out))

    def _note(self, stride: Stride, outcomes: Sequence[tuple[int, Outcome]]) -> None:
        for index, outcome in outcomes:
            if stride.outcomes[index] is None:
                stride.outcomes[index] = outcome
                stride.left -= 1
                if stride.listener is not None:
                    self._news.append((stride, index, outcome))
        if not stride.left and stride in self.open:
            self.open.discard(stride)
            self._done.append(stride)

    def lost(self, seat: Seat, loss: Loss, user: int) -> None:
        """Have the items run again that a lost pool worker had, except one that has failed."""
        parts = [*seat.out.items()]
        seat.out.clear()
        running, at = self._in_hand(parts, loss, user)
        for number, part in reversed(parts):
            part.losses += 1
            part.gathered.clear()  # its items run again
            if number != running and part.losses < LOSSES:
                self.waiting.appendleft(part)
                continue
            unfinished = part.unfinished
            own = at if number == running else None
            is_known = own != ALL or len(unfinished) == 1
            for index in reversed(unfinished):
                is_cause = part.is_alone or own in (index, ALL)
                if self._is_failed(seat, part, index, loss, is_cause=is_cause, is_known=is_known):
                    self._note(part.stride, [(index, Outcome(None, lost(loss)))])
                else:
                    seat.alone.appendleft(Part(part.stride, (index,), is_alone=True))

    def _in_hand(self, parts: Sequence[tuple[int, Part]], loss: Loss, user: int) -> tuple[int | None, int | None]:
        """Number of the part that the pool worker was at, and position of its item in hand, as far as they are known."""
        if not parts:
            return None, None
        number, part = parts[0]
        if not self._is_trusting:
            return number, next(iter(part.unfinished), None)
        if loss.in_hand is None:  # between two items, perhaps of the first part
            return number, None
        return (loss.in_hand.number, loss.in_hand.at) if loss.in_hand.user == user else (None, None)

    def _is_failed(self, seat: Seat, part: Part, index: int, loss: Loss, *, is_cause: bool, is_known: bool) -> bool:
        """True if an item is not to be run again; ``is_known``: only one item was in hand."""
        if index in part.stride.sent:
            return True
        if not is_cause:
            return False
        ends = part.stride.ends[index] = part.stride.ends.get(index, 0) + 1
        return ends >= ENDS or (loss.code == TIMEOUT and is_known) or (seat.is_fresh and not self._is_trusting)

    def unreachable(self, seat: Seat, error: BaseException) -> None:
        """Fail the items that wait for a seat on which there is no pool worker."""
        parts = [*seat.alone]
        seat.alone.clear()
        if not any(other.channel is not None for other in self.seats):
            parts += self.waiting
            self.waiting.clear()
        for part in parts:
            self._note(part.stride, [(index, Outcome(None, error)) for index in part.unfinished])
