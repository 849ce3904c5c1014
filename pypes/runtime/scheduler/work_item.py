"""Work item: one packet that a concurrent driver works on, while others are out."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol

from greenlet import greenlet

from pypes.placement.executor import Outcome
from pypes.runtime.scheduler.core import Core
from pypes.runtime.scheduler.epoch import Epoch
from pypes.runtime.scheduler.lineage import Lineage, flatten
from pypes.runtime.scheduler.pooling import Stride


class Resuming(Protocol):
    """The filter of an item, as far as that knows it."""

    core: Core
    bit: int
    #: Items that can go on.
    resumable: deque[Item]

    @property
    def name(self) -> str: ...


class Joint:
    """The epoch and lineage of what was made of several items together: those that all have, or an epoch derived from theirs."""

    __slots__ = ("epoch", "lineage", "values")

    def __init__(self, items: Sequence[Item]) -> None:
        self.values = [item.value for item in items]
        self.lineage: Lineage
        epochs = {id(item.epoch) for item in items}
        if len(epochs) == 1:
            self.epoch, self.lineage = items[0].epoch, flatten([item.lineage for item in items])
        else:
            self.epoch = Epoch.derived([(item.epoch, item.lineage) for item in items])
            self.lineage = tuple(range(len(items)))
        self.epoch.acquire()


class Item:
    """One packet that is worked on, with what was sent over it so far: (port, packet)."""

    __slots__ = (
        "epoch",
        "error",
        "filter",
        "greenlet",
        "is_done",
        "is_kept",
        "is_of_all",
        "is_stalled",
        "joint",
        "lineage",
        "outcome",
        "result",
        "sent",
        "sent_of_all",
        "stride",
        "value",
        "was_emitted",
    )

    def __init__(self, filter: Resuming, epoch: Epoch, value: Any, lineage: Lineage) -> None:
        self.filter = filter
        self.epoch = epoch
        self.value = value
        self.lineage = lineage
        self.greenlet: greenlet | None = None
        self.sent: list[tuple[str, Any]] = []
        self.result: Any = None
        #: Of its work in a pool, when that is done.
        self.outcome: Outcome | None = None
        self.stride: Stride | None = None
        #: It was one of a batch of which something was made as a whole; the first of them has that in ``sent_of_all``.
        self.is_of_all = False
        self.sent_of_all: list[tuple[str, Any]] = []
        self.joint: Joint | None = None
        self.error: BaseException | None = None
        self.is_done = False
        #: It has sent more than a wire holds, and waits for its turn to send, or for room.
        self.is_stalled = False
        self.was_emitted = False
        #: Its document is to stay as it is behind this filter.
        self.is_kept = False

    @property
    def name(self) -> str:
        """The filter whose call it is, for whoever looks at calls that take long."""
        return self.filter.name

    def join(self) -> Joint:
        """The epoch and lineage of what was made of the batch whose first item this is; nothing of it is dropped then."""
        if self.joint is None:
            assert self.stride is not None
            # those after it have not gone on yet, so that each still has its outcome
            others = [item for item in self.stride.items if isinstance(item, Item) and item.is_good]
            self.joint = Joint([self, *others])
            for item in others:
                item.was_emitted = True
            self.was_emitted = True
        return self.joint

    @property
    def is_good(self) -> bool:
        """True if its pool has worked on it without an error."""
        return self.outcome is not None and self.outcome.error is None

    def release(self) -> None:
        """Give up its holds."""
        if self.joint is not None:
            self.joint.epoch.release()
            self.joint = None
        self.epoch.release()

    def call_ended(self) -> None:
        """A call that it waited for has ended."""
        if not self.is_done:  # else it was given up meanwhile
            self.filter.resumable.append(self)
            self.wake()

    def wake(self) -> None:
        """Have its filter take a turn."""
        self.filter.core.ready.waiting |= self.filter.bit
