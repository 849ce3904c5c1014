"""Spending: what is used of the budgets of all tokens, in a mapped file that the ingest workers of a node share.

A budget is one number: the time, of the machine's monotonic clock, at which all that was taken of it will have come back (the
generic cell rate algorithm, ITU-T I.371). To take something moves that time on; it may be ahead of now by the burst, and a worker
that was killed leaves nothing to tidy up.

Nobody locks it. A number is read and written in a microsecond, and each write is one store. Two workers that do so in the same
instant may forget what one of them took: a hundredth of a second of the budget (:data:`pypes.access.account.LEASE_S`). One that
was stopped in that very instant and goes on later may forget a burst.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from typing import Final

from pypes.access.budget import KINDS
from pypes.access.token import MAX_TOKENS
from pypes.errors import StoreError

#: The name of the file in the runtime directory.
_NAME: Final = "budgets"

#: The place of all clients together, on a node that asks for no token; those of tokens begin behind it.
EVERYBODY: Final = 0

_BYTES: Final = 8 * len(KINDS) * (MAX_TOKENS + 1)


class Spending:
    """The numbers in the file in ``folder``, made by :meth:`create`; without that file this process shares them with nobody."""

    def __init__(self, folder: Path | None = None) -> None:
        path = None if folder is None else folder / _NAME
        fd = -1 if path is None or not path.exists() else os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            self._cells = memoryview(mmap.mmap(fd, _BYTES)).cast("d")
        finally:
            if fd >= 0:
                os.close(fd)

    @staticmethod
    def create(folder: Path) -> None:
        """Make the file in ``folder``, of which nothing is used. Raises :class:`StoreError`."""
        path = folder / _NAME
        try:
            path.write_bytes(bytes(_BYTES))  # all of it: a hole that the disk has no room for would end its process
        except OSError as error:
            raise StoreError(f"{path} cannot be written: {error}", where=str(path)) from error

    def cells(self, place: int) -> memoryview[float]:
        """The numbers of a token, in the order of :data:`KINDS`, by the place that it has in the store of tokens."""
        return self._cells[place * len(KINDS) : (place + 1) * len(KINDS)]
