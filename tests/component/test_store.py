"""Stores of components behave alike, in memory and in a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from pypes.component import Changes, Component, MemoryStore, Store
from pypes.runtime.file_store import FileStore

Make = Callable[..., Store]


@pytest.fixture(params=["memory", "file"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    made: list[Store] = []

    def make(most: int = 1000) -> Store:
        store = MemoryStore(most) if request.param == "memory" else FileStore(tmp_path / "stores/g/f.db", "C", most)
        made.append(store)
        return store

    yield make
    for store in made:
        store.close()


def put(store: Store, *, must_last: bool = False, **entries: bytes | None) -> dict[str, bytes]:
    """Write entries; returns what there was of them."""
    seen: dict[str, bytes] = {}

    def decide(found: Mapping[str, bytes]) -> Changes:
        seen.clear()
        seen.update(found)
        return Changes(entries, must_last)

    store.change(list(entries), decide)
    return seen


def got(store: Store, *keys: str) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    store.change(keys, lambda entries: found.update(entries) or Changes({}))
    return found


@pytest.mark.parametrize("must_last", [False, True])
def test_entries_are_written_read_and_deleted(make: Make, must_last: bool) -> None:
    store = make()
    assert put(store, a=b"1", b=b"2", must_last=must_last) == {}
    assert put(store, a=b"3", b=None, c=None, must_last=must_last) == {"a": b"1", "b": b"2"}
    assert got(store, "a", "b", "c") == {"a": b"3"}


def test_what_decide_raises_changes_nothing(make: Make) -> None:
    store = make()
    with pytest.raises(ZeroDivisionError):
        store.change(["a"], lambda found: Changes({"a": bytes(1 // 0)}))
    assert put(store, a=b"1") == {}


def test_many_keys_are_read_at_once(make: Make) -> None:
    store = make(5000)
    store.change([], lambda found: Changes({str(n): b"x" for n in range(2000)}))
    assert len(got(store, *map(str, range(3000)))) == 2000


def test_those_written_last_stay_when_there_are_too_many(make: Make) -> None:
    store = make(3)
    put(store, a=b"1")
    put(store, b=b"1")
    put(store, c=b"1")
    put(store, a=b"2")
    put(store, d=b"1", e=b"1")
    assert sorted(got(store, *"abcde")) == ["a", "d", "e"]


def test_a_component_of_its_own_has_one_in_memory() -> None:
    component = Component()
    first, second = component.open_store(10), component.open_store(10)
    assert first is second
    put(first, a=b"1")
    assert got(Component().open_store(10), "a") == {}
    component._shares.give_back_all()
