"""PostgreSQL: publish to tables with full text and vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, TypeVar

from pypes import Example, Help, Packet, Parameters
from pypes_basic.mapped_columns import metadata_of, parse_columns
from pypes_basic.postgresql_session import ADDRESSES, PostgresSession, wait_or_refuse
from pypes_basic.records import Record, Shape, Told, placeholders
from pypes_basic.timing import TOMBSTONE_S, TombstoneS
from pypes_basic.values import KEPT_META
from pypes_basic.whole_publisher import Turn, WholePublisher
from pypes_search.postgresql_tables import RESERVED, Schema, prepare_documents, prepare_parts
from pypes_search.postgresql_writing import Writer

T = TypeVar("T")


class PostgreSQL(WholePublisher):
    """Publish whole documents to PostgreSQL, for full text and, with ``dimensions``, for vectors (pgvector).

    In: packets with a title, a text and, if they are to be found by their meaning, a vector: a list of ``dimensions`` numbers as
    one value. All other fields go into column ``fields`` (jsonb), or into columns of their own (``columns``).
    Out: a row of the view ``table`` for each part, with ``route``, ``id``, ``part``, ``title``, ``text``, ``acl``, ``fields``,
    ``meta``, ``words`` (the words of title and text) and ``vector``. Tables are made when they are missing.

    A document replaces the one of the same route and id with all of its parts in one transaction as soon as it is complete; if
    something of it fails, the older one stays. The view shows one version of a document, never two and never none; of one that
    was not there before it shows the parts as they come. A duplicate, or an older version that comes late, changes nothing. A
    DELETE removes the document.

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
        url: Annotated[str, Help("The database: postgresql://USER:${PASSWORD}@HOST:5432/NAME.", harmless=ADDRESSES, min_length=1)]
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
        tombstone_s: TombstoneS = TOMBSTONE_S
        timeout_s: Annotated[float, Help("Longest time for a connection and for a statement, in seconds.", gt=0)] = 60.0

        def __post_init__(self) -> None:
            parse_columns(self.columns, RESERVED)

    def setup(self) -> None:
        params = self.params
        mapped = parse_columns(params.columns, RESERVED)
        self.prepare(
            Shape(
                params.title,
                params.text,
                params.vector,
                params.dimensions,
                params.table,
                tuple(metadata_of(mapped) - set(KEPT_META)),
            )
        )
        self._schema = Schema(params.table, mapped, params.dimensions, params.distance, params.words)
        self._writer = Writer(self._schema)
        #: Tables of parts that are known to be there and to fit.
        self._known: set[str] = set()
        self._session = PostgresSession(params.url, params.timeout_s, self._prepare_documents)
        try:
            db = self._session.connected()
            if not placeholders(params.table):
                self._prepare(db, [params.table])
        except Exception as error:
            wait_or_refuse(error, self.secrets.redact, self.log)

    def count_removed(self, turn: Turn, told: Sequence[Told]) -> int:
        """The number of parts that the older versions have more than these; asks once for all documents of a turn."""
        unknown = {each.document for each in told} - turn.look.keys()
        if unknown:
            unknown |= {record.document for record in turn.records} - turn.look.keys()
            turn.look.update(self.offload(self._try, lambda db: self._writer.count(db, sorted(unknown))))
        return self.sum_removed(turn, told)

    def write(self, records: Sequence[Record], told: Sequence[Told]) -> None:
        self._try(lambda db: self._writer.write(db, records, told), sorted({record.into for record in records}))

    def forget(self) -> None:
        self._try(lambda db: self._writer.forget(db, self.params.tombstone_s))

    def teardown(self) -> None:
        if hasattr(self, "_session"):
            self._session.close()

    def _try(self, work: Callable[[Any], T], tables: Sequence[str] = ()) -> T:
        """Do work in a transaction of its own, with these tables prepared. Blocks; raises what the runtime waits over."""
        names = tables if placeholders(self.params.table) else [self.params.table]

        return self._session.run(work, lambda db: self._prepare(db, names))

    def _prepare_documents(self, db: Any) -> None:
        self._known.clear()
        prepare_documents(db, self._schema)

    def _prepare(self, db: Any, names: Sequence[str]) -> None:
        for name in names:
            if name not in self._known:
                with db.transaction():
                    prepare_parts(db, self._schema, name)
                self._known.add(name)
