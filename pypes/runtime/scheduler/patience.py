"""Patience: how long a filter waits to be told of documents for which its service cannot be reached."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pypes.runtime.scheduler.core import Core


class Doubt:
    """A document of which alone a filter could not be told. ``is_proven``: of others it could."""

    __slots__ = ("is_proven", "since_s", "tries")

    def __init__(self, since_s: float) -> None:
        self.since_s = since_s
        self.tries = 0
        self.is_proven = False


class Patience:
    """Decides of which documents a filter is told no more; see :mod:`pypes.runtime.scheduler.narrowing` for packets.

    ``patience_s`` is the least time for which a document is tried of which it is known that it alone is to blame.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        #: The first document of those that were told in vain, since when it is that one, and how often.
        self._first: Any = None
        self._first_s = 0.0
        self._failures = 0
        self._doubts: dict[Any, Doubt] = {}
        #: Documents of which a packet was given up, because the destination could not be reached for it.
        self.hopeless: set[Any] = set()

    def is_over(self, first: Any) -> bool:
        """True if the documents, of which this is the first, are to be told one by one, after they were told in vain."""
        if first is not self._first:
            self._restart(first)
        self._failures += 1
        return bool(self._doubts) or self._is_long

    @property
    def _is_long(self) -> bool:
        return self._core.clock() - self._first_s >= self._core.limits.unreachable_s

    def _restart(self, first: Any) -> None:
        self._first, self._first_s, self._failures = first, self._core.clock(), 0

    def given_up(self, failed: Sequence[Any], passed: int, *, most_attempts: int, patience_s: float) -> dict[Any, int]:
        """Of documents that failed by themselves, while ``passed`` others got through, those to give up, with their tries.

        That may be the first, if nothing got through for too long: perhaps none of these can be taken.
        """
        now, found = self._core.clock(), {}
        doubts = [self._doubts.setdefault(document, Doubt(now)) for document in failed]
        for doubt in [doubt for doubt in doubts if not doubt.is_proven][:passed]:
            doubt.is_proven = True
        for document, doubt in zip(failed, doubts, strict=True):
            doubt.tries += 1
            if doubt.is_proven and doubt.tries >= most_attempts and now - doubt.since_s >= patience_s:
                found[document] = self._failures + doubt.tries - 1
        if failed and not passed and self._is_long and not any(doubt.is_proven for doubt in doubts):
            found[failed[0]] = self._failures
        if passed or found:
            self._restart(None)
            self._doubts = {document: doubt for document, doubt in self._doubts.items() if doubt.is_proven}
        return found

    def forget(self, document: Any) -> None:
        """The filter need not be told of a document any more."""
        self._doubts.pop(document, None)
        self.hopeless.discard(document)
