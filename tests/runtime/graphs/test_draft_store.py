"""Drafts in ``control.db``, and those that earlier releases have left there."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pypes.access.audit import Cause, line_of
from pypes.errors import NotFound
from pypes.runtime.graphs.draft_store import DraftedFilter, DraftStore, GraphDraft
from pypes.runtime.graphs.store import ControlStore, StoredGraph
from tests.access.kept import lines_in
from tests.runtime.graphs import format_6

DRAFT = GraphDraft("g", 1, graph={"nodes": {}, "name": "g"})
ONE = DraftedFilter("a", "SetField", {"x": 1})
ADA = Cause("", "ada", "10.0.0.7")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DraftStore]:
    with closing(ControlStore(tmp_path / "control.db")) as control:
        yield control.drafts


def test_each_draft_has_a_counter_that_none_had(store: DraftStore) -> None:
    counters = [store.put(DRAFT), store.put(replace(DRAFT, name="h")), store.put(DRAFT)]
    assert counters == sorted(set(counters))
    assert store.delete(counters[2])
    assert store.get("g") is None
    # also not one that is gone
    assert store.put(DRAFT) > counters[2]
    assert [head.name for head in store.all()] == ["g", "h"]


def test_a_draft_that_was_saved_since_stays(store: DraftStore) -> None:
    first = store.put(DRAFT)
    second = store.put(replace(DRAFT, graph={"nodes": {"a": 1}}))
    assert not store.delete(first, freed=[ONE])
    found = store.get("g")
    assert found is not None
    assert (found.counter, found.graph, found.filters) == (second, {"nodes": {"a": 1}}, ())
    assert store.filters() == []


def test_a_draft_is_as_it_was_written(store: DraftStore) -> None:
    graph = {"z": None, "name": "g", "nodes": {"ä": {"uid": "a", "params": {"b": [1, 1.5, True]}}}}
    counter = store.put(replace(DRAFT, author="ada", graph=graph, filters=("a",), noted=5.0))
    found = store.get("g")
    assert found is not None
    assert found == GraphDraft("g", 1, counter, "ada", found.time, graph=graph, filters=("a",), noted=5.0)
    assert [*found.graph] == ["z", "name", "nodes"]
    assert store.holding("a") == found
    assert store.held() == [found]
    assert store.holding("b") is None


def test_filters_are_made_changed_and_deleted(store: DraftStore) -> None:
    store.put_filter(ONE)
    store.put_filter(replace(ONE, params={"x": [1]}))
    assert store.filter("a").params == {"x": [1]}
    store.delete_filter("a")
    for method in (store.filter, store.delete_filter):
        with pytest.raises(NotFound):
            method("a")


def test_filters_go_into_drafts_and_come_out(store: DraftStore) -> None:
    store.put_filter(ONE)
    counter = store.put(replace(DRAFT, filters=("a",)), taken=["a"])
    assert store.filters() == []
    assert store.delete(counter, freed=[ONE])
    assert store.filters() == [ONE]


def test_drafts_and_filters_are_counted_together(store: DraftStore) -> None:
    store.put(replace(DRAFT, graph={"text": "ä"}))
    store.put_filter(ONE)
    whole = len('{"text":"ä"}'.encode())
    assert store.beside("", []) == (2, whole + len('{"x":1}'))
    assert store.beside("g", []) == (1, len('{"x":1}'))
    assert store.beside("", ["a"]) == (1, whole)


def save(store: DraftStore) -> None:
    store.put(DRAFT, [line_of(ADA, "draft.save", graph="g")])


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda store: store.put_filter(DraftedFilter("b", "Null", {}), ADA), ("filter.change", "ada", "", "b")),
        (lambda store: store.delete_filter("a", ADA), ("filter.delete", "ada", "", "a")),
        (save, ("draft.save", "ada", "g", "")),
        (lambda store: store.put(DRAFT), None),
        (lambda store: store.put_filter(ONE, ADA), None),
        (lambda store: store.delete(99, [line_of(ADA, "draft.delete", graph="g")]), None),
    ],
)
def test_changes_have_lines(
    tmp_path: Path, store: DraftStore, change: Callable[[DraftStore], None], line: tuple[str, ...] | None
) -> None:
    store.put_filter(ONE)
    change(store)
    told = [(each.operation, each.by, each.graph, each.object) for each in lines_in(tmp_path)]
    assert told[1:] == ([] if line is None else [line])


def upgraded(path: Path, filters: dict[str, tuple[str, dict[str, Any]]], wires: list[tuple[str, str, str]]) -> ControlStore:
    with closing(ControlStore(path)) as store:
        deployed = {"pypes": 1, "name": "live", "nodes": {"json": {"component": "JSON", "params": {}}}, "wires": []}
        store.deploy(StoredGraph("live", 1, {}, 5.0))
        store.deploy(StoredGraph("live", 2, deployed, 6.0))
    format_6.turn_back(path, filters, wires)
    return ControlStore(path)


def test_drafts_of_format_6_become_graphs(tmp_path: Path) -> None:
    made = {"one": ("JSON", {}), "two": ("SetField", {"field": "a"}), "three": ("SetField", {}), "free": ("Null", {})}
    wires = [("new", "one.out", "two.in"), ("new", "two.out", "three.in"), ("live", "json.out", "end.in")]
    with closing(upgraded(tmp_path / "control.db", {**made, "end": ("Null", {})}, wires)) as store:
        assert [(head.name, head.base) for head in store.drafts.all()] == [("live", 2), ("new", 0)]
        new, live = store.drafts.get("new"), store.drafts.get("live")
        assert new is not None
        assert live is not None
        assert new.graph == {
            "pypes": 1,
            "name": "new",
            "nodes": {
                "json": {"component": "JSON", "params": {}, "uid": "one"},
                "setfield": {"component": "SetField", "params": {"field": "a"}, "uid": "two"},
                "setfield-2": {"component": "SetField", "params": {}, "uid": "three"},
            },
            "wires": [["json.out", "setfield.in"], ["setfield.out", "setfield-2.in"]],
        }
        assert new.filters == ("one", "two", "three")
        assert (live.graph["wires"], live.filters) == ([["json.out", "null.in"]], ("end",))
        assert store.drafts.filters() == [DraftedFilter("free", "Null", {})]
        assert store.live()["live"].version == 2
    # opened once more, all is as it is
    with closing(ControlStore(tmp_path / "control.db")) as store:
        assert store.drafts.get("new") == new


def test_a_filter_that_several_graphs_had_wired_goes_to_the_first_of_them(tmp_path: Path) -> None:
    made = {"one": ("In", {}), "two": ("In", {}), "shared": ("Odd", {"do": "secret"})}
    wires = [("z", "one.out", "shared.in"), ("a", "two.out", "shared.in"), ("stuck", "gone.out", "lost.in")]
    with closing(upgraded(tmp_path / "control.db", made, wires)) as store:
        (draft,) = store.drafts.held()
        assert (draft.name, draft.graph["wires"]) == ("z", [["in.out", "odd.in"]])
        # of the others, nothing but a filter is left
        assert store.drafts.filters() == [DraftedFilter("two", "In", {})]
        assert [head.name for head in store.drafts.all()] == ["z"]


def test_an_upgrade_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "control.db"
    ControlStore(path).close()
    format_6.turn_back(path, {"one": ("In", {})}, [("g", "one.out", "one.in")])
    with closing(sqlite3.connect(path)) as db:
        db.execute("update drafts set params = '{'")
        db.commit()
    with pytest.raises(ValueError, match="Expecting"):
        ControlStore(path)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("pragma user_version").fetchone() == (6,)
        db.execute("update drafts set params = '{}'")
        db.commit()
    with closing(ControlStore(path)) as store:
        assert [head.name for head in store.drafts.all()] == ["g"]
