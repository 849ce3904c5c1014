"""Layout: the tables of a filter that publishes to a table, made when they are missing and compared when they are there.

For a table ``people`` there are ``people_waiting``, which holds parts of versions that are not complete yet, and
``people_documents``, which says which version of a document stands in the table. So the table itself shows one version of each.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from pypes.errors import ComponentError
from pypes_basic.mapped_columns import Mapped
from pypes_stores.dialects import Dialect

#: Columns of every table, in their order: of texts all. ``document`` and ``place`` are digests of route and id, and of the part.
OWN: Final = ("document", "place", "version", "route", "id", "part")
KEY: Final = ("document", "place")
#: Own columns that may be empty: a document without an id has none.
_NULLABLE: Final = ("id",)


class Layout(NamedTuple):
    """Names and columns of the tables."""

    table: str
    mapped: tuple[Mapped, ...]

    @property
    def waiting(self) -> str:
        return f"{self.table}_waiting"

    @property
    def documents(self) -> str:
        return f"{self.table}_documents"

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that are written, in their order."""
        return (*OWN, *(each.column for each in self.mapped))


def prepare(db: Any, dialect: Dialect, layout: Layout) -> None:
    """Make the tables that are missing, and mapped columns that they lack, within the open transaction.

    Raises ``ComponentError`` where a table is there that does not fit, with what differs.
    """
    dialect.lock(db, layout.table)
    db.execute(
        f"CREATE TABLE IF NOT EXISTS {layout.documents} (document text PRIMARY KEY, route text NOT NULL, id text NOT NULL,"
        f" live_version {dialect.version}, gone_since {dialect.type_of('double precision')}){dialect.options}"
    )
    _table(db, dialect, layout, layout.waiting, (*KEY, "version"))
    _table(db, dialect, layout, layout.table, KEY)


def _table(db: Any, dialect: Dialect, layout: Layout, name: str, key: Iterable[str]) -> None:
    there = dialect.columns_of(db, name)
    if not there:
        own = [
            f"{column} {dialect.version}" if column == "version" else f"{column} text{'' if column in _NULLABLE else ' NOT NULL'}"
            for column in OWN
        ]
        columns = [*own, *map(dialect.declared, layout.mapped), f"PRIMARY KEY ({', '.join(key)})"]
        db.execute(f"CREATE TABLE {name} ({', '.join(columns)}){dialect.options}")
        return
    _compare(dialect, layout, name, there)
    for each in layout.mapped:
        if each.column not in there:
            db.execute(f"ALTER TABLE {name} ADD COLUMN {dialect.declared(each)}")
    if name == layout.table:
        # a table that somebody else has made
        index = f"{name.split('.')[-1]}_place"
        prefix = f"{name.rpartition('.')[0]}." if "." in name and dialect.mark == "?" else ""
        db.execute(f"CREATE UNIQUE INDEX IF NOT EXISTS {prefix}{index} ON {name} ({', '.join(KEY)})")


def _compare(dialect: Dialect, layout: Layout, name: str, there: dict[str, str]) -> None:
    missing = [column for column in OWN if column not in there]
    wanted = {**dict.fromkeys(OWN, "text"), **{each.column: each.type for each in layout.mapped}}
    wrong = [
        f"column {column} is {there[column]} instead of {dialect.type_of(kind)}"
        for column, kind in wanted.items()
        if column in there and not dialect.fits(there[column], kind)
    ]
    if missing:
        wrong.append(f"of the columns that tell documents apart it lacks {', '.join(missing)} (text)")
    if wrong:
        raise ComponentError(
            f"table {name} does not fit: {'; '.join(wrong)}. Set columns as they are there, add what it lacks, or name another",
            code="sql.schema",
        )
