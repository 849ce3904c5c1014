"""UidSet: numbers of mails, as the ranges in which IMAP writes them (``1:500,502``), since a folder has few gaps."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator


class UidSet:
    """Whole numbers in ascending order; adding the largest costs nothing, however many there are."""

    def __init__(self, uids: Iterable[int] = ()) -> None:
        self._lows: list[int] = []
        self._highs: list[int] = []
        for uid in sorted(uids):
            self.add(uid)

    @classmethod
    def parse(cls, text: str) -> UidSet:
        """A set from its text, empty for none. Raises ``ValueError`` for text that is none of ``str(UidSet)``."""
        made = cls()
        for part in filter(None, text.split(",")):
            low, _, high = part.partition(":")
            made._lows.append(int(low))
            made._highs.append(int(high or low))
        return made

    def __str__(self) -> str:
        pairs = zip(self._lows, self._highs, strict=True)
        return ",".join(str(low) if low == high else f"{low}:{high}" for low, high in pairs)

    def __contains__(self, uid: int) -> bool:
        at = bisect_right(self._lows, uid) - 1
        return at >= 0 and uid <= self._highs[at]

    def __iter__(self) -> Iterator[int]:
        for low, high in zip(self._lows, self._highs, strict=True):
            yield from range(low, high + 1)

    def __len__(self) -> int:
        return sum(self._highs) - sum(self._lows) + len(self._lows)

    def add(self, uid: int) -> None:
        """Put one in; nothing happens if it is there."""
        if uid in self:
            return
        at = bisect_right(self._lows, uid)
        ends_before = at > 0 and self._highs[at - 1] == uid - 1
        begins_behind = at < len(self._lows) and self._lows[at] == uid + 1
        if ends_before and begins_behind:
            self._highs[at - 1] = self._highs.pop(at)
            del self._lows[at]
        elif ends_before:
            self._highs[at - 1] = uid
        elif begins_behind:
            self._lows[at] = uid
        else:
            self._lows.insert(at, uid)
            self._highs.insert(at, uid)

    def without(self, uids: Iterable[int]) -> UidSet:
        """The others."""
        taken = set(uids)
        return UidSet(uid for uid in self if uid not in taken)
