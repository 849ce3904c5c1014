"""Looking: what an index has of the documents of which rows are to be written."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Container, Iterable, Sequence
from typing import Final, NamedTuple

from pypes_search.bulk import Bulk
from pypes_search.row import Key, Of, Row, key_of, of_row, place_of, text_of

#: For each row the version of its document that is seen, version and key of each row of the same part, and whether there are
#: others; rows for which there is nothing are left out.
_FIND: Final = Bulk(
    "WITH asked (place, id, route, part) AS (VALUES %s)"
    " SELECT json_group_array(json_array(place, seen, version, key, others)) FROM ("
    " SELECT a.place, v.version AS seen, d.version, d.key,"
    " EXISTS (SELECT 1 FROM documents o WHERE o.id = a.id AND o.route = a.route AND o.part > a.part)"
    " OR EXISTS (SELECT 1 FROM documents o WHERE o.id = a.id AND o.route = a.route AND o.part < a.part) AS others"
    " FROM asked a LEFT JOIN versions v ON v.id = a.id AND v.route = a.route"
    " LEFT JOIN documents d ON d.id = a.id AND d.route = a.route AND d.part = a.part"
    ") WHERE seen IS NOT NULL OR key IS NOT NULL OR others",
    3,
    has_places=True,
)

#: The parts of older versions, without those that have been replaced before, and those that the version has itself.
_COUNT: Final = Bulk(
    "WITH asked (place, id, route, version) AS (VALUES %s) SELECT json_group_array(json_array(place, parts)) FROM ("
    " SELECT a.place, count(DISTINCT d.part) AS parts FROM asked a CROSS JOIN documents d"
    " ON d.id = a.id AND d.route = a.route AND d.version < a.version"
    " AND d.version >= coalesce((SELECT v.version FROM versions v WHERE v.id = a.id AND v.route = a.route), '')"
    " WHERE NOT EXISTS (SELECT 1 FROM documents o"
    " WHERE o.id = a.id AND o.route = a.route AND o.part = d.part AND o.version = a.version) GROUP BY a.place)",
    3,
    has_places=True,
)


class There(NamedTuple):
    """The version of a document that is seen, and by version the keys of rows of the same part as one that is to come."""

    seen: str | None
    keys: dict[str, int]


class Look:
    """The rows there are for those of a turn, and the parts that go when their versions are complete.

    ``state`` stands for all that was written so far. What goes with a version takes a look at each part of its document: it is
    counted for those that ``end``, and, so that it takes one question, for the others here but those that are to end ``later``.
    """

    __slots__ = ("_rows", "_versions", "alone", "counts", "found", "state")

    def __init__(
        self, db: sqlite3.Connection, rows: Sequence[Row], state: object, end: Sequence[Of], later: Container[Of]
    ) -> None:
        self.state = state
        #: By the place of a row, those that are there.
        self.found, others = find(db, rows)
        self._rows = rows
        self._versions = versions = list(map(of_row, rows))
        #: Versions with one row, of documents without another part: nothing but older rows of the same part goes with these.
        self.alone = set(versions)
        #: The number of parts of older versions that go with others, as far as they are counted.
        self.counts: dict[Of, int] = {}
        keys = list(map(key_of, rows))
        if len(set(keys)) < len(keys):
            others.update(key for key, count in Counter(keys).items() if count > 1)
        if None in map(text_of, rows):
            others.update(key for key, row in zip(keys, rows, strict=True) if row.text is None)
        several = {of for of in versions if of[:2] in others} if others else set()
        self.alone -= several
        wanted = {of for of in several if of not in later}.union(of for of in end if of not in self.alone)
        if wanted:
            self.count(db, list(wanted))

    def unknown(self, versions: Iterable[Of]) -> list[Of]:
        """Those of which it is not known what goes with them."""
        return [of for of in versions if of not in self.alone and of not in self.counts]

    def count(self, db: sqlite3.Connection, versions: Sequence[Of]) -> None:
        """Count what goes with versions, after the rows of this turn are written."""
        counts = {versions[place]: count for place, (count,) in _COUNT.ask(db, versions)}
        if counts:
            replacing = [place for place in self.found if self._replaces(place, counts)]
            for of, _ in {(self._versions[place], self._rows[place].part) for place in replacing}:
                counts[of] -= 1
        self.counts.update(dict.fromkeys(versions, 0) | counts)

    def _replaces(self, place: int, versions: Container[Of]) -> bool:
        """True if a row of one of these versions takes the place of an older one that is seen."""
        (seen, keys), of = self.found[place], self._versions[place]
        if of not in versions or self._rows[place].text is None or of[2] in keys:
            return False
        return any((seen or "") <= version < of[2] for version in keys)


def find(db: sqlite3.Connection, rows: Sequence[Row]) -> tuple[dict[int, There], set[Key]]:
    """Find what is there for rows, by their place, and the documents with other parts than the one of their row."""
    found: dict[int, There] = {}
    others: set[Key] = set()
    for place, (seen, version, key, has_others) in _FIND.ask(db, list(map(place_of, rows))):
        if has_others:
            others.add((rows[place].id, rows[place].route))
        there = found.get(place)
        if there is None:
            found[place] = There(seen, {} if key is None else {version: key})
        else:
            there.keys[version] = key
    return found, others
