"""Tables of PostgreSQL: made when they are missing, and compared with what a filter is to write when they are there.

For a name ``docs`` there are the tables ``docs_parts``, a row for each part of each version, and ``docs_documents``, which says
which version of a document is live; readers ask the view ``docs``, which shows live rows only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple

from pypes.errors import ComponentError
from pypes_basic.mapped_columns import Mapped
from pypes_basic.postgresql_session import found_columns

#: Columns of every table of parts, in their order. NULL stands for what a document does not have.
COLUMNS: Final = {
    "document": "uuid",
    "place": "uuid",
    "version": "text",
    "route": "text",
    "id": "text",
    "part": "text",
    "title": "text",
    "text": "text",
    "acl": "text[]",
    "fields": "jsonb",
    "meta": "jsonb",
}
#: Names that no mapped column may have.
RESERVED: Final = (*COLUMNS, "vector", "words")
KEY: Final = ("document", "place", "version")
_OPERATORS: Final = {"cosine": "vector_cosine_ops", "l2": "vector_l2_ops", "dot": "vector_ip_ops"}
#: pgvector's indexes take no longer vectors.
MAX_INDEXED_DIMENSIONS: Final = 2_000


class Schema(NamedTuple):
    """Contents of the tables of a filter. ``template`` may have ``{name}`` in place of which metadata stand."""

    template: str
    mapped: tuple[Mapped, ...]
    dimensions: int
    distance: Literal["cosine", "l2", "dot"]
    language: str

    @property
    def documents(self) -> str:
        """The name of the table of live versions, which all tables of a template share."""
        pieces = [piece.split("}", 1)[-1] for piece in self.template.split("{")]
        return "_".join(filter(None, (piece.strip("_") for piece in pieces))) + "_documents"

    @property
    def columns(self) -> dict[str, str]:
        """Columns that are written, with their types."""
        found = {**COLUMNS, **{each.column: each.type for each in self.mapped}}
        return {**found, "vector": f"vector({self.dimensions})"} if self.dimensions else found

    @property
    def mark(self) -> str:
        """The comment by which tables of this template are found again."""
        return f"pypes parts: {self.template}"


def prepare_documents(db: Any, schema: Schema) -> None:
    """Make the table of live versions if it is missing, and the extension for vectors if those are asked for."""
    _lock(db, schema.documents)
    if schema.dimensions and not db.execute("SELECT 1 FROM pg_extension WHERE extname = 'vector'").fetchone():
        if not db.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'").fetchone():
            raise ComponentError(
                "the server has no pgvector, which columns of vectors need: install it there, or set dimensions to 0",
                code="postgresql.no_pgvector",
            )
        db.execute("CREATE EXTENSION IF NOT EXISTS vector")
    db.execute(
        f"CREATE TABLE IF NOT EXISTS {schema.documents} (document uuid PRIMARY KEY, route text NOT NULL, id text NOT NULL,"
        " live_version text NOT NULL, gone_since timestamp with time zone)"
    )
    _compare(db, schema.documents, {"document": "uuid", "route": "text", "id": "text", "live_version": "text"})


def prepare_parts(db: Any, schema: Schema, name: str) -> None:
    """Make a table of parts with its view if it is missing, and add mapped columns that it lacks.

    Raises ``ComponentError`` where one is there that does not fit, with what differs.
    """
    parts = f"{name}_parts"
    _lock(db, parts)
    kind = db.execute("SELECT relkind::text FROM pg_class WHERE oid = to_regclass(%s)", (name,)).fetchone()
    if kind is not None and kind[0] != "v":
        raise ComponentError(
            f"{name} is there, and is no view of Pypes; give another name (table), or rename what is there",
            code="postgresql.foreign_table",
        )
    columns = [f"{column} {type}" + (" NOT NULL" if column in KEY else "") for column, type in schema.columns.items()]
    words = (
        f"setweight(to_tsvector('{schema.language}'::regconfig, coalesce(title, '')), 'A')"
        f" || setweight(to_tsvector('{schema.language}'::regconfig, coalesce(text, '')), 'B')"
    )
    columns += [f"words tsvector GENERATED ALWAYS AS ({words}) STORED", f"PRIMARY KEY ({', '.join(KEY)})"]
    there = found_columns(db, parts)
    if not there:
        db.execute(f"CREATE TABLE {parts} ({', '.join(columns)})")
        db.execute(f"COMMENT ON TABLE {parts} IS '{schema.mark}'")
        index = parts.split(".")[-1]
        db.execute(f"CREATE INDEX {index}_words ON {parts} USING gin (words)")
        if 0 < schema.dimensions <= MAX_INDEXED_DIMENSIONS:
            db.execute(f"CREATE INDEX {index}_vector ON {parts} USING hnsw (vector {_OPERATORS[schema.distance]})")
    for each in schema.mapped:
        if there and each.column not in there:
            db.execute(f"ALTER TABLE {parts} ADD COLUMN {each.column} {each.type}")
    _compare(db, parts, {**schema.columns, "words": "tsvector"})
    # PERF: as one value, of which the planner supposes that it holds for half of the rows. Of a join that compares versions it
    # supposes that hardly a row is left, and reads the whole table for the nearest five vectors.
    db.execute(
        f"CREATE OR REPLACE VIEW {name} AS SELECT p.* FROM {parts} p WHERE coalesce("
        f"(SELECT d.live_version = p.version FROM {schema.documents} d WHERE d.document = p.document), NOT EXISTS ("
        f"SELECT 1 FROM {parts} n WHERE n.document = p.document AND n.place = p.place AND n.version > p.version))"
    )


def all_parts(db: Any, schema: Schema) -> list[str]:
    """The tables of parts of a template, whoever made them."""
    if "{" not in schema.template:
        return [f"{schema.template}_parts"]
    found = db.execute(
        "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND obj_description(oid, 'pg_class') = %s"
        " AND relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = to_regclass(%s))",
        (schema.mark, schema.documents),
    ).fetchall()
    return [name for (name,) in found]


def _compare(db: Any, table: str, wanted: Mapping[str, str]) -> None:
    there = found_columns(db, table)
    wrong = [
        f"column {column} is {there[column]} instead of {type}" if column in there else f"column {column} ({type}) is missing"
        for column, type in wanted.items()
        if there.get(column) != type
    ]
    if wrong:
        raise ComponentError(
            f"table {table} does not fit: {'; '.join(wrong)}. Set columns and dimensions as they are there, or another table",
            code="postgresql.schema",
        )


def _lock(db: Any, name: str) -> None:
    """Instances that begin at the same time make tables one after the other; until the transaction ends."""
    db.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (f"pypes {name}",))
