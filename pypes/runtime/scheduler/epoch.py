"""Feeds and epochs: what is in flight together, and what became of each of its documents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pypes.core.ports import Origin

PUBLISHED = 1
FAILED = 2
_MARK = {bit: bytes(value | bit for value in range(256)) for bit in (PUBLISHED, FAILED)}


@dataclass(frozen=True, slots=True)
class Failure:
    """A packet that goes to the dead letters, and why. ``documents`` are ordinals within the feed."""

    documents: tuple[int, ...]
    node: str
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


@dataclass(slots=True)
class Feed:
    """Documents to push into a graph together.

    ``batches`` yields ``(node, packets, origins)``: which filter takes them, at most a wave of packets, and for each
    the ordinal (0 to ``documents`` - 1) of the document it is. It is pulled only as the wires have room, so it may
    decode lazily. ``deliveries`` is the caller's own, untouched here.
    """

    batches: Iterator[tuple[str, Sequence[Any], Sequence[int]]]
    documents: int
    deliveries: Sequence[Any] = field(default_factory=tuple)


class Epoch:
    """What is in flight together: one delivery, or several small ones that were waiting together.

    ``pending`` counts what keeps it from being done: chunks on wires, a component that has one in hand
    (pinned), components that hold packets of it, retries that are due later, and the feed until it is exhausted.
    """

    __slots__ = ("dead_letters", "fed", "feed", "feeding", "flags", "parents", "pending")

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.pending = 0
        self.feeding = False
        self.fed = 0
        self.flags = bytearray(feed.documents)
        self.dead_letters: list[Failure] = []
        #: For a carrier: whose documents it carries, in the order of its own ordinals.
        self.parents: tuple[tuple[Epoch, Origin], ...] = ()

    @classmethod
    def carrier(cls, held: Iterable[tuple[Epoch, Origin]]) -> Epoch:
        """An epoch for packets made of documents of several others: they are not done before it is."""
        parents = tuple(held)
        epoch = cls(Feed(iter(()), len(parents)))
        epoch.parents = parents
        for parent in {id(parent): parent for parent, _ in parents}.values():
            parent.pending += 1
        return epoch

    def mark(self, origins: Iterable[Origin], bit: int) -> None:
        """Note an outcome for documents: ``PUBLISHED`` or ``FAILED``."""
        flags = self.flags
        if isinstance(origins, range) and origins.step == 1:
            part = slice(origins.start, origins.stop)
            flags[part] = flags[part].translate(_MARK[bit])
            return
        for origin in origins:
            if type(origin) is int:
                flags[origin] |= bit
            else:
                self.mark(origin, bit)  # type: ignore[arg-type]

    def settle_parents(self) -> list[Epoch]:
        """Hand a finished carrier's outcomes to its parents; returns them, for each to give up its hold."""
        for bit in (PUBLISHED, FAILED):
            for flag, (parent, origin) in zip(self.flags, self.parents, strict=True):
                if flag & bit:
                    parent.mark((origin,), bit)
        for failure in self.dead_letters:
            # one packet, one dead letter: it is kept with the first of the deliveries it was made of
            first = self.parents[failure.documents[0]][0]
            origins = [self.parents[d][1] for d in failure.documents if self.parents[d][0] is first]
            first.dead_letters.append(replace(failure, documents=flatten(origins)))
        return list({id(parent): parent for parent, _ in self.parents}.values())


def flatten(origins: Iterable[Origin]) -> tuple[int, ...]:
    """The ordinals of all documents in ``origins``, each once, in order."""
    found: set[int] = set()
    for origin in origins:
        if isinstance(origin, int):
            found.add(origin)
        else:
            found.update(origin)
    return tuple(sorted(found))
