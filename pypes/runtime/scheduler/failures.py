"""The failures of an epoch: each by itself, up to so many of one delivery; beyond, those that failed alike are one."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from pypes.core.identity import NAMELESS, Named

#: Failures of one delivery that are kept with their packets.
MOST_FAILURES = 10_000


class Spans:
    """Ordinals of documents, as spans: neighbours that come one after the other, as they nearly always do, take no room."""

    __slots__ = ("_flat", "count")

    def __init__(self) -> None:
        #: The number of failures; a document may have several.
        self.count = 0
        self._flat = array("Q")

    def add(self, documents: tuple[int, ...]) -> None:
        self.count += 1
        flat = self._flat
        for document in documents:
            if flat:
                end = flat[-2] + flat[-1]
                if flat[-2] <= document < end:
                    continue
                if document == end:
                    flat[-1] += 1
                    continue
            flat.extend((document, 1))

    def within(self, start: int, stop: int) -> tuple[int, ...]:
        """Those from ``start`` to before ``stop``, counted from there: first, count, first, count, … ascending, each once."""
        merged: list[int] = []
        for first, count in sorted(zip(self._flat[::2], self._flat[1::2], strict=True)):
            own, end = max(first, start) - start, min(first + count, stop) - start
            if own >= end:
                continue
            if merged and own <= merged[-2] + merged[-1]:
                merged[-1] = max(merged[-1], end - merged[-2])
            else:
                merged += (own, end - own)
        return tuple(merged)

    def __iter__(self) -> Iterator[int]:
        """The documents; one that failed again later may come twice."""
        pairs = zip(self._flat[::2], self._flat[1::2], strict=True)
        return chain.from_iterable(range(first, first + count) for first, count in pairs)


@dataclass(frozen=True, slots=True)
class Failure:
    """A packet that goes to the dead letters, and why. ``documents`` are ordinals within the feed.

    ``many``: it stands for many packets that failed alike, and these are the documents of all of them.
    """

    documents: tuple[int, ...]
    filter: str
    component: str
    code: str
    error: str
    traceback: str
    packet: bytes
    attempts: int
    time: float
    #: False if ``packet`` is not all there was: a large body is left out, or there never was a packet. Then what the
    #: documents came from must be kept as well.
    is_whole: bool = True
    many: Spans | None = field(default=None, compare=False)
    #: The names that the packet gave itself.
    named: Named = NAMELESS
    #: The packet and the exception themselves, where whoever runs the graph is in the same process and asks for them.
    cause: tuple[Any, BaseException] | None = field(default=None, compare=False, repr=False)


class Failures(list[Failure]):
    """The failures of an epoch. :meth:`keep` bounds those of one delivery, so that what is kept does not grow with them."""

    __slots__ = ("_counts", "_many")

    def __init__(self) -> None:
        super().__init__()
        self._counts: dict[int, int] = {}
        self._many: dict[tuple[int, str, str], Spans] = {}

    def has_many(self, delivery: int, filter: str, code: str) -> bool:
        """True if another failure of this kind is only counted."""
        return (delivery, filter, code) in self._many

    def keep(self, failure: Failure, delivery: int) -> None:
        """Take a failure of a delivery, given by its place in the feed."""
        count = self._counts[delivery] = self._counts.get(delivery, 0) + 1
        if count <= MOST_FAILURES:
            self.append(failure)
            return
        kind = (delivery, failure.filter, failure.code)
        spans = self._many.get(kind)
        if spans is None:
            spans = self._many[kind] = Spans()
            self.append(replace(failure, packet=b"", is_whole=False, many=spans))
        spans.add(failure.documents)
