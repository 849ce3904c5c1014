"""Whatever is written to an index in whatever order, it holds what a small model says."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypes.component.searching import SearchQuery
from pypes_search.index import SearchIndex
from pypes_search.query import ask, count, search
from pypes_search.row import Of, One, Row, Told, one_of
from pypes_search.vectors import Space, pack

from .test_search_index import check

SPACE = Space(2, "compass")
IDS, PARTS = st.sampled_from("ab"), st.sampled_from(["", "row=1", "row=2", "row=3"])
VERSIONS = st.integers(1, 6).map(lambda n: f"r{n}/0000000/0000000000000001")


def _put(id: str, version: str, part: str, text: str) -> Row:
    return Row(id, version, f"word {text}", part=part, version=version)


PUT = st.tuples(st.builds(_put, IDS, VERSIONS, PARTS, IDS), st.none() | st.integers(1, 9))
DELETE = st.tuples(st.builds(lambda id, version: Row(id, version=version), IDS, VERSIONS), st.none())
END = st.tuples(IDS, st.just(""), VERSIONS, st.booleans(), st.just(False))
END_DELETED = st.tuples(IDS, st.just(""), VERSIONS, st.booleans(), st.just(True))
TURN = st.tuples(
    st.lists(st.one_of(PUT, PUT, PUT, DELETE), max_size=6),
    st.lists(st.one_of(END, END, END_DELETED), max_size=3),
    st.sampled_from(["looks first", "looks before another writes", "does not look"]),
    st.integers(0, 1),
)


class Model:
    """By document the newest whole version, and the titles and vectors of parts by version; and the versions that have failed."""

    def __init__(self) -> None:
        self.failed: set[tuple[str, str]] = set()
        self.whole: dict[str, str] = {}
        self.rows: dict[tuple[str, str, str], str] = {}
        self.vectors: dict[tuple[str, str, str], int | None] = {}

    def apply(self, rows: list[Row], told: list[Told], vectors: list[int | None]) -> None:
        for row, vector in zip(rows, vectors, strict=True):
            if row.text is None:
                self._switch(row.id, row.version)
            elif row.version >= self.whole.get(row.id, ""):
                self.rows[row.id, row.part, row.version] = row.text
                self.vectors[row.id, row.part, row.version] = vector
        for id, _, version, is_whole, _ in told:
            if is_whole:
                self._switch(id, version)
            self._clean(id)
        for id, _, version, is_whole, is_deleted in told:
            if not (is_whole or is_deleted) and version > self.whole.get(id, ""):
                self.failed.add((id, version))
        self.failed = {(id, version) for id, version in self.failed if self._has(id, version)}
        for id in {id for id, *_ in told}:
            self._remove_outrun(id)

    def _has(self, id: str, version: str) -> bool:
        return version > self.whole.get(id, "") and any((i, v) == (id, version) for i, _, v in self.rows)

    def _remove_outrun(self, id: str) -> None:
        """Of versions that have failed before another one has, nothing is left that is not seen."""
        *outrun, _ = [*sorted(version for i, version in self.failed if i == id), ""]
        for key in set(self.rows) - set(self.seen):
            if key[0] == id and key[2] in outrun[:-1]:
                del self.rows[key]

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


def _vector(number: int) -> list[float]:
    return [number, 10.0]


def _packed(rows: list[Row], numbers: list[int | None]) -> dict[One, bytes | None]:
    return {
        one_of(row): None if number is None else pack(_vector(number))
        for row, number in zip(rows, numbers, strict=True)
        if row.text is not None
    }


@given(st.lists(TURN, max_size=8), st.sampled_from([1, 2_000]), st.sampled_from([1, 32]))
def test_an_index_is_as_its_model(
    tmp_path_factory: pytest.TempPathFactory,
    turns: list,  # type: ignore[type-arg]
    most: int,
    most_small: int,
) -> None:
    path = tmp_path_factory.mktemp("index") / "search.db"
    writers = [SearchIndex(path, "never"), SearchIndex(path, "never")]
    for each in writers:
        each.claim(SPACE)
    model = Model()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pypes_search.versions.MOST_REMOVED", most)
        patch.setattr("pypes_search.vectors.MOST_SMALL", most_small)
        patch.setattr("pypes_search.vectors.BLOCK_BYTES", 4 * 6)
        for written, told, way, writer in turns:
            rows, numbers = [row for row, _ in written], [number for _, number in written]
            end = [each[:3] for each in told if each[3]]
            look = None if way == "does not look" else writers[writer].look(rows, end)
            if look is not None:
                assert {of: look.counts.get(of, 0) for of in end} == model.removed(rows, told)
            if way == "looks before another writes":
                other = [_put("a", "r3/0000000/0000000000000001", "row=1", "x")]
                writers[1 - writer].apply(other, vectors=_packed(other, [5]))
                model.apply(other, [], [5])
            writers[writer].apply(rows, told=told, look=look, vectors=_packed(rows, numbers))
            model.apply(rows, told, numbers)
            hits = sorted((hit.document, hit.part, hit.title) for hit in search(path, "word", 100))
            assert hits == model.seen
            assert count(path) == len(hits)
            with closing(sqlite3.connect(path)) as db:
                kept = db.execute("SELECT id, part, version, text FROM documents").fetchall()
            assert {tuple(row[:3]): row[3] for row in kept} == model.rows
            near = ask(path, SearchQuery("nothing", 100), lambda *_: (_vector(1), "")).hits
            wanted = [one for one in model.seen if model.vectors[one] is not None]
            assert sorted((hit.document, hit.part, hit.title) for hit in near) == wanted
            numbers = [model.vectors[hit.document, hit.part, hit.title] or 0 for hit in near]
            assert numbers == sorted(numbers)
    for index in writers:
        index.close()
    check(path)
