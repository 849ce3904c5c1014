"""The composites in ``control.db``: all versions of each, and which of them is the newest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from pypes.access.audit import ITSELF, Cause, line_of
from pypes.errors import NotFound
from pypes.runtime.graphs.draft_store import Change

#: One that was deleted keeps its versions, and is not in ``newest``.
COMPOSITES: Final = """
create table composites (
    name text not null, version integer not null, composite text not null, author text not null, created real not null,
    note text not null, primary key (name, version)
) without rowid;
create table newest (name text primary key, version integer not null) without rowid;
"""
_COLUMNS: Final = "name, version, composite, author, created, note"


@dataclass(frozen=True, slots=True)
class StoredComposite:
    """One version of a composite; ``composite`` is its JSON object. ``created`` is in the node's time, in seconds."""

    name: str
    version: int
    composite: dict[str, Any]
    author: str = ""
    created: float = 0.0
    note: str = ""


class CompositeStore:
    """Composites in the file of a :class:`ControlStore`, which reads ``rows`` and makes each ``change``."""

    def __init__(self, rows: Callable[..., list[tuple[Any, ...]]], change: Change) -> None:
        self._rows = rows
        self._change = change

    def all(self) -> dict[str, StoredComposite]:
        """The newest version of each composite, by name."""
        rows = self._rows(f"select {_COLUMNS} from composites natural join newest order by name")
        return {row[0]: _stored(row) for row in rows}

    def versions(self, name: str) -> list[StoredComposite]:
        """All versions of a composite, the newest first; also of one that was deleted."""
        rows = self._rows(f"select {_COLUMNS} from composites where name = ? order by version desc", name)
        return [_stored(row) for row in rows]

    def version(self, name: str, version: int) -> StoredComposite:
        """One version; raises :class:`NotFound`."""
        rows = self._rows(f"select {_COLUMNS} from composites where name = ? and version = ?", name, version)
        if not rows:
            message = f"there is no version {version} of composite {name!r}; GET /composites/{name}/versions lists them"
            raise NotFound(message, code="composite.no_version", where=name)
        return _stored(rows[0])

    def next_version(self, name: str) -> int:
        """The number that the next version will have; those of deleted composites are not used again."""
        return int(self._rows("select coalesce(max(version), 0) + 1 from composites where name = ?", name)[0][0])

    def put(self, stored: StoredComposite, cause: Cause = ITSELF, file: tuple[str, str] | None = None) -> None:
        """Keep a version as the newest; with the path and the digest of the ``file`` that it came from."""
        rows = self._rows("select version from newest where name = ?", stored.name)
        before = int(rows[0][0]) if rows else None
        row = (stored.name, stored.version, _text(stored.composite), stored.author, stored.created, stored.note)
        loaded = [] if file is None else [("insert or replace into files values (?, ?)", file)]
        detail = {"file": file[0]} if file is not None else {}
        self._change(
            (f"insert into composites ({_COLUMNS}) values (?, ?, ?, ?, ?, ?)", row),
            ("insert or replace into newest values (?, ?)", (stored.name, stored.version)),
            *loaded,
            lines=[line_of(cause, "composite.save", object=stored.name, before=before, after=stored.version, detail=detail)],
        )

    def delete(self, name: str, cause: Cause = ITSELF) -> None:
        """Have a composite no more; its versions stay."""
        rows = self._rows("select version from newest where name = ?", name)
        before = int(rows[0][0]) if rows else None
        line = line_of(cause, "composite.delete", object=name, before=before)
        self._change(("delete from newest where name = ?", (name,)), lines=[line])


def _stored(row: tuple[Any, ...]) -> StoredComposite:
    name, version, composite, *rest = row
    return StoredComposite(name, version, msgspec.json.decode(composite), *rest)


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()
