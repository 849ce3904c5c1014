"""Outcome of a delivery: document by document, with its dead letters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from itertools import chain
from typing import Any

import msgspec

from pypes.core.identity import NAMELESS, Named
from pypes.ingest.delivery import Header
from pypes.observe.spans import RunSpans

#: Deliveries that a log line names at most.
MOST_NAMED = 10


class DeadLetter(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A packet that could not be processed (or a whole delivery: ``filter`` is then empty), with its reason.

    ``documents`` are the ordinals, within the delivery, that it was made from; ``packet`` is the packet's JSON form as bytes
    (empty if there never was a packet); ``time`` is seconds since the epoch. ``id`` begins with the receipt.

    A letter may stand for many ``failures`` of one kind, without their packets: its documents are then ``spans`` (first,
    count, first, count, …), ascending. ``named`` is what its document is known by, without the id where it has several.
    """

    id: str
    documents: tuple[int, ...]
    graph: str
    version: int
    filter: str
    component: str
    code: str
    error: str
    traceback: str
    attempts: int
    packet: bytes
    time: float
    spans: tuple[int, ...] = ()
    failures: int = 1
    named: Named = NAMELESS

    @property
    def receipt(self) -> str:
        return receipt_of(self.id)

    @property
    def ordinals(self) -> Iterable[int]:
        """The documents it was made from, whichever way it names them; none of a letter for the whole delivery."""
        return in_spans(self.spans) if self.spans else self.documents

    @property
    def index(self) -> int | None:
        """The ordinal of its document, the first of several; ``None`` of a letter for the whole delivery."""
        return self.spans[0] if self.spans else self.documents[0] if self.documents else None

    @property
    def count(self) -> int:
        """Number of documents that the letter names; 0 for the whole delivery."""
        return sum(self.spans[1::2]) if self.spans else len(self.documents)


