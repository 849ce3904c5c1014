"""Nearest: the vectors of an index that are most alike to that of a question.

All of them are compared (:mod:`pypes_search.vectors` has their form): 100,000 of 256 numbers take 25 ms, and nothing is missed.
Needs numpy, which only a search by vectors does.
"""

from __future__ import annotations

import importlib.util
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from pypes.errors import InvalidInput

if TYPE_CHECKING:
    import numpy as np

#: PERF: so many vectors at a time are compared: larger products are spread over threads, which then wait for each other.
_AT_A_TIME: Final = 128


def can_compare() -> bool:
    """True if numpy is installed."""
    return importlib.util.find_spec("numpy") is not None


class Nearest:
    """The vectors of an index, compared with one: the most alike first."""

    def __init__(self, db: sqlite3.Connection, vector: Sequence[float], check: Callable[[], None]) -> None:
        """Compare. ``check`` is called now and then, and may raise."""
        import numpy as np

        # in 32 bits the length of finite numbers may be infinite
        asked: np.ndarray[Any, Any] = np.asarray(vector, dtype=np.float64)
        length = float(np.linalg.norm(asked))
        if not np.isfinite(length) or asked.ndim != 1:
            raise InvalidInput(
                "the vector of the question is none: it holds numbers that are not finite", code="search.bad_vector"
            )
        asked = (asked / length if length else asked).astype(np.float32)
        one = np.dtype([("factor", "<f4"), ("whole", "i1", (len(asked),))])
        scores: list[np.ndarray[Any, Any]] = [np.empty(0, np.float32)]
        keys: list[np.ndarray[Any, Any]] = [np.empty(0, np.int64)]
        blocks: list[np.ndarray[Any, Any]] = [np.empty(0, np.int64)]
        for block, raw, packed in db.execute("SELECT block, keys, packed FROM vectors"):
            check()
            of_block = np.frombuffer(packed, dtype=one)
            whole, factors = of_block["whole"], of_block["factor"]
            for start in range(0, len(of_block), _AT_A_TIME):
                some = slice(start, start + _AT_A_TIME)
                scores.append((whole[some].astype(np.float32) @ asked) * factors[some])
            keys.append(np.frombuffer(raw, dtype="<i8"))
            blocks.append(np.full(len(of_block), block, np.int64))
        self._scores, self._keys, self._blocks = map(np.concatenate, (scores, keys, blocks))

    def best(self, count: int) -> Iterator[list[tuple[int, int]]]:
        """Key and block of the most alike, best first: as many as asked for, then more and more, as long as there are any."""
        import numpy as np

        begun, total = 0, len(self._scores)
        while begun < total:
            end = min(total, count)
            order = np.argpartition(-self._scores, end - 1)[:end] if end < total else np.arange(total)
            # of equal ones the older first, so that pages fit together
            order = order[np.lexsort((self._keys[order], -self._scores[order]))][begun:]
            yield list(zip(self._keys[order].tolist(), self._blocks[order].tolist(), strict=True))
            begun, count = end, end * 8
