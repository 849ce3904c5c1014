"""Versions of documents in an index: which are found, and what becomes of the others."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pypes_search import versions
from pypes_search.index import FORGET_INTERVAL_S, SearchIndex
from pypes_search.query import count, search
from pypes_search.row import Row, Told

from .test_search_index import check


def version(receipt: int, run: int = 1) -> str:
    return f"r{receipt:02}/0000000/{run:016}"


def rows(of: int, *parts: str, id: str = "a", run: int = 1, text: str = "word") -> list[Row]:
    return [Row(id, f"version {of}", f"{text} {part}", part=part, version=version(of, run)) for part in parts]


def gone(of: int, id: str = "a") -> Row:
    return Row(id, version=version(of))


def told(of: int, is_whole: bool = True, *, id: str = "a", is_deleted: bool = False, run: int = 1) -> Told:
    return id, "", version(of, run), is_whole, is_deleted


class Bench:
    """An index under a clock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now_s = 1_790_000_000.0
        self.index = SearchIndex(path, "never", tombstone_s=100, clock=lambda: self.now_s)

    def put(self, *changes: Row | Told) -> int:
        """One transaction, as a publisher would have it; returns what it would say was removed."""
        put = [each for each in changes if isinstance(each, Row)]
        ends = [each for each in changes if not isinstance(each, Row)]
        whole = [end[:3] for end in ends if end[3]]
        look = self.index.look(put, whole)
        assert look is not None
        self.index.apply(put, told=ends, look=look)
        return sum(look.counts.get(of, 0) for of in whole)

    @property
    def found(self) -> list[tuple[str, str]]:
        """Title and part of each row that is found."""
        return sorted((hit.title, hit.part) for hit in search(self.path, "word", 100_000))

    @property
    def kept(self) -> int:
        """The rows that are there, found or not."""
        with closing(sqlite3.connect(self.path)) as db:
            return int(db.execute("SELECT count(*) FROM documents").fetchone()[0])

    @property
    def entries(self) -> list[tuple[str, str, int | None]]:
        with closing(sqlite3.connect(self.path)) as db:
            return db.execute("SELECT id, version, gone_ms FROM versions ORDER BY id").fetchall()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    found = Bench(tmp_path / "search.db")
    yield found
    found.index.close()
    check(found.path)


def seen(of: int, *parts: str) -> list[tuple[str, str]]:
    return [(f"version {of}", part) for part in parts]


def test_a_document_is_replaced_shrinks_grows_and_goes(bench: Bench) -> None:
    assert bench.put(*rows(1, "row=1", "row=2", "row=3"), told(1)) == 0
    assert bench.put(*rows(2, "row=1"), told(2)) == 2
    assert bench.found == seen(2, "row=1")
    assert bench.put(*rows(3, "row=1", "row=2"), told(3)) == 0
    assert bench.found == seen(3, "row=1", "row=2")
    assert bench.put(*rows(4, ""), told(4)) == 2
    assert bench.put(*rows(5, ""), told(5)) == 0
    assert bench.found == seen(5, "")
    assert bench.put(told(6)) == 1  # empty now
    assert (bench.found, bench.kept) == ([], 0)
    bench.put(*rows(7, "row=1", "row=2"), told(7))
    assert bench.put(gone(8), told(8, is_deleted=True)) == 2
    assert (bench.found, bench.kept) == ([], 0)
    assert bench.put(*rows(9, "row=1"), told(9)) == 0
    assert bench.put(*rows(10, "row=2"), told(10)) == 1
    assert bench.found == seen(10, "row=2")
    assert bench.kept == 1


def test_a_version_is_not_found_before_it_is_whole(bench: Bench) -> None:
    bench.put(*rows(1, "row=1", "row=2"), told(1))
    bench.put(*rows(2, "row=1"))
    assert bench.found == seen(1, "row=1", "row=2")
    bench.put(*rows(2, "row=3"), told(2, is_whole=False))
    assert bench.found == seen(1, "row=1", "row=2")
    assert count(bench.path) == 2
    assert bench.put(*rows(2, "row=1", "row=3", run=2), told(2, run=2)) == 1
    assert bench.found == seen(2, "row=1", "row=3")
    assert bench.kept == 2


