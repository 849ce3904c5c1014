"""Versions: which rows of a document are seen, and the end of those that are not.

``versions`` has the newest whole version of each document that was complete at least once, and says where nothing is left of it.
Rows of that version are seen; older ones are removed, and are not taken any more. Without an entry, the newest version of each
part is seen (:data:`SEEN`).

``failed`` has versions that have ended and are not whole. Of these, rows that nobody sees go as soon as a newer one has ended
likewise (:data:`OUTRUN`), so that a document which fails each time takes no more and more room. What is under way, in this
instance or another, has not ended: all of its rows stay.

Rows of which there are very many are removed after the transaction that has switched the version, in small ones of their own.
``leftovers`` has the documents of these, so that whoever comes next goes on with that after a crash.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Container, Iterable, Sequence
from typing import Final

from pypes_search.bulk import Bulk
from pypes_search.row import Key, Of, Told

#: The condition for rows ``d`` that are seen; ``v`` is the entry of the document, if there is one.
SEEN: Final = """
(d.version = v.version OR (v.version IS NULL AND NOT EXISTS (
    SELECT 1 FROM documents n WHERE n.id = d.id AND n.route = d.route AND n.part = d.part AND n.version > d.version)))
"""

#: The condition for rows ``d`` of a version that has failed, and after which another one has, that are not seen; ``v`` as above.
OUTRUN: Final = """
EXISTS (SELECT 1 FROM failed f JOIN failed g ON g.id = f.id AND g.route = f.route AND g.version > f.version
    WHERE f.id = d.id AND f.route = d.route AND f.version = d.version)
AND (d.version <> v.version OR (v.version IS NULL AND EXISTS (
    SELECT 1 FROM documents n WHERE n.id = d.id AND n.route = d.route AND n.part = d.part AND n.version > d.version)))
"""

#: Most rows of older versions that are removed in the transaction that switches the version, and in each one after it.
MOST_REMOVED: Final = 2_000
#: Most entries of documents that are gone that are forgotten in one transaction.
MOST_FORGOTTEN: Final = 1_000

#: ``state``: 1 if rows of the version were written just now, -1 if it deletes the document, 0 if neither is known.
_SWITCH: Final = Bulk(
    "WITH asked (id, route, version, state) AS (VALUES %s)"
    " INSERT INTO versions (id, route, version, gone_ms)"
    " SELECT a.id, a.route, a.version, CASE WHEN a.state < 0 OR (a.state = 0 AND NOT EXISTS ("
    " SELECT 1 FROM documents d WHERE d.id = a.id AND d.route = a.route AND d.version = a.version)) THEN ? END"
    " FROM asked a WHERE true ON CONFLICT (id, route) DO UPDATE SET version = excluded.version, gone_ms = excluded.gone_ms"
    " WHERE excluded.version >= version",
    4,
)

_REMOVE: Final = Bulk(
    "DELETE FROM documents WHERE key IN (WITH asked (id, route) AS (VALUES %s)"
    " SELECT d.key FROM asked a CROSS JOIN versions v ON v.id = a.id AND v.route = a.route"
    " CROSS JOIN documents d ON d.id = a.id AND d.route = a.route AND d.version < v.version LIMIT ?)",
    2,
)
_LEAVE: Final = Bulk(
    "WITH asked (id, route) AS (VALUES %s) INSERT OR REPLACE INTO leftovers (id, route, part)"
    " SELECT a.id, a.route, '' FROM asked a JOIN versions v ON v.id = a.id AND v.route = a.route WHERE EXISTS ("
    " SELECT 1 FROM documents d WHERE d.id = a.id AND d.route = a.route AND d.version < v.version)",
    2,
)

_NEXT_LEFTOVERS: Final = f"""
SELECT json_group_array(key), max(part) FROM (
    SELECT d.key, d.part FROM documents d LEFT JOIN versions v ON v.id = d.id AND v.route = d.route
        WHERE d.id = ? AND d.route = ? AND d.part >= ? AND (d.version < v.version OR ({OUTRUN})) ORDER BY d.part LIMIT ?)
"""

_FAIL: Final = Bulk(
    "WITH asked (id, route, version) AS (VALUES %s) INSERT OR IGNORE INTO failed (id, route, version)"
    " SELECT a.id, a.route, a.version FROM asked a LEFT JOIN versions v ON v.id = a.id AND v.route = a.route"
    " WHERE coalesce(v.version, '') < a.version AND EXISTS ("
    " SELECT 1 FROM documents d WHERE d.id = a.id AND d.route = a.route AND d.version = a.version)",
    3,
)
_REMOVE_OUTRUN: Final = Bulk(
    "DELETE FROM documents WHERE key IN (WITH asked (id, route) AS (VALUES %s)"
    " SELECT d.key FROM asked a CROSS JOIN documents d ON d.id = a.id AND d.route = a.route"
    f" LEFT JOIN versions v ON v.id = a.id AND v.route = a.route WHERE {OUTRUN} LIMIT ?)",
    2,
)
_LEAVE_OUTRUN: Final = Bulk(
    "WITH asked (id, route) AS (VALUES %s) INSERT OR REPLACE INTO leftovers (id, route, part)"
    " SELECT a.id, a.route, '' FROM asked a WHERE EXISTS (SELECT 1 FROM documents d"
    f" LEFT JOIN versions v ON v.id = d.id AND v.route = d.route WHERE d.id = a.id AND d.route = a.route AND {OUTRUN})",
    2,
)
#: Versions that nobody needs to know of: what had failed is older than what is whole, or is gone.
_PRUNE: Final = Bulk(
    "WITH asked (id, route) AS (VALUES %s) DELETE FROM failed WHERE (id, route) IN asked AND ("
    " version <= (SELECT v.version FROM versions v WHERE v.id = failed.id AND v.route = failed.route) OR NOT EXISTS ("
    " SELECT 1 FROM documents d WHERE d.id = failed.id AND d.route = failed.route AND d.version = failed.version))",
    2,
)
_FORGET: Final = """
DELETE FROM versions WHERE (id, route) IN (
    SELECT id, route FROM versions v WHERE gone_ms < ?
        AND NOT EXISTS (SELECT 1 FROM documents d WHERE d.id = v.id AND d.route = v.route) LIMIT ?)
