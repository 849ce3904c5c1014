"""Readers of the publishers: they look while everything goes on, and afterwards."""

from __future__ import annotations

import random
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Collection, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from tests.faults.operations.authors import Author
from tests.faults.operations.model import INDEX, Splitter, misseen

#: What readers see of a document: the parts of its newest whole version, or all there are if there is none.
VISIBLE: Final = """
SELECT p.id, p.part, p.text, p.version FROM parts p LEFT JOIN live l ON l.id = p.id
WHERE (l.version IS NULL OR p.version = l.version)
"""


class Shelf:
    """The parts that a publisher keeps."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db: sqlite3.Connection | None = None

    def of(self, id: str) -> dict[str, str]:
        """The parts of one document, read at one moment."""
        if self._db is None:
            if not self._path.exists():
                return {}
            self._db = sqlite3.connect(self._path, timeout=30.0, isolation_level=None)
        return {part: text for _, part, text, _ in self._db.execute(VISIBLE + "AND p.id = ?", (id,))}

    def everything(self) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = defaultdict(dict)
        with closing(sqlite3.connect(self._path)) as db:
            for id, part, text, _ in db.execute(VISIBLE):
                found[id][part] = text
        return dict(found)

    def close(self) -> None:
        if self._db is not None:
            self._db.close()


class Reader(threading.Thread):
    """Looks at documents of authors, one after the other, until ``stop`` is set: never neither, never half of a version."""

    def __init__(
        self,
        folder: Path,
        authors: Sequence[Author],
        splitters: Collection[Splitter],
        rng: random.Random,
        stop: threading.Event,
        *,
        pause_s: float = 0.001,
    ) -> None:
        super().__init__(name="reader", daemon=True)
        self.violations: list[str] = []
        #: How often it looked at a document of which something was to be seen.
        self.looks = 0
        self._folder = folder
        self._authors = authors
        self._splitters = splitters
        self._rng = rng
        self._stop_asked = stop
        self._pause_s = pause_s

    def run(self) -> None:
        shelves = {each.graph: Shelf(self._folder / f"{each.graph}.index.db") for each in self._authors}
        try:
            while not self._stop_asked.wait(self._pause_s):
                author = self._rng.choice(self._authors)
                document = self._rng.choice(author.documents)
                floor = document.floor(INDEX)
                if floor is None:
                    continue
                found = shelves[author.graph].of(document.id)
                self.looks += 1
                fault = misseen(document, floor, INDEX, found, self._splitters)
                if fault:
                    self.violations.append(f"{document.id}: {fault}")
        except Exception as error:
            self.violations.append(f"the reader failed: {type(error).__name__}: {error}")
        for shelf in shelves.values():
            shelf.close()