def test_without_a_whole_version_the_newest_of_each_part_is_found(bench: Bench) -> None:
    bench.put(*rows(1, "row=1", "row=2"), told(1, is_whole=False))
    bench.put(*rows(2, "row=2", "row=3"), told(2, is_whole=False))
    assert bench.found == [*seen(1, "row=1"), *seen(2, "row=2", "row=3")]
    assert count(bench.path) == 3


@pytest.mark.parametrize("is_whole", [True, False])
def test_late_parts_of_an_older_version_are_not_taken(is_whole: bool, bench: Bench) -> None:
    bench.put(*rows(1, "row=1"))
    bench.put(told(2))
    assert bench.found == []
    bench.put(*rows(1, "row=2"))
    assert bench.put(*rows(1, "row=3"), told(1, is_whole=is_whole)) == 0
    assert (bench.found, bench.kept) == ([], 0)


@pytest.mark.parametrize("older", [gone(1), *rows(1, "", "row=1"), told(1), told(1, is_deleted=True)])
def test_nothing_older_replaces_a_newer_version(older: Row | Told, bench: Bench) -> None:
    bench.put(*rows(2, "", "row=2"), told(2))
    assert bench.put(older) == 0
    assert bench.found == seen(2, "", "row=2")
    assert bench.kept == 2


