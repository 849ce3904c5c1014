"""Deliveries of a backlog: the commits they came in, and the streams in which they wait. Pure bookkeeping.

What waits of one stream was given back, is let go by the key locks of its graph, is at hand, or is in the store only.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

import msgspec

from pypes.ingest.accounts import Account
from pypes.ingest.contracts.leasing import Stream
from pypes.ingest.delivery import Header, Spooled
from pypes.ingest.folding import FoldedAccounts, fold
from pypes.ingest.ordering import EVERY

_OVERHEAD_BYTES = 512  # what a waiting delivery takes in memory besides its body
#: Bytes of a delivery in the row of its commit besides its body, roughly.
HEADER_BYTES = 64


class Delivery(msgspec.Struct, eq=False):
    """One delivery in memory. ``token`` is 0 unless leased, ``started`` the first hand-over, ms since the epoch (0: not yet).

    ``backlog`` is that of its stream, once it is in one. In an ordered graph, ``is_in_line`` while it stands in the lines of its
    keys, until it is finished; ``waits`` counts those in which it is not first, ``is_passable`` while live ones may pass it.
    """

    group: Group
    position: int
    id: str
    header: Header
    body: bytes | Spooled
    decoded: bytes | None
    token: int = 0
    attempt: int = 0
    crashes: int = 0
    is_suspect: bool = False
    started: int = 0
    cached_bytes: int = 0
    backlog: StreamBacklog | None = None
    waits: int = 0
    is_in_line: bool = False
    is_passable: bool = False

    def __post_init__(self) -> None:
        inline = 0 if isinstance(self.body, Spooled) else len(self.body)
        self.cached_bytes = inline + (len(self.decoded) if self.decoded else 0) + _OVERHEAD_BYTES


class Group:
    """The deliveries of one commit.

    ``deliveries`` is None while all of them are only in the store; an item is None while that one is, and once it is finished.
    ``size``: bytes of the row of the commit, as far as they are known. ``spent_bytes``: those of bodies in it that were finished.
    """

    __slots__ = (
        "crashes",
        "deliveries",
        "entries",
        "has_progress",
        "key",
        "left_out",
        "outcomes",
        "remaining",
        "salt",
        "size",
        "spent_bytes",
    )

    def __init__(self, key: int, salt: int, size: int, entries: int) -> None:
        self.key = key
        self.salt = salt
        self.size = size
        self.deliveries: list[Delivery | None] | None = None
        self.entries = entries
        # PERF: a backlog may be a million groups of one, so nothing is made before it is needed
        self.outcomes: list[Account | None] | FoldedAccounts | None = None
        self.remaining = entries
        self.has_progress = False
        self.crashes: dict[int, int] | None = None
        self.spent_bytes = 0
        #: The number of deliveries that are in the row no more.
        self.left_out = 0

    @property
    def spent(self) -> int:
        """Bytes of the row that belong to finished deliveries, headers included."""
        return self.spent_bytes + HEADER_BYTES * (self.entries - self.remaining - self.left_out)

    @property
    def is_mostly_spent(self) -> bool:
        return 2 * self.spent > self.size

    def fold(self) -> None:
        """Keep the accounts in less memory: the deliveries that are left may wait for long."""
        if isinstance(self.outcomes, list):
            self.outcomes = fold(self.outcomes) or self.outcomes

    def account(self, position: int) -> Account | None:
        """The account of a finished delivery, None of one that is not."""
        return self.outcomes[position] if self.outcomes is not None else None

    def finish(self, position: int, account: Account) -> None:
        outcomes = self.outcomes
        if not isinstance(outcomes, list):
            self.outcomes = outcomes = [None] * self.entries if outcomes is None else list(outcomes)
        outcomes[position] = account
        self.remaining -= 1
        if self.deliveries is not None:
            self.deliveries[position] = None


class Lines(Protocol):
    """The lines in which deliveries of an ordered graph stand for their keys, see :class:`.key_locks.KeyLocks`."""

    live: StreamBacklog
    bulk: StreamBacklog
    sole: Delivery | None

    def lock_all(self, delivery: Delivery) -> bool: ...
    def request(self, delivery: Delivery) -> bool: ...
    def request_passable(self, delivery: Delivery) -> bool: ...


#: So many deliveries that stand in line, and so many keys of theirs, are looked past for one that may run.
AHEAD_DELIVERIES = 1024
AHEAD_KEYS = 65_536

_KEY_BYTES = 4


class Part:
    """The deliveries of one commit and one stream that are in the store only; ``positions`` is None if they are all of it."""

    __slots__ = ("backlog", "bytes", "group", "positions")

    def __init__(self, group: Group, positions: list[int] | None, bytes: int) -> None:
        self.group = group
        self.positions = positions
        self.bytes = bytes
        #: Set while it is being read.
        self.backlog: StreamBacklog | None = None


class StreamBacklog:
    """The unfinished deliveries of one stream, in order of append; returned deliveries go first.

    ``deliveries``, ``documents`` and ``bytes`` count what is unfinished, lent or not. ``ahead`` are deliveries that stand in line
    and were not lent yet, in order; those of them in ``free`` may run. Nothing in ``warm`` is newer than anything in ``cold``.
    ``is_barred``: the next one cannot even stand in line before something of its graph is lent or finished.
    """

    __slots__ = (
        "ahead",
        "ahead_keys",
        "bytes",
        "cached_bytes",
        "cold",
        "deliveries",
        "documents",
        "free",
        "is_barred",
        "is_bulk",
        "returned",
        "stream",
        "warm",
    )

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.is_bulk = stream.is_bulk
        self.deliveries = 0
        self.documents = 0
        self.bytes = 0
        self.cached_bytes = 0
        self.returned: deque[Delivery] = deque()
        self.free: deque[Delivery] = deque()
        self.warm: deque[Delivery] = deque()
        self.cold: deque[Part] = deque()
        self.ahead: dict[Delivery, None] = {}
        self.ahead_keys = 0
        self.is_barred = False

    @property
    def is_leasable(self) -> bool:
        """True if there is something at hand that may run, as far as is known without looking ahead."""
        return bool(self.returned) or (bool(self.warm) and not self.is_barred) or self.has_free()

    @property
    def can_cool(self) -> bool:
        """True if there is a commit at hand behind the one that goes next."""
        return bool(self.warm) and self.warm[0].group is not self.warm[-1].group

    @property
    def is_held(self) -> bool:
        """True if something waits for others of its keys to be finished."""
        return self.is_barred or len(self.ahead) > len(self.free)

    def has_free(self) -> bool:
        """True if ``free`` begins with one that may run."""
        free = self.free
        # a passable one may have been passed, or lent, since it was let go
        while free and (free[0].waits or free[0].attempt):
            free.popleft()
        return bool(free)

    def head(self) -> int | None:
        """Commit of the oldest delivery that was not lent and does not stand in line yet."""
        if self.warm:
            return self.warm[0].group.key
        return self.cold[0].group.key if self.cold else None

    def oldest(self) -> int | None:
        """Commit of the oldest delivery that is neither lent nor delayed."""
        waiting = [delivery.group.key for delivery in self.returned]
        if self.ahead:
            waiting.append(next(iter(self.ahead)).group.key)
        if (head := self.head()) is not None:
            waiting.append(head)
        return min(waiting, default=None)

    def bar(self) -> bool:
        self.is_barred = True
        return False

    def look_at(self, delivery: Delivery, locks: Lines) -> bool:
        """Put the first of ``warm``, which has keys, into its lines (and ``free`` if it may run); False if it must stay."""
        if locks.sole is not None or len(self.ahead) >= AHEAD_DELIVERIES or self.ahead_keys >= AHEAD_KEYS:
            return self.bar()
        commit = delivery.group.key
        other = locks.live if self.is_bulk else locks.bulk
        if self.is_bulk:
            head = other.head()
            # what live deliveries of the same commit lock goes first: neither was acknowledged before the other
            if head is not None and head <= commit:
                return self.bar()
        keys = delivery.header.keys
        if keys == EVERY:
            # it names no key that older bulk documents could be told to leave alone: it waits for them
            if not self.is_bulk and other.is_before(commit):
                return self.bar()
            if not locks.lock_all(delivery):
                return self.bar()
            is_free = True
        else:
            is_free = locks.request_passable(delivery) if self.is_bulk else locks.request(delivery)
        self.ahead[delivery] = None
        self.ahead_keys += len(keys) // _KEY_BYTES
        if is_free:
            self.free.append(delivery)
        return True

    def is_before(self, commit: int) -> bool:
        """True if something that was never lent was appended before a commit."""
        if self.ahead and next(iter(self.ahead)).group.key < commit:
            return True
        head = self.head()
        return head is not None and head < commit

    def step_out(self, delivery: Delivery) -> None:
        """A delivery from ``ahead`` is lent or finished."""
        del self.ahead[delivery]
        self.ahead_keys -= len(delivery.header.keys) // _KEY_BYTES
