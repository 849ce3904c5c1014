"""Receipts: the id under which a delivery can be followed, and its reported state.

An id is a UUIDv7 (RFC 9562) whose free bits lead to the delivery without any index::

    48 bits  node's time of acceptance, ms          ┐ the commit key, strictly increasing
     4       version 7                              │ within a shard (ms << 6 | counter)
     6       commits within the same ms             ┘
     6       node, high bits
     2       variant
    26       node, low bits
     8       shard
    14       index of the delivery within its commit
    14       salt of the commit: an id that was never given out is not found by counting

The node's time is that of day when the node began, and moves on as time passes, whatever is done to the wall clock.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from pypes.access.client import is_among
from pypes.errors import NotFound

MAX_INDEX = (1 << 14) - 1
MAX_SALT = (1 << 14) - 1
MAX_SHARD = (1 << 8) - 1

_MASK_48 = (1 << 48) - 1


class ReceiptId(NamedTuple):
    """The parts of a receipt's id; ``str()`` gives the id itself."""

    node: int
    shard: int
    key: int
    position: int
    salt: int

    @classmethod
    def parse(cls, text: str) -> ReceiptId:
        """Take an id apart; raises :class:`NotFound` for anything that is not one."""
        digits = text.replace("-", "") if len(text) == 36 else ""
        try:
            number = int(digits, 16) if len(digits) == 32 else -1
        except ValueError:
            number = -1
        if number < 0 or (number >> 76) & 0xF != 7 or (number >> 62) & 3 != 2:
            raise NotFound("the text is not the id of a receipt; use the id that POST /docs returned", code="receipt.not_found")
        high = (number >> 64) & 0xFFF
        return cls(
            node=(high & 0x3F) << 26 | (number >> 36) & 0x3FFFFFF,
            shard=(number >> 28) & 0xFF,
            key=(number >> 80) << 6 | high >> 6,
            position=(number >> 14) & MAX_INDEX,
            salt=number & MAX_SALT,
        )

    @property
    def received(self) -> float:
        """Time at which the delivery was accepted, in seconds of the node's time (:mod:`pypes.core.nodetime`)."""
        return time_of(self.key)

    def __str__(self) -> str:
        return ReceiptIds(self.node, self.shard, self.key, self.salt)[self.position]


class ReceiptIds:
    """The ids of all deliveries of one commit: made by the thousand, so the common part is formatted once."""

    __slots__ = ("_base", "_prefix")

    def __init__(self, node: int, shard: int, key: int, salt: int) -> None:
        ms, counter = key >> 6, key & 0x3F
        a = 0x7000 | counter << 6 | node >> 26
        b = 0x8000 | (node >> 12) & 0x3FFF
        self._prefix = f"{ms >> 16:08x}-{ms & 0xFFFF:04x}-{a:04x}-{b:04x}-"
        self._base = (node & 0xFFF) << 36 | shard << 28 | salt

    def __getitem__(self, index: int) -> str:
        return f"{self._prefix}{self._base | index << 14:012x}"

    def first(self, count: int) -> list[str]:
        """The ids of so many deliveries."""
        prefix, base = self._prefix, self._base
        return [f"{prefix}{base | index << 14:012x}" for index in range(count)]


def received_of(receipt: str) -> float:
    """Time at which a delivery was accepted, in seconds of the node's time, read from its receipt's id."""
    return int(receipt[:8] + receipt[9:13], 16) / 1000


def commit_key(now_s: float, last: int) -> int:
    """Key of a commit made at ``now_s``: greater than ``last`` even when the clock stands still or goes back."""
    return max(int(now_s * 1000) << 6, last + 1)


def first_key(now_s: float) -> int:
    """The least key that a commit made at ``now_s`` can have."""
    return int(now_s * 1000) << 6


def time_of(key: int) -> float:
    """The node's time at which the commit with this key was made, in seconds."""
    return (key >> 6) / 1000


