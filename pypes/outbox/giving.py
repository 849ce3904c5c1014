"""Giving: what clients do with an outbox. They are given its oldest results, and acknowledge them.

A result is given as long as it is not acknowledged, and not leased to another client. While a result of a document is leased,
no later one of that document is given, so that versions keep their order however many clients share the work.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from pypes.core.databases import connect, writing
from pypes.errors import NotFound, Unavailable
from pypes.outbox.cursor import MOST_RANGES, Range, cursor_of, ranges_of
from pypes.outbox.file import oldest_s

#: Milliseconds for which a client waits for whoever else writes.
BUSY_MS: Final = 5_000
#: A file gives room back to the disk when more pages than these are free, and more than are in use.
MOST_FREE_PAGES: Final = 1_024

_GIVE: Final = """
select seq, text from results r
where not exists (select 1 from results l where l.document = r.document and l.until > ?) order by seq limit ?
"""
_COUNT: Final = "select count(*), coalesce(sum(length(text)), 0) from results where seq between ? and ?"
_LEASED: Final = "select count(*) from results where until > ?"


class Given(NamedTuple):
    """Results, each the text of a JSON object, and the cursor to acknowledge them by, ``None`` if there are none.

    ``waiting``: so many results are in the outbox, these included.
    """

    results: list[bytes]
    cursor: str | None
    waiting: int


class Use(NamedTuple):
    """Usage of an outbox: results that wait and their bytes, the age of the oldest in seconds, how many are leased."""

    waiting: int
    bytes: int
    oldest_s: float | None
    leased: int


def give(path: Path, most: int, max_bytes: int, lease_s: float, now: float) -> Given:
    """The oldest results that are free, at most so many, of about so many bytes; with ``lease_s``, nobody else gets them so long.

    ``now`` is the node's time. Blocks. Raises :class:`NotFound`, and :class:`Unavailable` while the file cannot be used.
    """
    with _opened(path) as db:
        if not lease_s:
            return _give(db, most, max_bytes, now)[0]
        with writing(db):
            given, ranges = _give(db, most, max_bytes, now)
            db.executemany("update results set until = ? where seq between ? and ?", [(now + lease_s, *each) for each in ranges])
        return given


def acknowledge(path: Path, cursor: str, *, is_synced: bool) -> int:
    """Delete the results of a cursor, and return how many of them were still there.

    ``is_synced``: not even a failing machine gives them again. Blocks. Raises as :func:`give`, and :class:`NotFound` for a cursor
    that this outbox has not given.
    """
    with _opened(path) as db:
        ranges = ranges_of(cursor, _key(db))
        db.execute(f"pragma synchronous = {'full' if is_synced else 'normal'}")
        count = size = 0
        with writing(db):
            for each in ranges:
                found = db.execute(_COUNT, each).fetchone()
                count, size = count + found[0], size + found[1]
                db.execute("delete from results where seq between ? and ?", each)
            db.execute("update totals set results = results - ?, bytes = bytes - ?", (count, size))
        _shrink(db)
        return count


def describe(path: Path, now: float) -> Use:
    """Usage of an outbox. Blocks; raises as :func:`give`."""
    with _opened(path) as db:
        count, size = db.execute("select results, bytes from totals").fetchone()
        return Use(count, size, oldest_s(db, now), db.execute(_LEASED, (now,)).fetchone()[0])


def unknown(name: str) -> NotFound:
    """The refusal of the name of an outbox that is not there."""
    return NotFound(f"there is no outbox {name!r}; GET /outbox lists those there are", code="outbox.unknown", where=name)


def _give(db: sqlite3.Connection, most: int, max_bytes: int, now: float) -> tuple[Given, list[Range]]:
    texts: list[bytes] = []
    ranges: list[Range] = []
    size = 0
    for seq, text in db.execute(_GIVE, (now, most)):
        is_next = bool(ranges) and ranges[-1][1] == seq - 1
        if texts and (size + len(text) > max_bytes or (len(ranges) == MOST_RANGES and not is_next)):
            break
        if is_next:
            ranges[-1] = (ranges[-1][0], seq)
        else:
            ranges.append((seq, seq))
        texts.append(text)
        size += len(text)
    (waiting,) = db.execute("select results from totals").fetchone()
    return Given(texts, cursor_of(ranges, _key(db)) if ranges else None, waiting), ranges


def _key(db: sqlite3.Connection) -> bytes:
    (key,) = db.execute("select value from info where name = 'key'").fetchone()
    assert isinstance(key, bytes)
    return key


def _shrink(db: sqlite3.Connection) -> None:
    """Give room that acknowledged results took back to the disk, where that is much."""
    (free,), (pages,) = db.execute("pragma freelist_count").fetchone(), db.execute("pragma page_count").fetchone()
    if free > max(MOST_FREE_PAGES, pages // 2):
        # `execute` takes one step of a statement without results, and a step frees one page
        db.executescript(f"pragma incremental_vacuum({free - MOST_FREE_PAGES // 2})")


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    name = path.stem
    if not path.exists():
        raise unknown(name)
    try:
        with closing(connect(path, "rw")) as db:
            db.execute(f"pragma busy_timeout = {BUSY_MS}")
            yield db
    except (sqlite3.DatabaseError, OSError) as error:
        raise Unavailable(f"outbox {name!r} cannot be used now: {error}; try again", code="outbox.failed", where=name) from error
