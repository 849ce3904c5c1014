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

from pypes_basic.log_lines import fold
from pypes_search.query import search
from pypes_search.versions import SEEN
from tests.faults.operations.authors import Author
from tests.faults.operations.model import INDEX, Splitter, misseen

#: The rows of an index that are seen, of all documents.
VISIBLE: Final = f"""
SELECT d.id, d.part, d.text FROM documents d LEFT JOIN versions v ON v.id = d.id AND v.route = d.route
WHERE d.route = ? AND {SEEN}
"""

#: What is seen, by document and part.
Shelf = dict[str, dict[str, str]]


def index_path(data: Path, graph: str) -> Path:
    return data / f"{graph}.index.db"


def log_path(logs: Path, graph: str) -> Path:
    return logs / f"{graph}.log.jsonl"


def in_index(db: sqlite3.Connection, route: str, id: str) -> dict[str, str]:
    """The parts of one document that are seen in an index, read at one moment."""
    return {part: _item(text) for _, part, text in db.execute(VISIBLE + "AND d.id = ?", (route, id))}


def all_in_index(path: Path, route: str) -> Shelf:
    found: Shelf = defaultdict(dict)
    with closing(sqlite3.connect(path)) as db:
        for id, part, text in db.execute(VISIBLE, (route,)):
            found[id][part] = _item(text)
    return dict(found)


def found_in_index(path: Path, word: str) -> set[tuple[str, str]]:
    """Document and part of each hit for a word; tables that grow have a few thousand rows."""
    return {(hit.document, hit.part) for hit in search(path, f'"{word}"', limit=100_000)}


def all_in_log(path: Path, route: str) -> Shelf:
    """What folding a log leaves."""
    found: Shelf = defaultdict(dict)
    with path.open("rb") as lines:
        for line in fold(lines):
            if line["route"] == route:
                found[line["document"]][line["part"]] = line["fields"]["text"]
    return dict(found)


def lines_in_log(path: Path, ids: Collection[str]) -> dict[str, list[bytes]]:
    """The lines of some documents in a log, in their order."""
    found: dict[str, list[bytes]] = {id: [] for id in ids}
    with path.open("rb") as lines:
        for line in lines:
            _, _, _, id, *_ = line.split(b'"', 4)
            if (known := found.get(id.decode())) is not None:
                known.append(line)
    return found


def _item(text: str) -> str:
    """A row or chunk without the other columns, which stand behind it."""
    return text.partition("\n")[0]


class Reader(threading.Thread):
    """Looks at documents of authors, one after the other, until ``stop`` is set: never neither, never half of a version."""

    def __init__(
        self,
        data: Path,
        authors: Sequence[Author],
        splitters: Collection[Splitter],
        rng: random.Random,
        stop: threading.Event,
        *,
        pause_s: float = 0.002,
    ) -> None:
        super().__init__(name="reader", daemon=True)
        self.violations: list[str] = []
        #: How often it looked at a document of which something was to be seen.
        self.looks = 0
        self._data = data
        self._authors = authors
        self._splitters = splitters
        self._rng = rng
        self._stop_asked = stop
        self._pause_s = pause_s

    def run(self) -> None:
        indexes: dict[str, sqlite3.Connection] = {}
        try:
            while not self._stop_asked.wait(self._pause_s):
                author = self._rng.choice(self._authors)
                document = self._rng.choice(author.documents)
                floor = document.floor(INDEX)
                if floor is None:
                    continue
                if author.graph not in indexes:
                    uri = f"{index_path(self._data, author.graph).as_uri()}?mode=ro"
                    indexes[author.graph] = sqlite3.connect(uri, uri=True, timeout=30.0)
                found = in_index(indexes[author.graph], author.graph, document.id)
                self.looks += 1
                fault = misseen(document, floor, INDEX, found, self._splitters)
                if fault:
                    self.violations.append(f"{document.id}: {fault}")
        except Exception as error:
            self.violations.append(f"the reader failed: {type(error).__name__}: {error}")
        for db in indexes.values():
            db.close()
