"""SQLTable: publish to a table of PostgreSQL or SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pypes import Example, Help, Packet, Parameters
from pypes.errors import ComponentError
from pypes_basic.mapped_columns import Columns, metadata_of, parse_columns
from pypes_basic.postgresql_session import ADDRESSES, PostgresSession, wait_or_refuse
from pypes_basic.records import Record, Shape, Told
from pypes_basic.timing import TOMBSTONE_S, TombstoneS
from pypes_basic.values import KEPT_META
from pypes_basic.whole_publisher import Turn, WholePublisher
from pypes_stores.dialects import Dialect, PostgresDialect, SqliteDialect
from pypes_stores.sqlite_session import SqliteSession
from pypes_stores.table_layout import OWN, Layout, prepare
from pypes_stores.table_writing import Writer

T = TypeVar("T")

#: The installation of what PostgreSQL needs.
INSTALL = 'pip install "pypes-stores[postgresql]"'


class SQLTable(WholePublisher):
    """Publish whole documents as rows of a table, in PostgreSQL (``url``) or in a file of SQLite (``path``).

    In: packets with the fields and metadata that ``columns`` names. Out: a row for each part, with the mapped columns and
    ``document`` and ``place`` (digests: the key), ``version``, ``route``, ``id`` and ``part``. The table is made when it is
    missing, or compared at set-up; so are ``…_documents`` and ``…_waiting`` beside it. A row that is replaced keeps the columns
    that are not mapped, and rows of others in the table are left alone.

    A document replaces the one of the same route and id with all of its parts in one transaction as soon as it is complete; if
    something of it fails, the older one stays. Readers see one version of a document, never two and never none. A duplicate, or
    an older version that comes late, changes nothing. A DELETE removes the rows of the document.

    While the database cannot be reached, is full or is locked, the filter rests. Wrong passwords and tables that do not fit fail
    at set-up. A value that does not fit its column, or breaks a constraint of the table, makes a dead letter of its document
    alone (``postgresql.value``, ``sqlite.value``). NUL and halves of surrogate pairs are stored as U+FFFD.
    """

    icon = "table"
    tags = ("database", "table")
    example = Example(
        takes=Packet({"id": "ada", "name": "Ada", "born": 1815}),
        params={"path": "people.db", "table": "people", "columns": {"name": "name", "born": "born integer"}},
        leaves={"people.db": None},
    )

    class Params(Parameters):
        columns: Columns
        table: Annotated[str, Help("Table to write to.", pattern=r"^([a-z_][a-z0-9_]*\.)?[a-z_][a-z0-9_]*$", max_length=40)] = (
            "documents"
        )
        url: Annotated[str, Help("The database: postgresql://USER:${PASSWORD}@HOST:5432/NAME.", harmless=ADDRESSES)] = ""
        path: Annotated[str, Help("File of SQLite in place of url, from the data directory if relative.", path=True)] = ""
        tombstone_s: TombstoneS = TOMBSTONE_S
        timeout_s: Annotated[
            float, Help("Longest time for a connection, a statement, and the turn of another writer, in seconds.", gt=0)
        ] = 60.0

        def __post_init__(self) -> None:
            if bool(self.url) == bool(self.path):
                raise ValueError("give url (PostgreSQL) or path (SQLite), one of the two")
            if self.path and "." in self.table:
                raise ValueError("table: SQLite has no schemas, so its name has no dot")
            parse_columns(self.columns, OWN)

    def setup(self) -> None:
        params = self.params
        mapped = parse_columns(params.columns, OWN)
        # all fields stay fields: none has a place of its own
        self.prepare(Shape("", "", "", 0, params.table, tuple(metadata_of(mapped) - set(KEPT_META))))
        layout = Layout(params.table, mapped)
        dialect: Dialect = PostgresDialect() if params.url else SqliteDialect()
        self._writer = Writer(dialect, layout)

        def prepared(db: Any) -> None:
            prepare(db, dialect, layout)

        self._session: PostgresSession | SqliteSession
        if params.url:
            self._session = PostgresSession(params.url, params.timeout_s, prepared)
        else:
            self._session = SqliteSession(Path(self.data_dir, params.path), params.timeout_s, self.durability, prepared)
        try:
            self._session.connected()
        except ImportError as error:
            raise ComponentError(f"PostgreSQL needs psycopg: {INSTALL}", code="sql.no_library") from error
        except sqlite3.Error as error:
            message = f"{params.path} cannot be written to: {error}; mend it, or name another file"
            raise ComponentError(message, code="sqlite.refused") from error
        except Exception as error:
            wait_or_refuse(error, self.secrets.redact, self.log)

    def count_removed(self, turn: Turn, told: Sequence[Told]) -> int:
        """The number of parts that the older versions have more than these; asks once for all documents of a turn."""
        unknown = {each.document for each in told} - turn.look.keys()
        if unknown:
            unknown |= {record.document for record in turn.records} - turn.look.keys()
            turn.look.update(self.offload(self._session.run, lambda db: self._writer.count(db, sorted(unknown))))
        return self.sum_removed(turn, told)

    def write(self, records: Sequence[Record], told: Sequence[Told]) -> None:
        self._session.run(lambda db: self._writer.write(db, records, told))

    def forget(self) -> None:
        self._session.run(lambda db: self._writer.forget(db, self.params.tombstone_s))

    def teardown(self) -> None:
        if hasattr(self, "_session"):
            self._session.close()
