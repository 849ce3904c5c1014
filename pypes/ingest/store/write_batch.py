"""Data that a store writes in one transaction, and finds at its opening."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pypes.access.audit import Cause
from pypes.ingest.accounts import Account, Counts
from pypes.ingest.ordering import Fresh
from pypes.ingest.outcome import DeadLetter
from pypes.ingest.store.keys import KeyRow, Span
from pypes.ingest.store.partition import FoundPart


class Found(NamedTuple):
    """A commit found at the opening of a store, without bodies; ``done``: position → account of an acknowledged delivery."""

    key: int
    salt: int
    entries: int
    size: int
    spools: list[str]
    done: dict[int, Account]
    crashes: dict[int, int]
    parts: list[FoundPart]


class Amount(NamedTuple):
    """Receipts, counted by delivery, and their bytes, roughly."""

    receipts: int = 0
    bytes: int = 0


class History(NamedTuple):
    """Size of the history in a store, and the documents of it.

    ``rows`` are receipts that are not in blocks yet, ``blocks`` those that are, by graph. ``counts`` are the documents of all
    finished deliveries that ever were, by graph. ``letters`` are graph, count and bytes, the bytes with the bodies kept for them.
    ``keys`` are the numbers of idempotency keys by their span and by graph, ``trace_bytes`` what the traces take.
    """

    rows: Amount
    blocks: dict[str, Amount]
    counts: dict[str, Counts]
    letters: list[tuple[str, int, int]]
    keys: dict[Span, dict[str, int]]
    trace_bytes: int = 0


class Remains(NamedTuple):
    """Remains of a delivery with failed documents: its dead letters, its header, and its body if kept.

    ``is_needed``: the packets of the dead letters do not hold all there was. ``body`` is None if it is in the file ``spool``, or
    not kept.
    """

    receipt: str
    letters: tuple[DeadLetter, ...]
    header: bytes | None
    body: bytes | None
    spool: str | None
    size: int
    is_needed: bool

    @property
    def graph(self) -> str:
        return self.letters[0].graph

    @property
    def has_body(self) -> bool:
        return self.body is not None or self.spool is not None


#: Operations that a shard has lines of.
EDIT, DELETE, REPLAY, RUN = "deadletters.edit", "deadletters.delete", "deadletters.replay", "sources.run"


class Noted(NamedTuple):
    """A change in a write batch that has a line in the audit log, or one for each graph whose dead letters it is about.

    ``letters`` are the ids that were asked for, those that are not there included. ``receipt`` is that of a replay.
    """

    cause: Cause
    operation: str
    graph: str = ""
    letters: Sequence[str] = ()
    receipt: str = ""


#: Key, salt, count, size, names of spool files, data.
CommitRow = tuple[int, int, int, int, str | None, bytes]


@dataclass(slots=True)
class WriteBatch:
    """Everything one transaction writes."""

    row: CommitRow | None = None
    done: list[int] = field(default_factory=list)
    #: Key, salt, entries, 1 if anything failed, bytes, accounts.
    receipts: list[tuple[int, int, int, int, int, str]] = field(default_factory=list)
    progressed: list[int] = field(default_factory=list)
    progress: list[tuple[int, str]] = field(default_factory=list)
    #: Key, position, encoded details.
    details: list[tuple[int, int, bytes]] = field(default_factory=list)
    #: Key, position, run, trace in JSON.
    traces: list[tuple[int, int, int, bytes]] = field(default_factory=list)
    #: Key, position, count, encoded poisons.
    crashes: list[tuple[int, int, int, bytes | None]] = field(default_factory=list)
    recovered: list[int] = field(default_factory=list)
    dead: list[Remains] = field(default_factory=list)
    #: Commits whose row cannot be read: they stay where they are, marked. Key, reason.
    damaged: list[tuple[int, str]] = field(default_factory=list)
    #: Ids of dead letters that go.
    removed: list[str] = field(default_factory=list)
    #: Packet, id.
    edited: list[tuple[bytes, str]] = field(default_factory=list)
    keys: list[KeyRow] = field(default_factory=list)
    #: Receipt, URL, due.
    callbacks: list[tuple[str, str, float]] = field(default_factory=list)
    #: Receipt, encoded trace context.
    contexts: list[tuple[str, bytes]] = field(default_factory=list)
    called: list[str] = field(default_factory=list)
    #: Due, receipt.
    postponed: list[tuple[float, str]] = field(default_factory=list)
    #: Live documents that were taken while bulk deliveries waited.
    fresh: list[Fresh] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    #: Keys of commits whose rows are to be written without their deliveries at these positions, which are done.
    rewrites: list[tuple[int, frozenset[int]]] = field(default_factory=list)
    #: Of a replay: key, position, its receipt, the receipt whose documents it runs again, dead letter, filter, documents.
    replays: list[tuple[int, int, str, str, str, str | None, str]] = field(default_factory=list)
    #: Graph, filter, cursor.
    cursors: list[tuple[str, str, str]] = field(default_factory=list)
    #: Those of ``removed``, ``edited``, ``replays`` and ``cursors`` that somebody has asked for.
    noted: list[Noted] = field(default_factory=list)

    @property
    def is_rare(self) -> bool:
        return bool(
            self.details
            or self.traces
            or self.dead
            or self.crashes
            or self.recovered
            or self.keys
            or self.callbacks
            or self.called
            or self.postponed
            or self.removed
            or self.replays
            or self.edited
            or self.fresh
            or self.stale
            or self.cursors
            or self.damaged
            or self.rewrites
        )

    def write_again(self, failed: WriteBatch) -> None:
        """Prepend the changes of the failed write batch to this one, so that they commit first."""
        self.details[:0] = failed.details
        self.traces[:0] = failed.traces
        self.dead[:0] = failed.dead
        self.damaged[:0] = failed.damaged
        self.callbacks[:0] = failed.callbacks
        self.contexts[:0] = failed.contexts
        self.called[:0] = failed.called
        self.postponed[:0] = failed.postponed
        self.stale[:0] = failed.stale


class Result(NamedTuple):
    """Effects of a commit: dead letters and their bytes by graph, and those that were found and removed or edited.

    ``spools`` are files to remove.
    """

    letters: tuple[tuple[str, int, int], ...] = ()
    removed: tuple[str, ...] = ()
    edited: tuple[str, ...] = ()
    spools: tuple[str, ...] = ()