@lru_cache(maxsize=64)
def rfc3339(seconds: float) -> str:
    """Seconds since the epoch as RFC 3339 in UTC, with milliseconds. PERF: remembered, as all of one commit have one time."""
    ms = round(seconds * 1000)
    return f"{_second(ms // 1000)}.{ms % 1000:03d}Z"


@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


@dataclass(frozen=True, slots=True)
class ReplayOf:
    """Origin of a replay: the receipt whose documents it runs again, and the first of the dead letters it stands for.

    ``start`` is where it began: the name of the filter, empty for the adapters.
    """

    receipt: str
    deadletter: str
    start: str


@dataclass(frozen=True, slots=True)
class ReplayState:
    """A delivery that runs failed documents again, how many of them, and its state."""

    receipt: str
    documents: int
    state: str


@dataclass(frozen=True, slots=True)
class ReplayedDocument:
    """The same document in another delivery; ``outcome`` is what became of it there, ``None`` where that is not told."""

    receipt: str
    index: int
    outcome: str | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """State of a delivery; the numbers count documents. ``state`` is queued, processing, done or failed.

    ``received``, ``started`` (first handed to an instance since its worker started) and ``finished`` are RFC 3339, ``None`` for
    what has not happened yet. ``version`` is that of the graph it ran in, 0 until it is finished, and if it never came so far;
    it is shown as ``None`` then. ``reason`` says why it waits, if it is known to be because of its graph.
    ``replay_of`` tells where a replay comes from, ``replays`` which deliveries run
    its failed documents again, the newest first; both only where one receipt is asked for. ``removed`` has by publisher how
    many parts of older versions of its documents are gone. ``posted_by`` names who handed it in, "" if that is not known.
    """

    receipt: str
    state: str
    accepted: int
    published: int
    dropped: int
    failed: int
    pending: int
    received: str
    started: str | None = None
    finished: str | None = None
    graph: str = ""
    version: int = 0
    reason: str | None = None
    replay_of: ReplayOf | None = None
    replays: tuple[ReplayState, ...] = ()
    removed: dict[str, int] | None = None
    posted_by: str = ""

    def to_obj(self) -> dict[str, Any]:
        shown = asdict(self)
        shown["version"] = self.version or None
        for name in ("reason", "replay_of", "replays", "removed", "posted_by"):
            if not shown[name]:
                del shown[name]
        return shown


class ReceiptQuery(msgspec.Struct, frozen=True, gc=False):
    """Criteria for receipts: no ``state`` and an empty ``graph`` match every one, ``since`` is seconds since the epoch."""

    state: str | None = None
    #: Accepted then or later; the id of a receipt tells, and not the receipt.
    since: float = 0.0
    graph: str = ""
    #: Only those of graphs with these names or patterns; empty: of all.
    among: tuple[str, ...] = ()

    def matches(self, receipt: Receipt) -> bool:
        """True by all but ``since``."""
        return (
            self.state in (None, receipt.state)
            and self.graph in ("", receipt.graph)
            and (not self.among or is_among(receipt.graph, self.among))
        )


@dataclass(frozen=True, slots=True)
class DocumentReport:
    """Outcome of one document; ``index`` is its ordinal in the delivery.

    ``outcome`` is published, dropped, failed or pending; ``publishers`` are those that took it (also if it failed elsewhere),
    ``filter`` is the one that dropped it or in which it failed (``""``: not known), ``deadletter`` the id of its dead letter.
    ``file`` and ``route`` are known while it waits, and of what was not published. ``replay`` is the same document in the
    delivery that ran it again, ``origin`` in the one that this delivery runs again.
    """

    index: int
    outcome: str
    id: str | None = None
    publishers: tuple[str, ...] = ()
    filter: str = ""
    deadletter: str | None = None
    file: str | None = None
    route: str | None = None
    replay: ReplayedDocument | None = None
    origin: ReplayedDocument | None = None
