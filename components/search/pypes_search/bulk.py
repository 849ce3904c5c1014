"""Bulk: one SQL statement over many rows of values.

One statement runs wholly without the interpreter lock, so that the graph goes on meanwhile. Row by row, and for each row of a
result, it would have to wait for its turn to get the lock back: statements that ask give all they find as one JSON value.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, Final

import orjson

#: Rows per statement: few sizes, so that their plans stay cached.
SIZES: Final = (64, 16, 4, 1)


class Bulk:
    """A statement with ``%s`` where the rows of values stand; with ``has_places``, each begins with its place among them."""

    def __init__(self, sql: str, columns: int, *, has_places: bool = False) -> None:
        marks = ", ".join("?" * columns)
        one = f"(%d, {marks})" if has_places else f"({marks})"
        self._statements = {size: sql % ", ".join(one % place if has_places else one for place in range(size)) for size in SIZES}

    def run(self, db: sqlite3.Connection, rows: Sequence[Sequence[Any]], *more: Any) -> Iterator[tuple[int, sqlite3.Cursor]]:
        """Run it over all rows, as many times as that takes, with ``more`` values behind those of the rows.

        Yields the number of the first row of each time, and the cursor.
        """
        start = 0
        for size in SIZES:
            while len(rows) - start >= size:
                values = [*chain.from_iterable(rows[start : start + size]), *more]
                yield start, db.execute(self._statements[size], values)
                start += size

    def change(self, db: sqlite3.Connection, rows: Sequence[Sequence[Any]], *more: Any) -> None:
        """Run it over all rows for what it changes."""
        for _ in self.run(db, rows, *more):
            pass

    def ask(self, db: sqlite3.Connection, rows: Sequence[Sequence[Any]], *more: Any) -> Iterator[tuple[int, list[Any]]]:
        """Run it over all rows; yields the number of a row, and the values found for it, once for each find."""
        for start, cursor in self.run(db, rows, *more):
            for place, *found in orjson.loads(cursor.fetchone()[0]):
                yield start + place, found
