"""RowCursor: how far a source has read a table, by a column that rises, and which rows it knows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from hashlib import blake2b
from typing import Any, NamedTuple
from uuid import UUID

import orjson


class Row(NamedTuple):
    """A row: the id of its document, its values in the rising column and the key, its content, and whether it is deleted."""

    id: str
    rising: Any
    key: Any
    fields: Mapping[str, Any]
    is_deleted: bool

    @property
    def digest(self) -> str:
        """Equal for rows that make equal documents."""
        data = orjson.dumps([self.fields, self.is_deleted], default=str, option=orjson.OPT_NON_STR_KEYS)
        return blake2b(data, digest_size=8).hexdigest()


class RowCursor:
    """The last rows in the order of the rising column, and with ``is_compared`` the ids of all documents.

    A run reads these last rows again, for rows whose transaction ended late come between them, and passes over what it knows by
    its digest. A run that goes on where another one was cut off leaves that to the next one.
    """

    def __init__(self, cursor: Any, of: str, most: int, *, is_compared: bool) -> None:
        known = cursor or {}
        self._of, self._most = of, most
        is_ours = known.get("of") == of
        #: The last rows of earlier runs that this one has not come to, and those that it has read: id → rising value and digest.
        self._before: dict[str, list[Any]] = {id: entry for id, *entry in known["rows"]} if is_ours else {}
        self._read: dict[str, list[Any]] = {}
        #: Rising value of the last row that is no longer known.
        self._dropped = known.get("dropped") if is_ours else None
        self._at = known.get("at") if is_ours else None
        self._goes_on = self._at is not None
        self.ids: dict[str, None] | None = dict.fromkeys(known.get("ids", ())) if is_compared else None

    @property
    def start(self) -> Any:
        """Rising value behind which a run begins; ``None``: at the beginning."""
        return unpacked(self._dropped)

    @property
    def at(self) -> tuple[Any, Any] | None:
        """Rising value and key behind which a run goes on that was cut off."""
        return None if self._at is None else (unpacked(self._at[0]), unpacked(self._at[1]))

    def is_new(self, row: Row) -> bool:
        """True if a row is not as it was when it was read before."""
        entry = [packed(row.rising), row.digest]
        return entry not in (self._before.get(row.id), self._read.get(row.id))

    def put(self, row: Row) -> None:
        """A row is read now."""
        self._before.pop(row.id, None)
        self._read.pop(row.id, None)  # it comes last, also if it was changed in this run
        self._read[row.id] = [packed(row.rising), row.digest]
        self._at = [packed(row.rising), packed(row.key)]
        while len(self._before) + len(self._read) > self._most:
            oldest = self._before if self._goes_on and self._before else self._read
            self._dropped = oldest.pop(next(iter(oldest)))[0]
        if self.ids is not None:
            if row.is_deleted:
                self.ids.pop(row.id, None)
            else:
                self.ids.setdefault(row.id)

    def end(self) -> None:
        """All rows are read."""
        if not self._goes_on:
            self._before.clear()  # these rows are not there any more
        self._at = None

    def forget(self, ids: Iterable[str]) -> None:
        """Documents are deleted: a row that comes back is new."""
        for id in ids:
            self._before.pop(id, None)
            self._read.pop(id, None)
            if self.ids is not None:
                self.ids.pop(id, None)

    def value(self) -> dict[str, Any]:
        """The cursor to store."""
        parts = (self._before, self._read) if self._goes_on else (self._read, self._before)
        found: dict[str, Any] = {"of": self._of, "rows": [[id, *entry] for part in parts for id, entry in part.items()]}
        if self._dropped is not None:
            found["dropped"] = self._dropped
        if self._at is not None:
            found["at"] = self._at
        return found if self.ids is None else {**found, "ids": list(self.ids)}


def packed(value: Any) -> Any:
    """A value of a rising column, or a key, as JSON. Raises ``ValueError`` for a type that has no order here."""
    match value:
        case bool():
            pass
        case int() | float() | str():
            return value
        case datetime():
            return {"datetime": value.isoformat()}
        case date():
            return {"date": value.isoformat()}
        case Decimal():
            return {"decimal": str(value)}
        case UUID():
            return {"uuid": str(value)}
    raise ValueError(f"such a column holds numbers, texts or times, and no {type(value).__name__}")


def unpacked(value: Any) -> Any:
    """A value that was packed."""
    match value:
        case {"datetime": str(text)}:
            return datetime.fromisoformat(text)
        case {"date": str(text)}:
            return date.fromisoformat(text)
        case {"decimal": str(text)}:
            return Decimal(text)
        case {"uuid": str(text)}:
            return UUID(text)
    return value
