"""Columns of a table: the names of the fields that its cells become."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pypes import Reject

#: A row is one packet: more columns than this come of a wrong separator, or would fill the memory with a few rows.
MOST_COLUMNS: Final = 1_000_000


class Columns:
    """Names the cells of rows. No cell takes the place of another.

    A column without a name, and cells beyond the last column, are ``column_N``, N being their place; if a column of the
    table is called so, an underscore follows. Columns of the same name make one field of several values.
    Raises :class:`Reject` for more than :data:`MOST_COLUMNS` of them.
    """

    def __init__(self, header: Sequence[str]) -> None:
        _check_width(len(header))
        names = [name.strip() for name in header]
        self._taken = set(names)
        self._names = [name or self._free(place) for place, name in enumerate(names, 1)]
        self._width = len(self._names)
        self._is_plain = len(set(self._names)) == self._width
        self._beyond: list[str] = []

    def fields_of(self, rows: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
        """The fields of each of some rows."""
        if self._is_plain and max(map(len, rows)) <= self._width:  # PERF: a call less for each
            names = self._names
            return [dict(zip(names, cells)) for cells in rows]  # noqa: B905  # PERF: the keyword costs a third of the whole
        return [self.fields(cells) for cells in rows]

    def fields(self, cells: Sequence[str]) -> dict[str, Any]:
        """The fields of a row. Cells that are missing at its end are no fields."""
        # PERF: a dict of zip is four times as fast as building it cell by cell
        fields: dict[str, Any] = dict(zip(self._names, cells, strict=False)) if self._is_plain else self._grouped(cells)
        if len(cells) > self._width:
            fields.update(zip(self._names_beyond(len(cells)), cells[self._width :], strict=False))
        return fields

    def _grouped(self, cells: Sequence[str]) -> dict[str, Any]:
        """Fields of a row in which several columns bear one name."""
        fields: dict[str, Any] = {}
        for name, cell in zip(self._names, cells, strict=False):
            if name not in fields:
                fields[name] = cell
            elif isinstance(fields[name], list):
                fields[name].append(cell)
            else:
                fields[name] = [fields[name], cell]
        return fields

    def _names_beyond(self, width: int) -> list[str]:
        _check_width(width)
        for place in range(self._width + len(self._beyond) + 1, width + 1):
            self._beyond.append(self._free(place))
        return self._beyond

    def _free(self, place: int) -> str:
        name = f"column_{place}"
        while name in self._taken:
            name += "_"
        return name


def _check_width(cells: int) -> None:
    if cells > MOST_COLUMNS:
        raise Reject(
            f"a row has {cells} cells, {MOST_COLUMNS} are possible; name another delimiter, or part the table", "csv.malformed"
        )
