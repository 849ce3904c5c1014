"""Asking an index that SQLiteSearch wrote."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pypes.errors import NotFound, StoreError
from pypes_search.schema import FORMAT, newer
from pypes_search.versions import SEEN
from pypes_search.words import joined, parted

BUSY_TIMEOUT_S = 60.0

#: In longer texts SQLite does not look for the best place, which would take it the square of the number of matches.
EXCERPT_CHARS = 32 * 1024
#: So much of a longer text is looked at for one of the words, and so much is shown around it.
LOOK_CHARS = 1024 * 1024
AROUND_CHARS = 60

#: The hits, best first, and of them the rows that are seen: no more of them are looked at than it takes.
_STATEMENT = f"""
SELECT d.id, d.title, CASE WHEN length(d.text) <= {EXCERPT_CHARS} THEN snippet(words, 1, '[', ']', '…', 16) END, d.fields,
    -words.rank, substr(d.text, 1, {LOOK_CHARS}), %s
FROM words CROSS JOIN documents d ON d.key = words.rowid %s WHERE words MATCH ? %s ORDER BY words.rank LIMIT ?
"""
_VERSIONS = "LEFT JOIN versions v ON v.id = d.id AND v.route = d.route"
_STATEMENTS = {
    1: _STATEMENT % ("'', ''", "", ""),
    2: _STATEMENT % ("d.route, d.part", "", ""),
    3: _STATEMENT % ("d.route, d.part", _VERSIONS, f"AND {SEEN}"),
}

#: Characters of the names of parts, which the digests of parts without one do not have.
_NAMED = re.compile("[=~]")


@dataclass(frozen=True, slots=True)
class Hit:
    """A match of a query; ``score`` is higher for better matches.

    ``id`` is that of the packet, of a part its own; ``document`` and ``part`` are the document's id and the place in it (empty
    for the document itself).
    """

    id: str
    title: str
    snippet: str
    fields: str
    score: float
    route: str = ""
    document: str = ""
    part: str = ""


def search(path: Path, query: str, limit: int = 10) -> list[Hit]:
    """The best matches for a query in FTS5's language; one that is not well-formed there is taken word by word.

    Raises ``NotFound`` if there is no index at ``path``, ``StoreError`` if it cannot be read.
    """
    if not path.is_file():
        raise NotFound(f"there is no index at {path}: publish something there with SQLiteSearch first", code="search.no_index")
    query = parted(query) or query
    with closing(_connect(path)) as db:
        try:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version > FORMAT:
                raise newer(path, version)
            found = _ask(db, _STATEMENTS.get(version, _STATEMENTS[1]), query, limit)
        except sqlite3.DatabaseError as error:
            raise StoreError(f"{path} cannot be searched: {error}", code="search.failed") from error
    return [_hit(query, *each) for each in found]


def _ask(db: sqlite3.Connection, statement: str, query: str, limit: int) -> list[tuple[Any, ...]]:
    try:
        return db.execute(statement, (query, limit)).fetchall()
    except sqlite3.OperationalError:
        words = " ".join('"' + word.replace('"', '""') + '"' for word in query.replace("\0", " ").split())
        return db.execute(statement, (words, limit)).fetchall() if words else []


def _hit(
    query: str, id: str, title: str, snippet: str | None, fields: str, score: float, text: str, route: str, part: str
) -> Hit:
    shown = joined(_excerpt(query, text) if snippet is None else snippet)
    part = part if _NAMED.search(part) else ""
    return Hit(f"{id}/{part}" if part else id, title, shown, fields, score, route, id, part)


def _excerpt(query: str, text: str) -> str:
    """The first place in a long text where one of the words stands, or else its beginning."""
    words = [re.escape(joined(word)) for word in re.findall(r"[\w\u200b]+", query) if word not in ("AND", "OR", "NOT", "NEAR")]
    found = re.search(rf"{'|'.join(words)}", text, re.IGNORECASE) if words else None
    if found is None:
        return text[: 2 * AROUND_CHARS] + "…"
    start, end = max(0, found.start() - AROUND_CHARS), found.end() + AROUND_CHARS
    before, after = text[start : found.start()], text[found.end() : end]
    return f"{'…' if start else ''}{before}[{found[0]}]{after}…"


def count(path: Path) -> int:
    """Number of documents in the index that can be found, their parts counted."""
    with closing(_connect(path)) as db:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        seen = f" d {_VERSIONS} WHERE {SEEN}" if version >= 3 else ""
        return int(db.execute(f"SELECT count(*) FROM documents{seen}").fetchone()[0])


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_TIMEOUT_S)
