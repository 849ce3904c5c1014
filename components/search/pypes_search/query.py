"""Asking an index that SQLiteSearch wrote: by words, by vectors, or by both."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from pypes.component.searching import SearchQuery
from pypes.errors import NotFound, StoreError, Unavailable
from pypes_search.conditions import Sql, sql_of
from pypes_search.hits import Found, Hit, read
from pypes_search.nearest import Nearest, can_compare
from pypes_search.schema import FORMAT, newer
from pypes_search.vectors import Space, space_of
from pypes_search.versions import SEEN
from pypes_search.words import parted

BUSY_TIMEOUT_S = 60.0

#: So many hits by words and by vectors each are joined or grouped; nothing behind these is found then.
DEPTH: Final = 1_000
#: Reciprocal rank fusion (Cormack, Clarke and Büttcher, 2009), weighted: a place counts its weight / (damping + place). Chosen on
#: one half of the questions of ``benchmarks.corpus``, and seen on the other (decision 0047).
DAMPING: Final = 5
OF_WORDS: Final = 0.6
OF_VECTORS: Final = 0.4
#: Hits of one document that are shown below the best one.
MOST_OTHERS: Final = 3
#: Steps of SQLite between two looks at the clock: some milliseconds.
_STEPS: Final = 100_000
#: Words of a question that are looked for; those that stand in more than this share of the rows only if all of them do. They
#: would say next to nothing about a row, and all that is taken into account of them has to be ranked.
MOST_WORDS: Final = 64
COMMON: Final = 0.2
#: In smaller indexes no word is too common.
FEW_ROWS: Final = 1_000

_BY_WORDS: Final = """
SELECT d.key, d.id, %s, -words.rank FROM words CROSS JOIN documents d ON d.key = words.rowid %s
WHERE words MATCH ? AND %s ORDER BY words.rank LIMIT ?
"""
#: Of keys and blocks those whose vectors are live, and rows seen and allowed; in their order.
_BY_VECTOR: Final = f"""
SELECT d.key, d.id, d.route FROM json_each(?) a
CROSS JOIN vector_places p ON p.key = json_extract(a.value, '$[0]') AND p.block = json_extract(a.value, '$[1]')
CROSS JOIN documents d ON d.key = p.key LEFT JOIN versions v ON v.id = d.id AND v.route = d.route
WHERE {SEEN} AND %s ORDER BY a.key LIMIT ?
"""
#: The rows that have a word, as far as they are counted. PERF: they are not read.
_COUNT: Final = "SELECT count(*) FROM (SELECT 1 FROM words WHERE words MATCH ? LIMIT ?)"
_VERSIONS: Final = "LEFT JOIN versions v ON v.id = d.id AND v.route = d.route"
NO_NUMPY: Final = "numpy is not installed (pip install 'pypes-search[vectors]')"

#: Makes the vector of a text for a space; ``None``, and a note for the reader, if it cannot.
Embed = Callable[[str, Space], tuple[Sequence[float] | None, str]]


@dataclass(frozen=True, slots=True)
class Answer:
    """A page of hits. ``after`` is where the next page begins, ``None`` if there is none; ``notes`` are for the reader."""

    hits: list[Hit]
    after: int | None = None
    notes: tuple[str, ...] = field(default=())

    def to_obj(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "hits": [hit.to_obj() for hit in self.hits],
            "next": None if self.after is None else str(self.after),
            "notes": list(self.notes),
        }


def search(path: Path, query: str, limit: int = 10) -> list[Hit]:
    """The best matches by words of what anybody may see; see :func:`ask`."""
    return ask(path, SearchQuery(query, limit)).hits


def ask(path: Path, query: SearchQuery, embed: Embed | None = None) -> Answer:
    """The best matches for a query in FTS5's language; one that is not well-formed there is taken word by word.

    With ``embed``, and an index that has vectors, hits by words and by vectors are joined. Raises ``NotFound`` if there is no
    index at ``path``, ``StoreError`` if it cannot be read, ``InvalidInput`` for filters that are none, ``Unavailable`` after
    ``timeout_s``.
    """
    if not path.is_file():
        raise NotFound(f"there is no index at {path}: publish something there with SQLiteSearch first", code="search.no_index")
    with closing(_connect(path)) as db:
        return _Asking(path, db, query).answer(embed)


class _Asking:
    """One question to one index."""

    def __init__(self, path: Path, db: sqlite3.Connection, query: SearchQuery) -> None:
        self._path, self._db, self._query = path, db, query
        self._text = parted(query.text) or query.text
        self._end_s = None if query.timeout_s is None else time.monotonic() + query.timeout_s
        if self._end_s is not None:
            db.set_progress_handler(self._is_late, _STEPS)

    def answer(self, embed: Embed | None) -> Answer:
        query = self._query
        with self._failing():
            version = int(self._db.execute("PRAGMA user_version").fetchone()[0])
            if version > FORMAT:
                raise newer(self._path, version)
            space = space_of(self._db) if version >= 4 else None
        vector: Sequence[float] | None = None
        notes: tuple[str, ...] = ()
        if space is not None and embed is not None and query.text.strip():
            vector, note = embed(query.text, space) if can_compare() else (None, NO_NUMPY)
            notes = (f"found by words alone: {note}",) if note else ()
        condition = sql_of(query.filters, query.principals, query.route, has_acl=version >= 4)
        wanted = query.after + query.limit + 1
        depth = wanted if vector is None and not query.group else DEPTH
        with self._failing():
            self._db.execute("BEGIN")  # all that follows sees the same documents
            match, by_words = self._by_words(version, condition, depth)
            by_vector = [] if vector is None else self._by_vector(vector, condition, depth)
            found = _fused(by_words, by_vector) if vector is not None else by_words
            if query.group:
                found = _grouped(found)
            page = found[query.after : query.after + query.limit]
            columns = "d.route, d.part" if version >= 2 else "'', ''"
            hits = read(self._db, page, match, self._text, columns)
        is_last = len(found) <= query.after + query.limit
        return Answer(hits, None if is_last else query.after + query.limit, notes)

    def _by_words(self, version: int, condition: Sql, depth: int) -> tuple[str | None, list[Found]]:
        """The match that was asked for, and the rows."""
        sql, values = condition
        if version < 2:
            sql = sql.replace("d.route", "''").replace("d.part", "''")
        sees = (_VERSIONS, f"{SEEN} AND ({sql})") if version >= 3 else ("", f"({sql})")
        statement = _BY_WORDS % ("d.route" if version >= 2 else "''", *sees)
        words = _words(self._text)
        matches = [" OR ".join(self._telling(words[:MOST_WORDS]))] if self._query.any_word else [self._text, " ".join(words)]
        for match in matches:
            if not match:
                continue
            try:
                rows = self._db.execute(statement, (match, *values, depth)).fetchall()
            except sqlite3.OperationalError:
                if self._is_late() or match is matches[-1]:
                    raise
                continue  # not well-formed
            found = [Found(key, (id, route), score, place) for place, (key, id, route, score) in enumerate(rows, 1)]
            return match, found
        return None, []

    def _telling(self, words: list[str]) -> list[str]:
        """The words of a question that are not common, or all of them if there is no other."""
        (rows,) = self._db.execute("SELECT max(key) FROM documents").fetchone()
        if rows is None or rows < FEW_ROWS:
            return words
        most = int(rows * COMMON)
        seldom = [word for word in words if self._db.execute(_COUNT, (word, most + 1)).fetchone()[0] <= most]
        return seldom or words

    def _by_vector(self, vector: Sequence[float], condition: Sql, depth: int) -> list[Found]:
        sql, values = condition
        statement = _BY_VECTOR % f"({sql})"
        found: list[Found] = []
        for some in Nearest(self._db, vector, self._check).best(2 * depth):
            self._check()
            rows = self._db.execute(statement, (orjson.dumps(some).decode(), *values, depth - len(found))).fetchall()
            found += [Found(key, (id, route), vector_rank=len(found) + place) for place, (key, id, route) in enumerate(rows, 1)]
            if len(found) >= depth:
                break
        return found

    # -- bounds ------------------------------------------------------------------------------------------

    def _is_late(self) -> bool:
        return self._end_s is not None and time.monotonic() > self._end_s

    def _check(self) -> None:
        if self._is_late():
            raise self._late()

    def _late(self) -> Unavailable:
        return Unavailable(
            f"the search was given up after {self._query.timeout_s:g} s: ask for rarer words, or narrow it down with filters",
            code="search.timeout",
        )

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """Raise what is to be told of errors of SQLite."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            if self._is_late():
                raise self._late() from error
            if getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise Unavailable(f"{self._path} is locked, it may be being upgraded; try again", code="search.busy") from error
            raise StoreError(f"{self._path} cannot be searched: {error}", code="search.failed") from error


