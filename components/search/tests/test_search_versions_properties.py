"""Whatever is written to an index in whatever order, it holds what a small model says."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypes_search.index import SearchIndex
from pypes_search.query import count, search
from pypes_search.row import Of, Row, Told

from .test_search_index import check

IDS, PARTS = st.sampled_from("ab"), st.sampled_from(["", "row=1", "row=2", "row=3"])
VERSIONS = st.integers(1, 6).map(lambda n: f"r{n}/0000000/0000000000000001")


def _put(id: str, version: str, part: str, text: str) -> Row:
    return Row(id, version, f"word {text}", part=part, version=version)


PUT = st.builds(_put, IDS, VERSIONS, PARTS, IDS)
DELETE = st.builds(lambda id, version: Row(id, version=version), IDS, VERSIONS)
END = st.tuples(IDS, st.just(""), VERSIONS, st.booleans(), st.just(False))
END_DELETED = st.tuples(IDS, st.just(""), VERSIONS, st.booleans(), st.just(True))
TURN = st.tuples(
    st.lists(st.one_of(PUT, PUT, PUT, DELETE), max_size=6),
    st.lists(st.one_of(END, END, END_DELETED), max_size=3),
    st.sampled_from(["looks first", "looks before another writes", "does not look"]),
    st.integers(0, 1),
)


class Model:
    """By document the newest whole version, and the titles of parts by version."""

    def __init__(self) -> None:
        self.whole: dict[str, str] = {}
        self.rows: dict[tuple[str, str, str], str] = {}

    def apply(self, rows: list[Row], told: list[Told]) -> None:
        for row in rows:
            if row.text is None:
                self._switch(row.id, row.version)
            elif row.version >= self.whole.get(row.id, ""):
                self.rows[row.id, row.part, row.version] = row.text
        for id, _, version, is_whole, _ in told:
            if is_whole:
                self._switch(id, version)
            self._clean(id)

    def _switch(self, id: str, version: str) -> None:
        self.whole[id] = max(version, self.whole.get(id, ""))
        self._clean(id)

    def _clean(self, id: str) -> None:
        for key in list(self.rows):
            if key[0] == id and key[2] < self.whole.get(id, ""):
                del self.rows[key]

    def removed(self, rows: list[Row], told: list[Told]) -> dict[Of, int]:
        """By version that ends whole, the parts of older versions, as they were before the turn, that it does not have."""
        found = {}
        for id, route, version, is_whole, _ in told:
            if is_whole:
                own = {part for of, part, each in self.rows if (of, each) == (id, version)}
                own |= {row.part for row in rows if (row.id, row.version) == (id, version) and row.text is not None}
                seen = self.whole.get(id, "")
                older = {part for of, part, each in self.rows if of == id and seen <= each < version}
                found[id, route, version] = len(older - own)
        return found

    @property
    def seen(self) -> list[tuple[str, str, str]]:
        newest = {(id, part): max(v for i, p, v in self.rows if (i, p) == (id, part)) for id, part, _ in self.rows}
        return sorted(
            (id, part, version)
            for id, part, version in self.rows
            if version == (self.whole[id] if id in self.whole else newest[id, part])
        )


@given(st.lists(TURN, max_size=8), st.sampled_from([1, 2_000]))
def test_an_index_is_as_its_model(tmp_path_factory: pytest.TempPathFactory, turns: list, most: int) -> None:  # type: ignore[type-arg]
    path = tmp_path_factory.mktemp("index") / "search.db"
    writers = [SearchIndex(path, "never"), SearchIndex(path, "never")]
    model = Model()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pypes_search.versions.MOST_REMOVED", most)
        for rows, told, way, writer in turns:
            end = [each[:3] for each in told if each[3]]
            look = None if way == "does not look" else writers[writer].look(rows, end)
            if look is not None:
                assert {of: look.counts.get(of, 0) for of in end} == model.removed(rows, told)
            if way == "looks before another writes":
                other = [_put("a", "r3/0000000/0000000000000001", "row=1", "x")]
                writers[1 - writer].apply(other)
                model.apply(other, [])
            writers[writer].apply(rows, told=told, look=look)
            model.apply(rows, told)
            hits = sorted((hit.document, hit.part, hit.title) for hit in search(path, "word", 100))
            assert hits == model.seen
            assert count(path) == len(hits)
            with closing(sqlite3.connect(path)) as db:
                kept = db.execute("SELECT id, part, version, text FROM documents").fetchall()
            assert {tuple(row[:3]): row[3] for row in kept} == model.rows
    for index in writers:
        index.close()
    check(path)
