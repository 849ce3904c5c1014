"""PostgreSQL: publish to tables with full text and vectors."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, TypeVar

from pypes import Example, Help, Packet, Parameters, Reject, Unreachable
from pypes.errors import ComponentError
from pypes_search.postgresql_tables import Schema, parse_columns, prepare_documents, prepare_parts
from pypes_search.postgresql_writing import Writer
from pypes_search.records import Record, Shape, Told, placeholders
from pypes_search.sqlite_search import KEPT_META
from pypes_search.whole_publisher import Turn, WholePublisher

T = TypeVar("T")

RETRY_S = 1.0
#: Seconds between two looks for documents that have been gone for long enough.
FORGET_INTERVAL_S = 3_600.0
#: So often a transaction is begun anew that another instance has got in the way of.
MOST_TRIES = 5

#: Classes of states of SQL (https://www.postgresql.org/docs/current/errcodes-appendix.html).
#: Another transaction was in the way: deadlock, serialization.
AGAIN = ("40001", "40P01", "55P03")
#: The server cannot do it now: resources, an operator, a replica that only reads.
NOT_NOW = ("53", "57", "58", "25006")
#: A table, column or function is not there any more, or is another one.
CHANGED = ("42P01", "42703", "42883", "42P10", "42804")
#: Not allowed, or no such database: an operator has to mend it.
REFUSED = ("28", "3D", "42501")


class PostgreSQL(WholePublisher):
    """Publish whole documents to PostgreSQL, for full text and, with ``dimensions``, for vectors (pgvector).

    In: packets with a title, a text and, if they are to be found by their meaning, a vector: a list of ``dimensions`` numbers as
    one value. All other fields go into column ``fields`` (jsonb), or into columns of their own (``columns``).
    Out: a row of the view ``table`` for each part, with ``route``, ``id``, ``part``, ``title``, ``text``, ``acl``, ``fields``,
    ``meta``, ``words`` (the words of title and text) and ``vector``. Tables are made when they are missing.

    A document replaces the one of the same route and id with all of its parts in one transaction as soon as it is complete; if
    something of it fails, the older one stays. The view shows one version of a document, never two and never none. A duplicate,
    or an older version that comes late, changes nothing. A DELETE removes the document.

    While the server cannot be reached, is full or only reads, the filter rests. Wrong passwords and tables that do not fit fail
    at set-up. A value that does not fit its column, a vector of another length, and a text too long for a full-text index (about
    1 MB of different words: split it before) become dead letters.
    NUL and halves of surrogate pairs, which PostgreSQL does not take, are stored as U+FFFD.
    """

    icon = "database"
    tags = ("search", "database", "vectors")
    needs = {"psycopg": 'pip install "pypes-search[postgresql]"'}
    example = Example(
        takes=Packet({"id": "ada", "title": "Ada", "text": "Wrote the first program.", "born": 1815}),
        params={"url": "${POSTGRESQL_URL}", "table": "people", "columns": {"born": "born integer"}},
    )

    class Params(Parameters):
        url: Annotated[str, Help("The database: postgresql://USER:${PASSWORD}@HOST:5432/NAME.", min_length=1)]
        table: Annotated[
            str,
            Help(
                "View that readers ask; {language} in it stands for metadata, or a field, of the packet.",
                pattern=r"^([a-z_][a-z0-9_]*\.)?[a-z_]([a-z0-9_]|\{[A-Za-z0-9_]+\})*$",
                max_length=40,
            ),
        ] = "docs"
        title: Annotated[str, Help("Field that holds the title; the file name stands in for it.")] = "title"
        text: Annotated[str, Help("Field that holds the text.")] = "text"
        columns: Annotated[
            dict[str, str],
            Help('Columns of their own: {"written": "created date", "team": "meta:team"}, a field or metadata and its type.'),
        ] = {}
        vector: Annotated[str, Help("Field that holds the vector.")] = "vector"
        dimensions: Annotated[int, Help("Numbers in a vector; 0: no vectors.", ge=0, le=16_000)] = 0
        distance: Annotated[Literal["cosine", "l2", "dot"], Help("Distance that the index of vectors is made for.")] = "cosine"
        words: Annotated[str, Help("Configuration of full text, such as english.", pattern=r"^[a-z_]+$")] = "simple"
        tombstone_s: Annotated[
            float, Help("How long it is known of a deleted document that older versions must not come back, in seconds.", ge=0)
        ] = 7 * 86_400.0
        timeout_s: Annotated[float, Help("Longest time for a connection and for a statement, in seconds.", gt=0)] = 60.0

        def __post_init__(self) -> None:
            parse_columns(self.columns)

    def setup(self) -> None:
        params = self.params
        mapped = parse_columns(params.columns)
        keep = tuple(each.source.removeprefix("meta:") for each in mapped if each.source.startswith("meta:"))
        self.prepare(
            Shape(params.title, params.text, params.vector, params.dimensions, params.table, tuple(set(keep) - set(KEPT_META)))
        )
        self._schema = Schema(params.table, mapped, params.dimensions, params.distance, params.words)
        self._writer = Writer(self._schema)
        self._db: Any = None
        #: Tables of parts that are known to be there and to fit.
        self._known: set[str] = set()
        self._forgot_s = 0.0
        try:
            self._connected()
            if not placeholders(params.table):
                self._prepare([params.table])
        except Exception as error:
            if not _is_outage(error):
                raise self._refused(error) from error
            # documents that come wait until it can be reached
            self.log.warning("the database cannot be reached yet", extra={"error": self.secrets.redact(str(error).strip())})

    def count_removed(self, turn: Turn, told: Sequence[Told]) -> int:
        """The number of parts that the older versions have more than these; asks once for all documents of a turn."""
        unknown = {each.document for each in told} - turn.look.keys()
        if unknown:
            unknown |= {record.document for record in turn.records} - turn.look.keys()
            turn.look.update(self.offload(self._try, lambda db: self._writer.count(db, sorted(unknown))))
        return self.sum_removed(turn, told)

    def write(self, records: Sequence[Record], told: Sequence[Told]) -> None:
        self._try(lambda db: self._writer.write(db, records, told), sorted({record.into for record in records}))
        if time.monotonic() - self._forgot_s > FORGET_INTERVAL_S:
            self._try(lambda db: self._writer.forget(db, self.params.tombstone_s))
            self._forgot_s = time.monotonic()

    def teardown(self) -> None:
        if getattr(self, "_db", None) is not None:
            self._db.close()

    def _try(self, work: Callable[[Any], T], tables: Sequence[str] = ()) -> T:
        """Do work in a transaction of its own, with these tables prepared. Blocks; raises what the runtime waits over."""
        names = tables if placeholders(self.params.table) else [self.params.table]
        for left in reversed(range(MOST_TRIES)):
            try:
                db = self._connected()
                if missing := [name for name in names if name not in self._known]:
                    self._prepare(missing)
                with db.transaction():
                    return work(db)
            except ComponentError as error:  # a table that does not fit: until somebody mends it
                raise Unreachable(RETRY_S, error.message) from error
            except Exception as error:
                state = getattr(error, "sqlstate", None) or ""
                if self._db is not None and (self._db.closed or state.startswith(CHANGED)):
                    self._db.close()
                    self._db = None
                    self._known.clear()
                if state.startswith(AGAIN + CHANGED) and left:
                    continue
                if state.startswith(AGAIN + CHANGED + NOT_NOW + REFUSED):
                    raise Unreachable(RETRY_S, str(error).strip()) from error
                if state.startswith("22") or state == "54000":
                    raise Reject(str(error).strip(), "postgresql.value") from error
                raise
        raise AssertionError("the last try returns or raises")

    def _connected(self) -> Any:
        """The connection; a new one, and the table of live versions compared, where there is none."""
        if self._db is None:
            import psycopg

            params = self.params
            timeout_s = max(1, int(params.timeout_s))
            db = psycopg.connect(
                params.url,
                autocommit=True,
                connect_timeout=timeout_s,
                application_name="pypes",
                options=_options(params.url, timeout_s),
            )
            try:
                with db.transaction():
                    prepare_documents(db, self._schema)
            except BaseException:
                db.close()
                raise
            self._db = db
        return self._db

    def _prepare(self, names: Sequence[str]) -> None:
        for name in names:
            with self._db.transaction():
                prepare_parts(self._db, self._schema, name)
            self._known.add(name)

    def _refused(self, error: Exception) -> Exception:
        if isinstance(error, ComponentError):
            return error
        message = self.secrets.redact(str(error).strip())
        return ComponentError(f"the database refuses: {message}. Mend url, or the rights of its user", code="postgresql.refused")


def _is_outage(error: Exception) -> bool:
    """True if nobody answered, or answered that it cannot be now; false if it was refused."""
    state = getattr(error, "sqlstate", None) or ""
    if state:
        return state.startswith(("08", *NOT_NOW))
    if type(error).__name__ != "OperationalError":
        return isinstance(error, OSError)
    message = str(error)
    passing = ("starting up", "shutting down", "recovery mode", "too many", "remaining connection slots")
    return "FATAL" not in message or any(each in message for each in passing)


def _options(url: str, timeout_s: int) -> str:
    """Settings of the session, behind those that the address has."""
    from psycopg.conninfo import conninfo_to_dict

    given = conninfo_to_dict(url).get("options") or ""
    return f"{given} -c statement_timeout={timeout_s * 1000}".strip()
