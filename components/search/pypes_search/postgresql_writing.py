"""Writing of whole documents to PostgreSQL: parts, live versions and the removal of older ones, in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from pypes_basic.mapped_columns import json_text, value_of
from pypes_basic.records import Record, Told
from pypes_search.postgresql_tables import KEY, Schema, all_parts

#: Most rows of one statement.
MOST_ROWS: Final = 1_000


class Writer:
    """The statements of a schema."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        columns = list(schema.columns)
        marks = [f"%s::{type}" for type in schema.columns.values()]
        changed = ", ".join(f"{column} = excluded.{column}" for column in columns if column not in KEY)
        documents = schema.documents
        self._put = (
            f"INSERT INTO {{parts}} ({', '.join(columns)}) SELECT {', '.join(marks)}"
            f" WHERE NOT EXISTS (SELECT 1 FROM {documents} WHERE document = %s::uuid AND live_version > %s)"
            f" ON CONFLICT ({', '.join(KEY)}) DO UPDATE SET {changed}"
        )
        self._switch = (
            f"INSERT INTO {documents} AS d (document, route, id, live_version, gone_since)"
            " VALUES (%s, %s, %s, %s, CASE WHEN %s THEN now() END) ON CONFLICT (document) DO UPDATE"
            " SET live_version = excluded.live_version, gone_since = excluded.gone_since"
            " WHERE excluded.live_version >= d.live_version"
        )
        self._remove = (
            f"DELETE FROM {{parts}} p USING {documents} d"
            " WHERE p.document = ANY(%s::uuid[]) AND d.document = p.document AND p.version < d.live_version"
        )
        self._forget = f"DELETE FROM {documents} WHERE gone_since < now() - make_interval(secs => %s)"

    def count(self, db: Any, documents: Sequence[str]) -> dict[str, dict[str, int]]:
        """Number of parts of each document, by version."""
        found: dict[str, dict[str, int]] = {document: {} for document in documents}
        for parts in all_parts(db, self._schema):
            for document, version, count in db.execute(
                f"SELECT document, version, count(*) FROM {parts} WHERE document = ANY(%s::uuid[]) GROUP BY 1, 2",
                (list(documents),),
            ):
                versions = found[document.hex]
                versions[version] = versions.get(version, 0) + count
        return found

    def write(self, db: Any, records: Sequence[Record], told: Sequence[Told]) -> None:
        """Put records and end versions, within the transaction that is open."""
        tables = all_parts(db, self._schema) if told else []
        if deleted := sorted({each.document for each in told if not each.version and each.is_whole and each.is_deleted}):
            for table in (*tables, self._schema.documents):
                db.execute(f"DELETE FROM {table} WHERE document = ANY(%s::uuid[])", (deleted,))
        loose = [record for record in records if record.id is not None and not record.is_told]
        if loose:
            self._loosen(db, loose)
        by_table: dict[str, list[tuple[Any, ...]]] = {}
        # in one order, so that instances wait for one another and never in a circle
        for record in sorted(records, key=lambda record: (record.into, record.document, record.place)):
            by_table.setdefault(record.into, []).append(self._row(record))
        with db.cursor() as cursor:
            for name, rows in by_table.items():
                for start in range(0, len(rows), MOST_ROWS):
                    cursor.executemany(self._put.format(parts=f"{name}_parts"), rows[start : start + MOST_ROWS])
            versioned = [each for each in told if each.version]
            written = {(record.document, record.version_text) for record in records}
            if switched := sorted((each for each in versioned if each.is_whole), key=lambda each: (each.document, each.version)):
                gone = self._gone(db, [each for each in switched if (each.document, each.version) not in written], tables)
                cursor.executemany(
                    self._switch,
                    [
                        (each.document, each.route, each.id, each.version, (each.document, each.version) in gone)
                        for each in switched
                    ],
                )
        ended = sorted({each.document for each in versioned})
        if ended:
            for parts in tables:
                db.execute(self._remove.format(parts=parts), (ended,))

    def forget(self, db: Any, tombstone_s: float) -> None:
        """Forget documents that have been gone for so long."""
        left = " AND ".join(
            f"NOT EXISTS (SELECT 1 FROM {parts} p WHERE p.document = {self._schema.documents}.document)"
            for parts in all_parts(db, self._schema)
        )
        db.execute(self._forget + (f" AND {left}" if left else ""), (tombstone_s,))

    def _gone(self, db: Any, told: Iterable[Told], tables: Iterable[str]) -> set[tuple[str, str]]:
        """The versions of which nothing is left, neither in this turn nor from those before."""
        asked = {(each.document, each.version) for each in told}
        found: set[tuple[str, str]] = set()
        if asked:
            documents, versions = zip(*asked, strict=True)
            for parts in tables:
                rows = db.execute(
                    "SELECT a.document, a.version FROM unnest(%s::uuid[], %s::text[]) a (document, version) WHERE EXISTS"
                    f" (SELECT 1 FROM {parts} p WHERE p.document = a.document AND p.version = a.version)",
                    (list(documents), list(versions)),
                )
                found |= {(document.hex, version) for document, version in rows}
        return asked - found

    def _loosen(self, db: Any, records: Sequence[Record]) -> None:
        """Have parts of which nobody tells when their document is complete replace older ones at once, each for itself."""
        keys = sorted({(record.document, record.place, record.version_text) for record in records})
        asked = [list(column) for column in zip(*keys, strict=True)]
        for parts in all_parts(db, self._schema):
            db.execute(
                f"DELETE FROM {parts} p USING unnest(%s::uuid[], %s::uuid[], %s::text[]) a (document, place, version)"
                " WHERE p.document = a.document AND p.place = a.place AND (a.version = '' OR p.version < a.version)",
                asked,
            )
        db.execute(
            f"DELETE FROM {self._schema.documents} d USING unnest(%s::uuid[], %s::text[]) a (document, version)"
            " WHERE d.document = a.document AND (a.version = '' OR d.live_version < a.version)",
            (asked[0], asked[2]),
        )

    def _row(self, record: Record) -> tuple[Any, ...]:
        numbers = f"[{','.join(map(repr, record.vector))}]" if record.vector is not None else None
        return (
            *(record.document, record.place, record.version_text, record.route, record.id, record.part),
            *(record.title or None, record.text, record.acl, json_text(record.fields), json_text(record.meta)),
            *(value_of(record, each) for each in self._schema.mapped),
            *((numbers,) if self._schema.dimensions else ()),
            *(record.document, record.version_text),
        )
