"""Progress: the item that a pool worker has in hand, in memory that its keeper reads also when the process hangs or is dead."""

from __future__ import annotations

import mmap
import os
from typing import NamedTuple

from pypes.placement.mapped import file_in_memory, mapped

#: Bits of a position within a stride, and of the number of a stride, in the word that tells of the item in hand.
_INDEX_BITS, _NUMBER_BITS = 16, 32
#: Items that a stride may have, and strides that have different numbers.
MOST_ITEMS = (1 << _INDEX_BITS) - 2
#: Position of all items of a stride that are run together.
ALL = MOST_ITEMS
NUMBERS = 1 << _NUMBER_BITS

_IN_HAND, _BEGUN, _WAITING, _USER = range(4)


class InHand(NamedTuple):
    """An item that a pool worker works on: whose it is, the number of the stride there, and its position in that (or ``ALL``)."""

    user: int
    number: int
    at: int


class Progress:
    """Words, each of which is written at once: no reader finds half of one, even if the writer is killed meanwhile."""

    def __init__(self, fd: int) -> None:
        self._words = mapped(fd, mmap.PAGESIZE).cast("Q")

    @classmethod
    def create(cls) -> tuple[Progress, int]:
        """The memory of a new pool worker, and its descriptor for that process, to be closed."""
        fd = file_in_memory("pypes-progress")
        os.ftruncate(fd, mmap.PAGESIZE)
        return cls(fd), fd

    def begin(self, user: int, number: int, index: int) -> None:
        """Say that an item is begun."""
        words = self._words
        words[_BEGUN] += 1
        words[_USER] = user  # before the word that makes it count
        words[_IN_HAND] = number << _INDEX_BITS | index + 1

    def end(self) -> None:
        """Say that the item in hand is done."""
        self._words[_IN_HAND] = 0

    @property
    def is_waiting(self) -> bool:
        """True while no time passes for the item in hand: its user is to take what was sent over it, or a function is loaded."""
        return bool(self._words[_WAITING])

    @is_waiting.setter
    def is_waiting(self, value: bool) -> None:
        self._words[_WAITING] = value

    @property
    def begun(self) -> int:
        """Number of the items that were begun, the one in hand among them; 0 while none is in hand."""
        return self._words[_BEGUN] if self._words[_IN_HAND] else 0

    @property
    def in_hand(self) -> InHand | None:
        """The item in hand."""
        word = self._words[_IN_HAND]
        if not word:
            return None
        number, index = divmod(word, 1 << _INDEX_BITS)
        return InHand(self._words[_USER], number, index - 1)


class SeenProgress:
    """Progress of a pool worker that is not trusted to tell it: as its only user sees it, by what is sent and answered."""

    def __init__(self) -> None:
        self.begun = 0
        self.is_waiting = False
        self._count = 0

    def step(self, *, is_out: bool) -> None:
        """Something was sent or is done; ``is_out`` if it has an item in hand now."""
        self._count += 1
        self.begun = self._count if is_out else 0
