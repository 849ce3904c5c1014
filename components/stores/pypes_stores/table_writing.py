"""Writing of whole documents to a table: a turn in one transaction, in SQL that PostgreSQL and SQLite both take.

Whoever writes about a document holds its row in ``…_documents`` until the transaction ends, so what is read about it stays true.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from pypes_basic.mapped_columns import value_of
from pypes_basic.records import Record, Told
from pypes_stores.dialects import Dialect
from pypes_stores.table_layout import KEY, Layout

#: The end of a version that nobody tells of when it is complete: the document had no identity when it was posted.
_UNTOLD: Final = "/0000000000000000"
#: Most rows of one call.
MOST_ROWS: Final = 1_000


class Writer:
    """The statements of a layout."""

    def __init__(self, dialect: Dialect, layout: Layout) -> None:
        self._dialect, self._mapped = dialect, layout.mapped
        table, waiting, documents, mark = layout.table, layout.waiting, layout.documents, dialect.mark
        columns = ", ".join(layout.columns)
        marks = ", ".join([mark] * 6 + [dialect.marked(each.type) for each in layout.mapped])
        changed = "UPDATE SET " + ", ".join(f"{each} = excluded.{each}" for each in layout.columns if each not in KEY)
        key = ", ".join(KEY)
        untold = f"version LIKE '%{_UNTOLD}'".replace("%", "%%" if mark == "%s" else "%")
        insert = f"INSERT INTO {table} AS t ({columns})"
        # what came outside of its document (a part with an id of its own) gives way to nothing older
        keeps = f" WHERE NOT (t.{untold} AND t.version > excluded.version)"
        self._put_whole = f"{insert} VALUES ({marks}) ON CONFLICT ({key}) DO {changed}{keeps}"
        self._put_newest = (
            f"{insert} VALUES ({marks}) ON CONFLICT ({key}) DO {changed}"
            " WHERE t.version <= excluded.version OR excluded.version = ''"
        )
        self._put_waiting = f"INSERT INTO {waiting} ({columns}) VALUES ({marks}) ON CONFLICT ({key}, version) DO {changed}"
        self._take = (
            f"{insert} SELECT {columns} FROM {waiting} WHERE document = {mark} AND version = {mark}"
            f" ON CONFLICT ({key}) DO {changed}{keeps}"
        )
        self._keep_only = (
            f"DELETE FROM {table} WHERE document = {mark} AND version <> {mark} AND (version < {mark} OR NOT ({untold}))"
        )
        self._forget_older = f"DELETE FROM {waiting} WHERE document = {mark} AND version <= {mark}"
        self._forget_failed = f"DELETE FROM {waiting} WHERE document = {mark} AND version = {mark}"
        self._hold = (
            f"INSERT INTO {documents} (document, route, id, live_version, gone_since) VALUES ({mark}, {mark}, {mark}, '', {mark})"
            " ON CONFLICT (document) DO UPDATE SET route = excluded.route"
        )
        self._live = f"SELECT document, live_version FROM {documents} WHERE {dialect.among('document')}"
        self._left = f"SELECT DISTINCT document FROM {table} WHERE {dialect.among('document')}"
        self._move = f"UPDATE {documents} SET live_version = {mark}, gone_since = {mark} WHERE document = {mark}"
        self._delete = [f"DELETE FROM {name} WHERE {dialect.among('document')}" for name in (table, waiting, documents)]
        self._count = (
            f"SELECT document, version, count(*) FROM (SELECT document, place, version FROM {table}"
            f" WHERE {dialect.among('document')} UNION SELECT document, place, version FROM {waiting}"
            f" WHERE {dialect.among('document')}) AS parts GROUP BY document, version"
        )
        self._forget = (
            f"DELETE FROM {documents} WHERE gone_since < {mark}"
            f" AND NOT EXISTS (SELECT 1 FROM {table} t WHERE t.document = {documents.split('.')[-1]}.document)"
            f" AND NOT EXISTS (SELECT 1 FROM {waiting} w WHERE w.document = {documents.split('.')[-1]}.document)"
        )

    def count(self, db: Any, documents: Sequence[str]) -> dict[str, dict[str, int]]:
        """Number of parts of each document, by version."""
        found: dict[str, dict[str, int]] = {document: {} for document in documents}
        listed = self._dialect.listed(documents)
        for document, version, count in db.execute(self._count, (listed, listed)).fetchall():
            found[document][version] = count
        return found

    def write(self, db: Any, records: Sequence[Record], told: Sequence[Told]) -> None:
        """Put records and end versions, within the transaction that is open."""
        if gone := sorted({each.document for each in told if not each.version and each.is_whole and each.is_deleted}):
            for statement in self._delete:
                db.execute(statement, (self._dialect.listed(gone),))
        versioned = [each for each in told if each.version]
        live = self._held(db, records, versioned)
        whole = _newest_whole(versioned, live)
        standing: list[Record] = []
        newest: list[Record] = []
        waiting: list[Record] = []
        for record in records:
            document, version = record.document, record.version_text
            known = live.get(document, "")
            if not record.is_told:
                if not version or version >= known:
                    newest.append(record)
            elif document in whole and version == whole[document]:
                standing.append(record)
            elif version >= max(known, whole.get(document, "")):
                waiting.append(record)
                if not known and document not in whole:
                    newest.append(record)  # as long as no version is whole, the newest of each part is shown
        self._put(db, self._put_waiting, waiting)
        self._put(db, self._put_newest, newest)
        self._put(db, self._put_whole, standing)
        self._end(db, whole, [(each.document, each.version) for each in versioned if not each.is_whole])

    def forget(self, db: Any, tombstone_s: float) -> None:
        """Forget documents that have been gone for so long."""
        db.execute(self._forget, (time.time() - tombstone_s,))

    def _held(self, db: Any, records: Iterable[Record], told: Iterable[Told]) -> dict[str, str]:
        """The version of each document that stands in the table, empty for none; nobody changes it until the end."""
        names = {record.document: (record.route, record.id or "") for record in records if record.is_told}
        names |= {each.document: (each.route, each.id) for each in told}
        now_s = time.time()
        # in one order, so that instances wait for one another and never in a circle
        self._many(db, self._hold, [(document, *names[document], now_s) for document in sorted(names)])
        asked = names.keys() | {record.document for record in records if record.id is not None}
        return dict(db.execute(self._live, (self._dialect.listed(asked),)).fetchall()) if asked else {}

    def _end(self, db: Any, whole: Mapping[str, str], failed: Sequence[tuple[str, str]]) -> None:
        """Have the versions that are whole stand alone; forget what waits of others that have ended."""
        ends = sorted(whole.items())
        self._many(db, self._take, ends)
        self._many(db, self._keep_only, [(document, version, version) for document, version in ends])
        self._many(db, self._forget_older, ends)
        self._many(db, self._forget_failed, sorted(failed))
        if ends:
            left = {document for (document,) in db.execute(self._left, (self._dialect.listed(whole),)).fetchall()}
            now_s = time.time()
            moves = [(version, None if document in left else now_s, document) for document, version in ends]
            self._many(db, self._move, moves)

    def _put(self, db: Any, statement: str, records: Iterable[Record]) -> None:
        ordered = sorted(records, key=lambda record: (record.document, record.place, record.version_text))
        self._many(db, statement, list(map(self._row, ordered)))

    def _many(self, db: Any, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        if rows:
            cursor = db.cursor()
            for start in range(0, len(rows), MOST_ROWS):
                cursor.executemany(statement, rows[start : start + MOST_ROWS])

    def _row(self, record: Record) -> tuple[Any, ...]:
        return (
            *(record.document, record.place, record.version_text, record.route, record.id, record.part),
            *(self._dialect.value(value_of(record, each), each.type) for each in self._mapped),
        )


def _newest_whole(told: Iterable[Told], live: Mapping[str, str]) -> dict[str, str]:
    """By document, the newest version that is whole, where it is not older than the one that stands."""
    found: dict[str, str] = {}
    for each in told:
        if each.is_whole and each.version >= max(live[each.document], found.get(each.document, "")):
            found[each.document] = each.version
    return found
