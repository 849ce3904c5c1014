"""Writing: how rows come to be in an index.

A version of a document is written beside the others, and takes their place when it is complete (:mod:`pypes_search.versions`).
Where that is in the same transaction, its rows replace older ones of the same parts at once: a text that has not changed then
costs no work on the words.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final

from pypes_search.bulk import Bulk
from pypes_search.looking import There, find
from pypes_search.row import NO_RUN, Key, Row, text_of
from pypes_search.versions import delete, unfollow

_COLUMNS: Final = "id, title, text, fields, route, part, version, parted_title, parted_text, acl"
# An unchanged row, as a retry brings it, costs nothing.
_SET: Final = (
    "DO UPDATE SET version = excluded.version, title = excluded.title, text = excluded.text, fields = excluded.fields,"
    " parted_title = excluded.parted_title, parted_text = excluded.parted_text, acl = excluded.acl"
    " WHERE (version, title, text, fields, acl)"
    " IS NOT (excluded.version, excluded.title, excluded.text, excluded.fields, excluded.acl)"
)
_INSERT: Final = Bulk(f"INSERT INTO documents ({_COLUMNS}) VALUES %s ON CONFLICT (id, route, part, version) {_SET}", 10)
#: In place of other rows, by their keys.
_REPLACE: Final = Bulk(f"INSERT INTO documents (key, {_COLUMNS}) VALUES %s ON CONFLICT (key) {_SET}", 11)


def insert(db: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Insert rows beside those of other versions, in place of those of the same version."""
    _INSERT.change(db, rows)


def write(
    db: sqlite3.Connection, rows: Sequence[Row], found: Mapping[int, There] | None, newest: Mapping[Key, str], now_ms: int
) -> None:
    """Insert rows of documents with an id, and delete such documents, in order.

    ``found`` is what there is for these rows, if nothing was written since. ``newest`` are the versions that are whole with this
    transaction, the newest of each document.
    """
    for is_deletion, run in _runs(rows):
        if is_deletion:
            delete(db, [((row.id, row.route), row.version) for row in run], now_ms)
        else:
            _put(db, run, found if found is not None and len(run) == len(rows) else find(db, run)[0], newest)


def _put(db: sqlite3.Connection, rows: Sequence[Row], found: Mapping[int, There], newest: Mapping[Key, str]) -> None:
    if not found:
        _INSERT.change(db, rows)
        return
    fresh: list[Row] = []
    replacing: dict[int, Row] = {}
    removed: list[tuple[int]] = []
    unfollowed: list[Key] = []
    for place, row in enumerate(rows):
        there = found.get(place)
        if there is None:
            fresh.append(row)
            continue
        seen, keys = there
        version = row.version
        if seen is not None and version and version < seen:
            continue
        older = [other for other in keys if other < version] if version else list(keys)
        if version and not version.endswith(NO_RUN):
            if not older or newest.get((row.id, row.route)) != version:
                fresh.append(row)
                continue
        else:
            # nobody tells when its document is complete: this part of it is, by itself
            if len(older) + (version in keys) < len(keys):
                continue  # a newer one is there
            if seen is not None and seen != version:
                unfollowed.append((row.id, row.route))
            if not keys:
                fresh.append(row)
                continue
        into = keys[version] if version in keys else keys[max(older)]
        removed += [(keys[other],) for other in older if keys[other] != into]
        if into not in replacing or replacing[into].version <= version:
            replacing[into] = row
    unfollow(db, unfollowed)
    if removed:
        db.executemany("DELETE FROM documents WHERE key = ?", removed)
    _INSERT.change(db, fresh)
    _REPLACE.change(db, [(key, *row) for key, row in replacing.items()])


def _runs(rows: Sequence[Row]) -> Iterator[tuple[bool, Sequence[Row]]]:
    """Neighbours of one kind together: deletions, or documents."""
    if None not in map(text_of, rows):  # PERF: as mostly
        if rows:
            yield False, rows
        return
    for is_deletion, run in groupby(rows, lambda row: row.text is None):
        yield is_deletion, list(run)
