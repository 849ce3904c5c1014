"""Pooling: gathers the work items of one filter into strides, and has the executor of a pool run these."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, Protocol

from pypes.component import Component
from pypes.placement.executor import Executor, ExecutorClosed, Outcome
from pypes.runtime.scheduler.core import Core
from pypes.runtime.scheduler.wire import size_of

#: Items that may be out for each that the executor may have: those that are done and wait for one before them, and the next ones.
AHEAD = 2


class Placing(Protocol):
    """A component that stands in for one that runs in a pool."""

    @property
    def executor(self) -> Executor: ...
    @property
    def most_together(self) -> int:
        """Packets that one stride has at most."""

    @property
    def most_bytes(self) -> int:
        """Bytes that the packets of one stride have together, unless it is only one; 0: any."""

    @property
    def is_timed(self) -> bool:
        """True if strides must be watched here, because the executor cannot end one that takes too long."""

    @property
    def takes_batches(self) -> bool:
        """True if the packets of a stride are one batch."""

    @property
    def keeps_order(self) -> bool:
        """False if packets go on as soon as they are done, whichever were taken before them."""


class PoolItem(Protocol):
    """A work item, as far as it is known here."""

    outcome: Outcome | None
    #: The stride that it was part of.
    stride: Stride | None

    @property
    def name(self) -> str: ...
    @property
    def value(self) -> Any:
        """The packet."""

    def call_ended(self) -> None: ...


class Waiting(Protocol):
    """The work item that waits for its shares."""

    @property
    def name(self) -> str: ...
    def call_ended(self) -> None: ...
    def wake(self) -> None: ...


class Share:
    """One of several values of a packet that the pool works on."""

    __slots__ = ("_shares", "outcome", "stride", "value")

    def __init__(self, shares: Shares, value: Any) -> None:
        self._shares = shares
        self.value = value
        self.outcome: Outcome | None = None
        self.stride: Stride | None = None

    @property
    def name(self) -> str:
        return self._shares.item.name

    def call_ended(self) -> None:
        shares = self._shares
        shares.left -= 1
        if shares.left:
            shares.item.wake()  # there is room for more of them
        else:
            shares.item.call_ended()


class Shares:
    """The values of one packet that are worked on by themselves: its item goes on when there are none ``left``."""

    __slots__ = ("all", "item", "left")

    def __init__(self, item: Waiting, values: Sequence[Any]) -> None:
        self.item = item
        self.all = [Share(self, value) for value in values]
        self.left = len(self.all)

    def taken(self) -> list[Outcome]:
        """The outcomes of all of them. These refer to one another, and to what they were made of: they let go of that."""
        outcomes = [share.outcome for share in self.all if share.outcome is not None]
        for share in self.all:
            share.stride = share.outcome = share.value = None
        self.all.clear()
        return outcomes


class Stride:
    """Items that are out together; among the calls of the scheduler until the executor has done with them."""

    __slots__ = ("error", "future", "items", "pooling")

    def __init__(self, pooling: Pooling, items: Sequence[PoolItem], future: Future[list[Outcome]]) -> None:
        self.pooling = pooling
        self.items = items
        self.future = future
        #: The error of the first item. Over that one travels what was made of a batch as a whole, if it was one.
        self.error: BaseException | None = None

    @property
    def name(self) -> str:
        """The filter whose stride it is, for whoever looks at calls that take long."""
        return self.items[0].name

    def call_ended(self) -> None:
        """The executor has done with it."""
        self.pooling.ended(self)


class Pooling:
    """The strides of one filter.

    Nothing waits for a stride to become full: what was gathered leaves as soon as the executor has room for it. While all pool
    workers are busy more is gathered by itself.
    """

    def __init__(self, core: Core, placing: Placing) -> None:
        self._core = core
        self._executor = placing.executor
        self._most = placing.most_together
        self._most_bytes = placing.most_bytes
        self._is_timed = placing.is_timed
        self._takes_batches = placing.takes_batches
        # a stride that is watched must begin when it is sent
        self._capacity = self._executor.width if self._is_timed else self._executor.capacity
        self._gathered: deque[tuple[PoolItem, Any]] = deque()
        #: Strides that are out.
        self.out = 0

    @property
    def width(self) -> int:
        """Items of the filter that may be out at once."""
        return AHEAD * self._capacity * self._most

    def add(self, item: PoolItem, value: Any) -> None:
        """Have ``value`` worked on for an item, with the next stride."""
        self._gathered.append((item, value))

    def send(self) -> None:
        """Submit what was gathered, as far as the executor has room, in equal parts for its pool workers."""
        while self._gathered and self.out < self._capacity:
            taken = self._next()
            items = [item for item, _ in taken]
            try:
                future = self._executor.submit([value for _, value in taken], together=self._takes_batches)
            except ExecutorClosed as error:
                _tell(items, [Outcome(None, error)] * len(items))
                continue
            self.out += 1
            self._core.calls.follow(Stride(self, items, future), future, is_timed=self._is_timed)

    def _next(self) -> list[tuple[PoolItem, Any]]:
        """Take the items of the next stride, and what is to be worked on for them."""
        gathered = self._gathered
        most = min(self._most, -(-len(gathered) // self._executor.width))
        if not self._most_bytes:
            return [gathered.popleft() for _ in range(most)]
        taken = [gathered.popleft()]
        room = self._most_bytes - size_of(taken[0][0].value)
        while len(taken) < most and (room := room - size_of(gathered[0][0].value)) >= 0:
            taken.append(gathered.popleft())
        return taken

    def ended(self, stride: Stride) -> None:
        """Hand the outcomes of a stride to its items."""
        self.out -= 1
        try:
            outcomes = stride.future.result()
        except ExecutorClosed as error:
            outcomes = [Outcome(None, error)] * len(stride.items)
        stride.error = outcomes[0].error
        # it refers to the stride, and so to the items: all of it would stay until a collection of garbage
        del stride.future
        _tell(stride.items, outcomes, stride)


def _tell(items: Sequence[PoolItem], outcomes: Sequence[Outcome], stride: Stride | None = None) -> None:
    for item, outcome in zip(items, outcomes, strict=True):
        item.outcome, item.stride = outcome, stride
        item.call_ended()


def placing_of(component: Component) -> Placing | None:
    """The component as one that stands in for another which runs in a pool, ``None`` if it does its work itself."""
    found: Any = component
    return found if getattr(component, "is_pooled", False) else None
