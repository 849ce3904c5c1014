"""SQLQuery: fetch the rows of a query that are new or have changed, and delete the documents of those that are gone."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time
from decimal import Decimal
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Any, Final
from uuid import UUID

import orjson

from pypes import Example, Help, Packet, Parameters, Reject, Source
from pypes.core.file_names import named
from pypes.errors import ComponentError
from pypes_basic.naming import deletion, id_help
from pypes_basic.postgresql_session import ADDRESSES, is_outage
from pypes_basic.seen import are_too_many
from pypes_stores.query_session import QuerySession, reading
from pypes_stores.row_cursor import Row, RowCursor, packed

#: Rows that are read at once.
PAGE_ROWS: Final = 500
#: Documents that are stored at once: so many, or a share of those known, since the cursor with all is stored each time; or bytes.
BATCH_ROWS: Final = 500
BATCH_SHARE: Final = 16
BATCH_BYTES: Final = 4 << 20
#: About what a document has beside its fields.
META_BYTES: Final = 512
_COLUMN: Final = r'^[^"\x00]+$'


class SQLQuery(Source):
    """Fetch the rows of a query in PostgreSQL (``url``) or SQLite (``path``) that are new or have changed since.

    A row is a document with a field for each column that is not NULL; decimals, times and UUIDs are texts. Its id is the value
    of column ``key`` unless ``id`` says otherwise, so that a changed row replaces its document. Rows are read in the order of
    column ``rising``, a number or time that is larger for whatever was written later: a serial number, a time of change. Rows
    without a value there are not read.

    Each run reads the last ``again`` rows once more, and passes over those that have not changed: transactions that ended late
    have put rows between them. So a row is missed only if ``again`` rows that are newer, or as new, were read before it could be
    seen. After a crash a run goes on where documents were stored last.

    Deletions: a row of which column ``deleted`` holds something true (or a time) deletes its document. With ``compare``, all keys
    are read at the end of a run, and what is gone is deleted; the ids of all documents are then part of the cursor, so this is
    for up to some hundred thousand rows. A run that would delete more than ten documents, and more than half of those known,
    deletes none and ends with ``source.too_many_deletions``; ``POST /graphs/{name}/trigger?confirm=deletions`` has them deleted.
    """

    icon = "database-zap"
    tags = ("database", "deletions")
    example = Example(
        params={"path": "people.db", "query": "SELECT 7 AS number, 'Ada' AS name", "key": "number", "rising": "number"},
        # an empty file is a database without tables
        files={"people.db": ""},
        gives=Packet({"number": 7, "name": "Ada"}, {"id": "7"}),
    )

    class Params(Parameters):
        query: Annotated[str, Help("What to fetch, without an order: SELECT id, name, changed FROM people.", min_length=1)]
        key: Annotated[str, Help("Column by which a row is known.", pattern=_COLUMN)]
        rising: Annotated[str, Help("Column that is larger for whatever was written later.", pattern=_COLUMN)]
        url: Annotated[str, Help("The database: postgresql://USER:${PASSWORD}@HOST:5432/NAME.", harmless=ADDRESSES)] = ""
        path: Annotated[str, Help("File of SQLite in place of url, from the data directory if relative.", path=True)] = ""
        id: Annotated[str, id_help("Id of each document, made of {key}", "key")] = "{key}"
        deleted: Annotated[str, Help("Column that says that a row is deleted; empty: none does.", pattern=r'^[^"\x00]*$')] = ""
        compare: Annotated[bool, Help("Read all keys in each run, and delete the documents of rows that are gone.")] = False
        again: Annotated[int, Help("Rows at the end of the last run that are read again.", ge=1, le=100_000)] = 1_000
        timeout_s: Annotated[float, Help("Longest time for a connection and for a statement, in seconds.", gt=0)] = 60.0

        def __post_init__(self) -> None:
            if bool(self.url) == bool(self.path):
                raise ValueError("give url (PostgreSQL) or path (SQLite), one of the two")
            if not self.id and (self.deleted or self.compare):
                raise ValueError("id: without ids nothing can be deleted; leave deleted and compare out")

    def setup(self) -> None:
        params = self.params
        #: The query without its end, so that it can stand within another one.
        self._query = params.query.strip().rstrip(";")
        #: Stands for the query that a cursor belongs to, without any value of a variable.
        shown = self.secrets.redact(f"{params.url}{params.path}\0{self._query}\0{params.key}\0{params.rising}\0{params.id}")
        self._of = blake2b(shown.encode(), digest_size=8).hexdigest()
        try:
            with self._session() as session:
                names, _ = session.rows(f"SELECT * FROM ({self._query}) AS q LIMIT 0")
        except ComponentError as error:
            if error.code != "sql.unreachable":
                raise
            self.log.warning("the database cannot be reached yet", extra={"error": error.message})
            return
        for name in filter(None, (params.key, params.rising, params.deleted)):
            if name not in names:
                raise ComponentError(f"the query has no column {name!r}; it has {', '.join(names)}", code="sql.columns")

    def fetch(self, cursor: Any) -> Iterator[tuple[list[Packet], Any]]:
        at = RowCursor(cursor, self._of, self.params.again, is_compared=self.params.compare)
        with self._session() as session:
            packets: list[Packet] = []
            size = 0
            is_cut_off = at.at is not None
            for row in self._rows(session, at):
                if not at.is_new(row):
                    at.put(row)
                    continue
                packet = self._packet(row)
                added = META_BYTES + len(orjson.dumps(packet.to_json()))
                if added > self.fetched_bytes:
                    packet, added = Packet.from_document({}, {"id": row.id, "toolarge": added}), META_BYTES
                if packets and size + added > min(BATCH_BYTES, self.fetched_bytes):
                    yield packets, at.value()
                    packets, size, is_cut_off = [], 0, True
                at.put(row)
                packets.append(packet)
                size += added
                if len(packets) >= self._batch_rows(at):
                    yield packets, at.value()
                    packets, size, is_cut_off = [], 0, True
            at.end()
            if packets or is_cut_off:
                yield packets, at.value()
            if at.ids is not None:
                yield from self._gone(session, at)

    def process(self, packet: Packet) -> Packet:
        size = packet.get_meta("toolarge")
        if size is None:
            return packet
        raise Reject(
            f"row {packet.id} has {size} bytes, and {self.fetched_bytes} can be handed over by limits.json_bytes; raise it, or "
            "leave columns out of the query",
            "sql.too_large",
        )

    def _rows(self, session: QuerySession, at: RowCursor) -> Iterator[Row]:
        """Rows from where the cursor stands, in the order of the rising column, page by page."""
        key, rising, mark = _quoted(self.params.key), _quoted(self.params.rising), session.mark
        query = self._query.replace("%", "%%") if mark == "%s" else self._query
        order = f"ORDER BY {rising}, {key} LIMIT {PAGE_ROWS}"
        behind = f"SELECT * FROM ({query}) AS q WHERE ({rising}, {key}) > ({mark}, {mark}) {order}"
        if at.at is not None:
            page = session.rows(behind, at.at)
        elif at.start is not None:
            page = session.rows(f"SELECT * FROM ({query}) AS q WHERE {rising} > {mark} {order}", (at.start,))
        else:
            page = session.rows(f"SELECT * FROM ({self._query}) AS q WHERE {rising} IS NOT NULL {order}")
        while True:
            names, rows = page
            row = None
            for values in rows:
                yield (row := self._row(dict(zip(names, values, strict=True))))
            if row is None or len(rows) < PAGE_ROWS:
                return
            page = session.rows(behind, (row.rising, row.key))

    def _row(self, values: Mapping[str, Any]) -> Row:
        params = self.params
        key, rising = values[params.key], values[params.rising]
        for name, value in ((params.rising, rising), (params.key, key)):
            try:
                packed(value)
            except ValueError as error:
                raise ComponentError(f"column {name!r}: {error}; leave such rows out of the query", code="sql.columns") from error
        fields = {name: _plain(value) for name, value in values.items() if value is not None}
        is_deleted = bool(params.deleted) and bool(values[params.deleted])
        return Row(self._id(key), rising, key, fields, is_deleted)

    def _id(self, key: Any) -> str:
        return named(self.secrets.redact(self.params.id), key=str(_plain(key))) or str(_plain(key))

    def _packet(self, row: Row) -> Packet:
        if row.is_deleted:
            return deletion(row.id)
        return Packet.from_document(dict(row.fields), {"id": row.id} if self.params.id else {})

    def _gone(self, session: QuerySession, at: RowCursor) -> Iterator[tuple[list[Packet], Any]]:
        """Deletions of the documents whose rows are not there any more."""
        assert at.ids is not None
        keys = session.rows(f"SELECT {_quoted(self.params.key)} FROM ({self._query}) AS q")[1]
        there = {self._id(key) for (key,) in keys if key is not None}
        gone = [id for id in at.ids if id not in there]
        if are_too_many(len(gone), len(at.ids)) and not self.is_confirmed:
            raise ComponentError(
                f"{len(gone)} rows that were known are gone, more than half: their documents are not deleted, the table may just "
                f"have been emptied; if they are to be deleted, POST /graphs/{self.graph_name}/trigger?confirm=deletions",
                code="source.too_many_deletions",
            )
        while gone:
            some, gone = gone[: self._batch_rows(at)], gone[self._batch_rows(at) :]
            at.forget(some)
            yield [deletion(id) for id in some], at.value()

    def _batch_rows(self, at: RowCursor) -> int:
        known: int = max(len(at.ids or ()), self.params.again)
        return max(BATCH_ROWS, min(known // BATCH_SHARE, 4_096))

    @contextmanager
    def _session(self) -> Iterator[QuerySession]:
        """A session; what fails in it is told without secrets, as the end of a run."""
        params = self.params
        try:
            with reading(params.url, Path(self.data_dir, params.path), params.timeout_s) as session:
                yield session
        except ImportError as error:
            raise ComponentError(
                'PostgreSQL needs psycopg: pip install "pypes-stores[postgresql]"', code="sql.no_library"
            ) from error
        except Exception as error:
            if not (isinstance(error, sqlite3.Error) or hasattr(error, "sqlstate")):
                raise
            is_out = bool(params.url) and is_outage(error)
            said = self.secrets.redact(str(error).strip())
            code = "sql.unreachable" if is_out else "sql.failed"
            raise ComponentError(f"the database cannot be asked: {said}", code=code) from error


def _quoted(name: str) -> str:
    return f'"{name}"'


def _plain(value: Any) -> Any:
    """A value of a column as a field has it."""
    match value:
        case bytes() | bytearray() | memoryview():
            return bytes(value)
        case Decimal() | UUID():
            return str(value)
        case datetime() | date() | time():
            return value.isoformat()
        case Mapping():
            return {str(name): _plain(each) for name, each in value.items()}
        case str() | int() | float():
            return value
        case Sequence() | set():
            return [_plain(each) for each in value]
    return value if value is None else str(value)