class Fate(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Fate of a document: ``published``, ``dropped`` or ``failed``.

    ``takers`` are the publishers that committed it (also where it failed elsewhere), ``filter`` is the one that dropped
    it or in which it failed, empty if that is not known.
    """

    outcome: str
    takers: tuple[str, ...] = ()
    filter: str = ""


class Details(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The fate of every document of a delivery, in their order, run-length encoded.

    ``runs`` is count, index into ``fates``, count, index, …; ``ids`` are the ids of the documents that have one, by ordinal
    (``None``: there are none, or too many to keep); ``letters`` ordinal → id of the dead letter. ``spans`` are the documents of
    dead letters that stand for many: id → first, count, first, count, … ``files`` are names of files by ordinal, of documents
    that were not published and have one of their own; ``file`` and ``route`` are those of the whole delivery.
    """

    fates: tuple[Fate, ...]
    runs: tuple[int, ...]
    ids: dict[int, str] | None = None
    letters: dict[int, str] | None = None
    spans: dict[str, tuple[int, ...]] | None = None
    files: dict[int, str] | None = None
    file: str | None = None
    route: str | None = None


class KeptTrace(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The trace of a delivery: what filters did with it, as JSON (an object), in which of its runs.

    ``run`` is 1 more than the instances that had the delivery before and ended, or gave it back; after a restart of the worker
    those count that ended over it. ``spans`` are there where spans are exported; they are not kept.
    """

    data: bytes
    run: int = 1
    spans: RunSpans | None = None


class Outcome(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Counts of documents of one delivery (their sum is the accepted number), their details, and its dead letters.

    ``version`` is that of the graph it ran in. ``details`` may be missing for a delivery that no instance ran.
    ``keeps_body``: the dead letters do not hold all there was, so the body as received must be kept. ``has_whole_packets``: those
    of them that have a packet hold all of it, and can be replayed without the body. ``removed`` has by publisher how many parts
    of older versions it has removed when it was told that the documents are complete. ``trace`` is there where it was
    wanted.
    """

    published: int = 0
    dropped: int = 0
    failed: int = 0
    dead_letters: tuple[DeadLetter, ...] = ()
    keeps_body: bool = False
    version: int = 0
    details: Details | None = None
    has_whole_packets: bool = False
    removed: dict[str, int] | None = None
    trace: KeptTrace | None = None

    def encode(self) -> bytes:
        return msgspec.msgpack.encode(self)

    @classmethod
    def decode(cls, data: bytes | memoryview) -> Outcome:
        """Inverse of :meth:`encode`; raises ``ValueError`` (of msgspec, or of the text in it)."""
        return msgspec.msgpack.decode(data, type=cls)


class Poison(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A document that ended its instance while its delivery ran alone: it is dead-lettered instead of being run again."""

    document: int
    filter: str
    cause: str


def failed_whole(
    receipt: str, header: Header, code: str, reason: str, *, attempts: int, time: float, keeps_body: bool = True
) -> Outcome:
    """The outcome of a delivery that failed as a whole: one dead letter for all of its documents."""
    letter = DeadLetter(
        id=dead_letter_id(receipt, 0, ""),
        documents=(),
        graph=header.graph,
        version=0,
        filter="",
        component="",
        code=code,
        error=reason,
        traceback="",
        attempts=attempts,
        packet=b"",
        time=time,
        named=header.named,
    )
    return Outcome(failed=header.documents, dead_letters=(letter,), keeps_body=keeps_body)


class ExitReason(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """End of an instance, as far as known.

    ``cause`` is a phrase (``killed by SIGSEGV``, ``not done after 5 s``, ``over 512 MiB of memory``). ``filter`` and ``document``
    (ordinal within the delivery that ran alone) are what its crash record names, empty and -1 if it names none.
    ``is_outside``: somebody else's kill; it says nothing about what ran.
    """

    cause: str
    filter: str = ""
    document: int = -1
    is_outside: bool = False


def failure_log_fields(receipt: str, graph: str, outcome: Outcome) -> dict[str, Any]:
    """Fields of a log line about a delivery with failed documents and the first of its dead letters."""
    fields: dict[str, Any] = {"receipt": receipt, "graph": graph, "failed": outcome.failed}
    if outcome.dead_letters:
        first = outcome.dead_letters[0]
        fields |= {
            "dead_letters": len(outcome.dead_letters),
            "filter": first.filter,
            "code": first.code,
            "error": first.error[:200],
        }
        if first.index is not None:
            fields["index"] = first.index
        fields |= first.named.log_fields()
        if first.attempts > 1:
            fields["attempts"] = first.attempts
    return fields


def dead_letter_id(receipt: str, document: int, filter: str, ordinal: int = 0) -> str:
    """Id of a dead letter: the same for every run of the same delivery, so that a re-run replaces it, never doubles it.

    It begins with the receipt, which leads to the shard that has it.
    """
    digest = blake2b(f"{document}/{filter}/{ordinal}".encode(), digest_size=5).hexdigest()
    return f"{receipt}-{digest}"


def many_letter_id(receipt: str, filter: str, code: str) -> str:
    """Id of the dead letter that stands for many failures; sorts before all others of its receipt.

    So whoever replays or deletes in the order of ids comes to it first, and what it shares documents with goes along.
    """
    digest = blake2b(f"{filter}/{code}".encode(), digest_size=5).hexdigest()
    return f"{receipt}-.{digest}"


def in_spans(spans: Iterable[int]) -> Iterator[int]:
    """The ordinals of spans: first, count, first, count, …"""
    numbers = iter(spans)
    return chain.from_iterable(range(first, first + count) for first, count in zip(numbers, numbers, strict=True))


def spans_of(ordinals: Iterable[int]) -> tuple[int, ...]:
    """Ascending ordinals as spans: first, count, first, count, …"""
    if type(ordinals) is range and ordinals.step == 1:
        return (ordinals.start, len(ordinals))
    spans: list[int] = []
    for ordinal in ordinals:
        if spans and ordinal == spans[-2] + spans[-1]:
            spans[-1] += 1
        else:
            spans += (ordinal, 1)
    return tuple(spans)


def receipt_of(letter_id: str) -> str:
    """The receipt in a dead letter's id; other text gives an invalid receipt id."""
    return letter_id.rpartition("-")[0]
