"""Accounts of a commit that stays unfinished for long, folded into a tenth of their memory."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from itertools import accumulate

from pypes.ingest.accounts import Account, Kind

#: Kinds are numbered in a byte; 0 is that of a delivery without an account.
_MOST_KINDS = 255
_LAST_MS = (1 << 31) - 1


class FoldedAccounts:
    """Columns with the accounts of a commit by position, None where there is none. Immutable; ``list()`` unfolds it.

    A kind is kept once, times in four bytes each (eight if they need it), ids in one string.
    """

    __slots__ = ("_ends", "_ids", "_kinds", "_numbers", "_times")

    def __init__(self, accounts: Sequence[Account | None]) -> None:
        numbers: dict[Kind, int] = {}
        self._numbers = bytes(0 if each is None else numbers.setdefault(each.kind, len(numbers) + 1) for each in accounts)
        self._kinds = tuple(numbers)
        times = [time for each in accounts for time in ((0, 0) if each is None else (each.started, each.finished))]
        self._times = array("i" if max(times, default=0) <= _LAST_MS else "q", times)
        ids = ["" if each is None or each.id is None else each.id for each in accounts]
        self._ids = "".join(ids)
        #: Ends of the ids; empty if there are none. No id is empty.
        self._ends = array("I", accumulate(map(len, ids))) if self._ids else None

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, position: int) -> Account | None:
        number = self._numbers[position]
        if not number:
            return None
        id = None
        if self._ends is not None:
            id = self._ids[self._ends[position - 1] if position else 0 : self._ends[position]] or None
        return Account(self._kinds[number - 1], self._times[2 * position], self._times[2 * position + 1], id)

    def __iter__(self) -> Iterator[Account | None]:
        return map(self.__getitem__, range(len(self)))


def fold(accounts: Sequence[Account | None]) -> FoldedAccounts | None:
    """The accounts in columns; None if they are too different for that."""
    if len({each.kind for each in accounts if each is not None}) > _MOST_KINDS:
        return None
    return FoldedAccounts(accounts)
