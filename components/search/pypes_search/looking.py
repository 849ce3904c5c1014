"""Looking: what an index has of the documents of which rows are to be written."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Container, Sequence
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
    """The rows there are for those of a turn, and the parts that go when their versions are complete."""

    __slots__ = ("alone", "counts", "found", "state")

    def __init__(self, db: sqlite3.Connection, rows: Sequence[Row], state: object = None) -> None:
        #: Stands for all that was written so far.
        self.state = state
        #: By the place of a row, those that are there.
        self.found, others = find(db, rows)
        versions = list(map(of_row, rows))
        #: Versions with one row, of documents without another part: nothing but older rows of the same part goes with these.
        self.alone = set(versions)
        #: Of the other versions, how many parts of older ones go with them.
        self.counts: dict[Of, int] = {}
        keys = list(map(key_of, rows))
        if len(set(keys)) < len(keys):
            others.update(key for key, count in Counter(keys).items() if count > 1)
        if None in map(text_of, rows):
            others.update(key for key, row in zip(keys, rows, strict=True) if row.text is None)
        if others:
            self._count(db, rows, versions, others)

    def _count(self, db: sqlite3.Connection, rows: Sequence[Row], versions: Sequence[Of], others: Container[Key]) -> None:
        """Count what goes with the versions of documents with several parts."""
        wanted = dict.fromkeys(of for of in versions if of[:2] in others)
        self.alone.difference_update(wanted)
        replaced: set[tuple[Of, str]] = set()
        for place, (seen, keys) in self.found.items():
            of = versions[place]
            since, version = seen or "", of[2]
            is_written = of in wanted and rows[place].text is not None
            if is_written and version not in keys and any(since <= other < version for other in keys):
                replaced.add((of, rows[place].part))
        counts = counted(db, list(wanted))
        for of, _ in replaced:
            counts[of] -= 1
        self.counts = {of: counts.get(of, 0) for of in wanted}


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


def counted(db: sqlite3.Connection, versions: Sequence[Of]) -> dict[Of, int]:
    """Count the parts of older versions that go with versions of which no rows are to come; those with none are left out."""
    return {versions[place]: count for place, (count,) in _COUNT.ask(db, versions)}