class TestVersionsThatFail:
    """They take room until a newer one ends, and no more of it however many there are."""

    @pytest.mark.parametrize("has_whole", [True, False])
    def test_only_the_last_is_kept(self, has_whole: bool, bench: Bench) -> None:
        if has_whole:
            bench.put(*rows(1, "row=1", "row=2", "row=3"), told(1))
        for of in range(2, 20):
            bench.put(*rows(of, "row=1", "row=3"))
            bench.put(told(of, False))
        assert bench.found == (seen(1, "row=1", "row=2", "row=3") if has_whole else seen(19, "row=1", "row=3"))
        assert bench.kept == (5 if has_whole else 2)
        bench.put(*rows(20, "row=1"), told(20))
        assert (bench.found, bench.kept) == (seen(20, "row=1"), 1)

    def test_what_a_newer_one_does_not_have_is_still_found(self, bench: Bench) -> None:
        bench.put(*rows(1, "row=1", "row=2"), told(1, False))
        bench.put(*rows(2, "row=1"), told(2, False))
        assert bench.found == sorted(seen(1, "row=2") + seen(2, "row=1"))
        bench.put(*rows(3, "row=2"), told(3, False))
        assert (bench.found, bench.kept) == (sorted(seen(2, "row=1") + seen(3, "row=2")), 2)

    def test_one_that_has_not_ended_keeps_all_of_its_rows(self, bench: Bench) -> None:
        """Another instance may be at work on it, and end it whole."""
        bench.put(*rows(1, "row=1", "row=2"))
        bench.put(*rows(2, "row=1"), told(2, False))
        bench.put(*rows(3, "row=1"), told(3, False))
        assert bench.kept == 3
        bench.put(told(1))
        assert bench.found == seen(1, "row=1", "row=2")

    def test_one_that_is_whole_elsewhere_stays(self, bench: Bench) -> None:
        """Two publishers of one graph with one index, of which one was told that something failed before it."""
        bench.put(*rows(1, "row=1"), told(1, False))
        bench.put(*rows(1, "row=2"), told(1))
        bench.put(*rows(2, "row=1"), told(2, False))
        bench.put(*rows(3, "row=1"), told(3, False))
        assert (bench.found, bench.kept) == (seen(1, "row=1", "row=2"), 3)

    def test_very_many_rows_go_bit_by_bit(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(versions, "MOST_REMOVED", 3)
        parts = [f"row={number}" for number in range(10, 30)]
        for of in range(1, 4):
            bench.put(*rows(of, *parts), told(of, False))
        assert (bench.found, bench.kept) == (seen(3, *parts), 20)

    def test_an_index_of_an_older_release_learns_of_them(self, tmp_path: Path) -> None:
        path = tmp_path / "older.db"
        SearchIndex(path, "never").close()
        with closing(sqlite3.connect(path)) as db:
            db.execute("DROP TABLE failed")
        bench = Bench(path)
        try:
            for of in range(1, 4):
                bench.put(*rows(of, ""), told(of, False))
            assert bench.kept == 1
        finally:
            bench.index.close()
        check(path)

    def test_nothing_is_known_of_them_once_one_is_whole(self, bench: Bench) -> None:
        for part in ("", "row=1"):
            bench.put(*rows(1, part, id=part), told(1, False, id=part))
            bench.put(*rows(2, part, id=part), told(2, id=part))
        with closing(sqlite3.connect(bench.path)) as db:
            assert db.execute("SELECT count(*) FROM failed").fetchone() == (0,)


def test_versions_in_one_transaction_go_in_order(bench: Bench) -> None:
    bench.put(*rows(1, "row=1", "row=2"), gone(2), *rows(3, "row=1"), told(1), told(2, is_deleted=True), told(3))
    assert bench.found == seen(3, "row=1")
    bench.put(*rows(5, "row=1"), *rows(4, "row=1"), told(4), told(5))
    assert bench.found == seen(5, "row=1")
    bench.put(*rows(7, "row=1", "row=2"), *rows(6, "row=1"), told(6), told(7, is_whole=False))
    assert bench.found == seen(6, "row=1")


def test_a_run_that_splits_otherwise_removes_what_the_first_has_left(bench: Bench) -> None:
    bench.put(*rows(1, "chunk=0", "chunk=1", "chunk=2"), told(1))
    assert bench.put(*rows(1, "chunk=0", "page=1", run=2), told(1, run=2)) == 2
    assert bench.found == seen(1, "chunk=0", "page=1")


def test_documents_and_routes_are_told_apart(bench: Bench) -> None:
    bench.put(*rows(1, "row=1"), *rows(1, "row=1", id="b"), Row("a", "other", "word", route="x", version=version(1)))
    bench.put(told(1), told(1, id="b"))
    bench.put(*rows(2, ""), told(2), gone(3, "b"))
    assert bench.found == [("other", ""), *seen(2, "")]


def test_what_goes_with_documents_is_counted_as_they_end(bench: Bench) -> None:
    for id in "abc":
        bench.put(*rows(1, "row=1", "row=2", "row=3", id=id), told(1, id=id))
    a, b, c = (told(2, id=id)[:3] for id in "abc")
    changes = [*rows(2, "row=1"), *rows(2, "row=1", "row=1", "row=2", id="b")]
    look = bench.index.look(changes, [a], later={b})
    assert look is not None
    assert look.counts == {a: 2}
    bench.index.count(look, look.unknown([a, b, c]))
    assert look.counts == {a: 2, b: 1, c: 3}


def test_two_writers_of_one_file(bench: Bench) -> None:
    bench.put(*rows(1, "row=1", "row=2"), told(1))
    other = SearchIndex(bench.path, "never")
    late = rows(2, "row=1", "row=2")
    look = bench.index.look(late)
    other.apply(rows(3, "row=1"), told=[told(3)])
    bench.index.apply(late, told=[told(2)], look=look)  # looked at before the other had written
    assert bench.found == seen(3, "row=1")
    assert bench.kept == 1
    new = rows(4, "", id="new")
    look = bench.index.look(new)
    other.apply(rows(3, "", id="new"), told=[told(3, id="new")])
    bench.index.apply(new, told=[told(4, id="new")], look=look)
    assert bench.found == [*seen(3, "row=1"), *seen(4, "")]
    assert bench.kept == 2
    other.close()


def test_an_unchanged_text_costs_no_work_on_the_words(bench: Bench) -> None:
    def written() -> int:
        with closing(sqlite3.connect(bench.path)) as db:
            return int(db.execute("SELECT coalesce(max(id), 0) FROM words_data").fetchone()[0])

    same = [[Row(f"{n}", "title", "word", f'{{"n": {of}}}', version=version(of)) for n in range(100)] for of in (1, 2)]
    bench.put(*same[0], *[told(1, id=f"{n}") for n in range(100)])
    before = written()
    assert bench.put(*same[1], *[told(2, id=f"{n}") for n in range(100)]) == 0
    assert written() == before
    assert bench.kept == 100
    assert {hit.fields for hit in search(bench.path, "word", 1000)} == {'{"n": 2}'}


class TestGone:
    """A document that is gone is known for a while, so that nothing older comes back."""

    def test_it_is_forgotten_after_a_while(self, bench: Bench) -> None:
        bench.put(*rows(1, ""), told(1), gone(2, "b"), told(2, id="b", is_deleted=True))
        bench.put(told(3, id="c"))
        at_ms = int(bench.now_s * 1000)
        assert bench.entries == [("a", version(1), None), ("b", version(2), at_ms), ("c", version(3), at_ms)]
        bench.now_s += 101
        bench.index._forgot_s -= FORGET_INTERVAL_S  # as if the last look was that long ago
        bench.put(*rows(4, ""), told(4))
        assert bench.entries == [("a", version(4), None)]

    def test_it_is_not_while_rows_of_it_are_left(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(versions, "MOST_REMOVED", 2)
        monkeypatch.setattr("pypes_search.index.LEFTOVERS_S", 0)
        bench.put(*rows(1, *[f"row={n}" for n in range(10)]), told(1))
        bench.put(gone(2), told(2, is_deleted=True))
        bench.now_s += 101
        bench.index._forgot_s -= FORGET_INTERVAL_S
        bench.put(*rows(1, "", id="b"), told(1, id="b"))
        assert bench.kept == 7
        assert bench.found == seen(1, "")


class TestMany:
    """Rows of older versions of which there are many are removed some at a time, and not found meanwhile."""

    @pytest.fixture(autouse=True)
    def _few(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(versions, "MOST_REMOVED", 10)

    def test_all_of_them_go(self, bench: Bench) -> None:
        parts = [f"row={n}" for n in range(95)]
        bench.put(*rows(1, *parts), told(1))
        assert bench.put(*rows(2, *parts[50:]), told(2)) == 50
        assert bench.kept == 45
        assert bench.put(told(3)) == 45
        assert bench.kept == 0
        assert not bench.index._has_leftovers

    def test_whoever_comes_next_goes_on(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("pypes_search.index.LEFTOVERS_S", 0)
        bench.put(*rows(1, *[f"row={n}" for n in range(95)]), told(1))
        bench.put(*rows(2, ""), told(2))
        assert bench.kept == 86
        assert bench.found == seen(2, "")
        assert bench.put(told(3)) == 1
        monkeypatch.undo()
        other = SearchIndex(bench.path, "never")
        assert bench.kept == 0
        other.close()

    def test_a_version_that_comes_meanwhile_is_seen_and_older_rows_are_not(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("pypes_search.index.LEFTOVERS_S", 0)
        parts = [f"row={n:02}" for n in range(35)]
        for of in (1, 2, 3):
            bench.put(*rows(of, *parts[:-of]), told(of))
            assert bench.found == seen(of, *parts[:-of])
        monkeypatch.setattr("pypes_search.index.LEFTOVERS_S", 10)
        bench.put(*rows(1, "", id="b"), told(1, id="b"))
        assert bench.kept == 33


class TestUnfollowed:
    """Documents that had no identity when they were posted, and got one on the way: nobody tells when they are complete."""

    def put(self, bench: Bench, of: int, *parts: str, id: str = "a") -> None:
        bench.put(*rows(of, *parts, run=0, id=id))

    def test_they_replace_older_parts_of_the_same_name_and_nothing_else(self, bench: Bench) -> None:
        self.put(bench, 1, "", "row=1")
        self.put(bench, 2, "row=1", "row=2")
        assert bench.found == [*seen(1, ""), *seen(2, "row=1", "row=2")]
        self.put(bench, 1, "row=1")
        self.put(bench, 2, "row=2")
        assert bench.kept == 3
        assert bench.put(gone(3), told(3, is_deleted=True)) == 3
        self.put(bench, 2, "row=2")
        assert bench.found == []

    def test_they_are_found_behind_a_whole_version(self, bench: Bench) -> None:
        bench.put(*rows(1, "", "row=1"), told(1))
        self.put(bench, 2, "")
        assert bench.found == [*seen(1, "row=1"), *seen(2, "")]
        bench.put(*rows(3, ""), told(3))
        assert bench.found == seen(3, "")
        assert bench.kept == 1

    def test_outside_of_a_node_the_last_one_counts(self, bench: Bench) -> None:
        bench.put(*rows(1, "", "row=1"), told(1))
        bench.put(Row("a", "now", "word"))
        bench.put(Row("a", "then", "word"))
        assert bench.found == [("then", ""), *seen(1, "row=1")]
        bench.put(Row("a"))
        assert (bench.found, bench.kept, bench.entries) == ([], 0, [])