def _words(text: str) -> list[str]:
    """The words of a text, each in quotes, once."""
    return list(dict.fromkeys('"' + word.replace('"', '""') + '"' for word in text.replace("\0", " ").split()))


def _fused(by_words: Sequence[Found], by_vector: Sequence[Found]) -> list[Found]:
    """Both lists in one, by weighted reciprocal rank fusion."""
    known = {each.key: each for each in by_words}
    for each in by_vector:
        known.setdefault(each.key, each).vector_rank = each.vector_rank
    for each in known.values():
        places = ((OF_WORDS, each.words_rank), (OF_VECTORS, each.vector_rank))
        each.score = sum(weight / (DAMPING + place) for weight, place in places if place is not None)
    return sorted(known.values(), key=lambda each: (-each.score, each.key))


def _grouped(found: Sequence[Found]) -> list[Found]:
    """The best row of each document, with some of its others."""
    best: dict[tuple[str, str], Found] = {}
    for each in found:
        first = best.setdefault(each.document, each)
        if first is not each and len(first.others) < MOST_OTHERS:
            first.others.append(each)
    return list(best.values())


def count(path: Path) -> int:
    """Number of documents in the index that can be found, their parts counted."""
    with closing(_connect(path)) as db:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        seen = f" d {_VERSIONS} WHERE {SEEN}" if version >= 3 else ""
        return int(db.execute(f"SELECT count(*) FROM documents{seen}").fetchone()[0])


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
    )
