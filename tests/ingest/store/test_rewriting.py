"""Rows written anew: what is done is left out, and nothing else changes."""

from pathlib import Path

import pytest

from pypes.ingest.delivery import Header, Spooled
from pypes.ingest.store.rewriting import rewrite
from pypes.ingest.store.rows import Entry, pack
from pypes.ingest.store.store import Store
from pypes.ingest.store.write_batch import WriteBatch

KEY = 7 << 40
BODIES: list[bytes | Spooled] = [b"a" * 3000, b"b" * 3000, b"c" * 3000, Spooled("/spool/one", 50), Spooled("/spool/two", 60)]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "queue.db")
    data = pack([(Header("g", id=str(n), is_bulk=n == 2), body) for n, body in enumerate(BODIES)])
    store.commit(WriteBatch(row=(KEY, 5, len(BODIES), 9110, '["one","two"]', data)))
    return store


def row(store: Store) -> tuple[int, int, int, str | None]:
    [found] = store.read("SELECT salt, entries, size, spools FROM commits WHERE key = ?", (KEY,))
    return found  # type: ignore[no-any-return]


@pytest.mark.parametrize(("done", "is_left"), [((), True), ((0, 3, 4), True), ((0, 1), False), ((0, 1, 2, 3, 4), False)])
def test_a_row_shrinks_when_less_than_half_is_left(store: Store, done: tuple[int, ...], is_left: bool) -> None:
    store.commit(WriteBatch(rewrites=[(KEY, frozenset(done))]))
    assert (row(store) == (5, 5, 9110, '["one","two"]')) is is_left
    [read] = store.load([KEY])
    assert read.entries is not None
    for position, body in enumerate(BODIES):
        if is_left or position not in done:
            inline, spool = (b"", Path(body.path).name) if isinstance(body, Spooled) else (body, None)
            whole = Header("g", id=str(position), is_bulk=position == 2)
            assert read.entries[position] == Entry(whole, inline, spool, len(body))
        else:
            assert read.entries[position] == Entry(Header(""), b"", None, 0)
    store.close()


def test_size_and_files_are_those_of_what_is_left(store: Store) -> None:
    store.commit(WriteBatch(rewrites=[(KEY, frozenset((0, 1, 3)))]))
    assert row(store) == (5, 5, 3060, '["two"]')
    # what is done already does not come back, nor goes a second time
    store.commit(WriteBatch(rewrites=[(KEY, frozenset((0, 1, 3)))]))
    assert row(store) == (5, 5, 3060, '["two"]')
    store.commit(WriteBatch(rewrites=[(KEY, frozenset((0, 1, 2, 3)))]))
    assert row(store) == (5, 5, 60, '["two"]')
    store.close()


def test_a_delivery_that_is_left_out_takes_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "queue.db")
    data = pack([(Header("g", id=str(n), length=900), b"x" * 900) for n in range(1000)])
    keys = range(KEY, KEY + 2)
    for key in keys:
        store.commit(WriteBatch(row=(key, 5, 1000, 900_000, None, data)))
    store.commit(WriteBatch(rewrites=[(key, frozenset({*range(1000)} - {700})) for key in keys]))
    [sizes] = zip(*store.read("SELECT length(data) FROM commits"), strict=True)
    assert [size < 1000 for size in sizes] == [True, True]
    for read in store.load([*keys]):
        assert read.entries is not None
        assert [n for n, entry in enumerate(read.entries) if entry.header.graph] == [700]
        assert read.entries[700] == Entry(Header("g", id="700", length=900), b"x" * 900, None, 900)
    store.close()


def test_small_rows_shrink_too_but_not_the_smallest(tmp_path: Path) -> None:
    store = Store(tmp_path / "queue.db")
    for key, size in ((KEY, 1000), (KEY + 1, 100)):
        store.commit(WriteBatch(row=(key, 5, 2, size, None, pack([(Header("g"), b"x" * size), (Header("p"), b"1")]))))
    store.commit(WriteBatch(rewrites=[(KEY, frozenset({0})), (KEY + 1, frozenset({0}))]))
    assert store.read("SELECT size FROM commits ORDER BY key") == [(1,), (100,)]
    store.close()


def test_a_row_that_is_damaged_or_gone_is_left_alone(store: Store) -> None:
    store._writer.execute("UPDATE commits SET data = substr(data, 1, 8000)")
    rewrite(store._writer, KEY, {0, 1, 2, 3})
    rewrite(store._writer, KEY + 1, {0})
    assert row(store) == (5, 5, 9110, '["one","two"]')
    [read] = store.load([KEY])
    assert (read.entries, read.damage != "") == (None, True)
    store.close()