"""


def newest_whole(told: Iterable[Told]) -> dict[Key, str]:
    """The newest version of each document that is whole."""
    newest: dict[Key, str] = {}
    for id, route, version, is_whole, is_deleted in told:
        if is_whole and not is_deleted and newest.get((id, route), "") < version:
            newest[id, route] = version
    return newest


def complete(db: sqlite3.Connection, told: Sequence[Told], written: Container[Of], alone: Container[Of], now_ms: int) -> None:
    """Switch documents to versions that are whole, and remove what older ones have left.

    ``written`` are the versions with rows in this transaction, ``alone`` those of documents of which no other part is there.
    """
    switched: list[tuple[str, str, str, int]] = []
    failed: list[Of] = []
    ended: dict[Key, None] = {}
    for id, route, version, is_whole, is_deleted in told:
        of = id, route, version
        if not version:  # outside of a node nothing is known of versions
            if is_whole and is_deleted:
                _delete_all(db, (id, route))
            continue
        is_alone = of in alone
        if is_whole:
            switched.append((id, route, version, -1 if is_deleted else int(of in written)))
        elif not is_deleted:
            failed.append(of)
        if not is_alone:
            ended[id, route] = None
    _SWITCH.change(db, switched, now_ms)
    _remove(db, list(ended))
    _FAIL.change(db, failed)
    if db.execute("SELECT EXISTS (SELECT 1 FROM failed)").fetchone()[0]:
        documents = list({each[:2]: None for each in told})
        _remove(db, documents, _REMOVE_OUTRUN, _LEAVE_OUTRUN)
        _PRUNE.change(db, documents)


def delete(db: sqlite3.Connection, documents: Iterable[tuple[Key, str]], now_ms: int) -> None:
    """Delete all versions of documents up to one, or altogether without one; later, nothing older is taken."""
    versioned = []
    for key, version in documents:
        if version:
            versioned.append((*key, version, -1))
        else:
            _delete_all(db, key)
    _SWITCH.change(db, versioned, now_ms)
    _remove(db, [(id, route) for id, route, *_ in versioned])


def unfollow(db: sqlite3.Connection, documents: Sequence[Key]) -> None:
    """Show the newest version of each part of documents again, whichever was the last that was whole."""
    if documents:
        _REMOVE.change(db, documents, -1)
        for table in ("versions", "leftovers"):
            db.executemany(f"DELETE FROM {table} WHERE id = ? AND route = ?", documents)


def forget(db: sqlite3.Connection, before_ms: int) -> bool:
    """Forget documents that have been gone for so long, some at a time; False if there are none left."""
    return db.execute(_FORGET, (before_ms, MOST_FORGOTTEN)).rowcount >= MOST_FORGOTTEN


def has_leftovers(db: sqlite3.Connection) -> bool:
    return bool(db.execute("SELECT EXISTS (SELECT 1 FROM leftovers)").fetchone()[0])


def remove_leftovers(db: sqlite3.Connection) -> None:
    """Remove some rows of older versions, of one document."""
    found = db.execute("SELECT id, route, part FROM leftovers LIMIT 1").fetchone()
    if found is None:
        return
    keys, part = db.execute(_NEXT_LEFTOVERS, (*found, MOST_REMOVED)).fetchone()
    removed = db.execute("DELETE FROM documents WHERE key IN (SELECT value FROM json_each(?))", (keys,)).rowcount
    if removed < MOST_REMOVED:
        db.execute("DELETE FROM leftovers WHERE id = ? AND route = ?", found[:2])
    else:
        db.execute("UPDATE leftovers SET part = ? WHERE id = ? AND route = ?", (part, *found[:2]))


def _remove(db: sqlite3.Connection, documents: Sequence[Key], remove: Bulk = _REMOVE, leave: Bulk = _LEAVE) -> None:
    for start, cursor in remove.run(db, documents, MOST_REMOVED):
        if cursor.rowcount >= MOST_REMOVED:
            leave.change(db, documents[start : start + 64])


def _delete_all(db: sqlite3.Connection, document: Key) -> None:
    for table in ("documents", "versions", "leftovers", "failed"):
        db.execute(f"DELETE FROM {table} WHERE id = ? AND route = ?", document)
