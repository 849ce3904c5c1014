"""Stores of graphs are shown and cleared, and go with the filters that they belong to."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pypes.access.audit import Cause, line_of
from pypes.errors import NotFound, Unavailable
from pypes.runtime.file_store import FileStores
from pypes.runtime.graphs.store import ControlStore
from pypes.runtime.graphs.stores import GraphStores
from tests.access.kept import lines_in
from tests.component.test_store import got, put


@pytest.fixture
def control(tmp_path: Path) -> Iterator[ControlStore]:
    with closing(ControlStore(tmp_path / "control.db")) as store:
        yield store


def graph(**components: str) -> Mapping[str, Any]:
    return {"nodes": {name: {"component": component} for name, component in components.items()}}


def filled(data: Path, *filters: str) -> FileStores:
    """Stores with an entry each, of ``graph/filter``."""
    files = FileStores(data / "stores")
    for name in filters:
        graph, _, filter = name.partition("/")
        store = files.open(graph, filter, "C", 10)
        put(store, a=b"1")
        store.close()
    return files


def test_they_are_listed_and_cleared(tmp_path: Path, control: ControlStore) -> None:
    filled(tmp_path, "g/one", "g/two", "other/one").path("g", "two").write_bytes(b"no database")
    stores = GraphStores(tmp_path, control)
    one, two = asyncio.run(stores.all("g"))
    assert one.pop("bytes") > 0
    assert one == {"filter": "one", "component": "C", "entries": 1, "most": 10}
    assert two == {"filter": "two", "error": "it cannot be read: file is not a database"}
    assert asyncio.run(stores.all("none")) == []
    assert asyncio.run(stores.clear("g", "one")) == {"filter": "one", "cleared": 1}
    assert asyncio.run(stores.all("g"))[0]["entries"] == 0
    with pytest.raises(NotFound, match="no store"):
        asyncio.run(stores.clear("g", "three"))


def test_a_store_goes_with_its_filter_or_its_graph(tmp_path: Path, control: ControlStore) -> None:
    files, stores = filled(tmp_path, "g/one", "g/two", "other/one"), GraphStores(tmp_path, control)
    stores.tidy("g", graph(one="C", three="C"))
    assert [*files.of("g")] == ["one"]
    stores.tidy("g", None)
    assert ([*files.of("g")], [*files.of("other")]) == ([], ["one"])
    stores.tidy_all({"third": graph(one="C")})
    assert [*files.of("other")] == []


def test_a_filter_that_comes_back_begins_without_entries(tmp_path: Path, control: ControlStore) -> None:
    files, stores = filled(tmp_path, "g/same", "g/new", "g/changed", "fresh/left"), GraphStores(tmp_path, control)
    open = files.open("g", "new", "C", 10)
    stores.prepare("g", graph(same="C", changed="A"), graph(same="C", new="C", changed="C"))
    assert [*files.of("g")] == ["same"]
    assert got(open, "a") == {}
    open.close()
    stores.prepare("fresh", None, graph(left="C"))
    assert [*files.of("fresh")] == []


def test_a_store_that_is_cleared_has_a_line(tmp_path: Path, control: ControlStore) -> None:
    filled(tmp_path, "g/one", "g/two").path("g", "two").write_bytes(b"no database")
    stores = GraphStores(tmp_path, control)
    asyncio.run(stores.clear("g", "one", Cause("", "ada")))
    with pytest.raises(NotFound):
        asyncio.run(stores.clear("g", "three"))
    with pytest.raises(Unavailable):
        asyncio.run(stores.clear("g", "two"))
    (line,) = lines_in(tmp_path)
    assert (line.operation, line.by, line.graph, line.object, line.detail) == ("store.clear", "ada", "g", "one", {"entries": 1})
    assert control.begun() == []


class FailsBehind(sqlite3.Connection):
    """Fails once all is committed."""

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        if "checkpoint" in sql:
            raise sqlite3.OperationalError("disk I/O error")
        return super().execute(sql, *values)


def test_what_fails_behind_a_clearing_does_not_take_its_line(
    tmp_path: Path, control: ControlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(tmp_path, "g/one")
    stores = GraphStores(tmp_path, control)
    with monkeypatch.context() as patch:
        failing = partial(sqlite3.connect, isolation_level=None, factory=FailsBehind)
        patch.setattr("pypes.runtime.file_store.connect", failing)
        assert asyncio.run(stores.clear("g", "one"))["cleared"] == 1
    assert asyncio.run(stores.all("g"))[0]["entries"] == 0
    assert [line.object for line in lines_in(tmp_path)] == ["one"]


def test_what_a_kill_has_left_half_done_is_finished_at_the_next_start(tmp_path: Path, control: ControlStore) -> None:
    filled(tmp_path, "g/one")
    stores = GraphStores(tmp_path, control)
    control.begin(line_of(Cause("", "ada"), "store.clear", graph="g", object="one"))
    control.begin(line_of(Cause("", "ada"), "store.clear", graph="g", object="gone"))
    asyncio.run(stores.finish())
    assert asyncio.run(stores.all("g"))[0]["entries"] == 0
    assert [(line.object, line.detail) for line in lines_in(tmp_path)] == [("one", {"entries": 1}), ("gone", {"entries": 0})]
    assert control.begun() == []
