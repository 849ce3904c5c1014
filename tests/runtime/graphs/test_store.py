import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pypes.access.audit import ITSELF, Cause, line_of
from pypes.errors import NotFound, StoreError
from pypes.registry import Code
from pypes.runtime.graphs.draft_store import DraftedFilter, GraphDraft
from pypes.runtime.graphs.store import FORMAT, ControlStore, StoredGraph
from tests.access.kept import lines_in
from tests.runtime.graphs.format_6 import AS_IT_WAS_IN_6

DRAFT = GraphDraft("g", 1, graph={"nodes": {}})


def test_versions_count_on_and_the_live_one_is_told(tmp_path: Path) -> None:
    store = ControlStore(tmp_path / "control.db")
    assert store.next_version("g") == 1
    store.deploy(StoredGraph("g", 1, {"n": 1}, 5.0, "somebody", "first"))
    store.record_failed(StoredGraph("g", 2, {"n": 2}, 6.0, error="filter 'x' could not be set up"))
    store.deploy(StoredGraph("g", 3, {"n": 3}, 7.0, "graphs/g.json"))
    assert {name: (g.version, g.graph) for name, g in store.live().items()} == {"g": (3, {"n": 3})}
    store.undeploy("g")
    assert store.live() == {}
    assert store.next_version("g") == 4
    assert [(v.version, v.author, v.note, v.error != "") for v in store.versions("g")] == [
        (3, "graphs/g.json", "", False),
        (2, "", "", True),
        (1, "somebody", "first", False),
    ]
    assert store.version("g", 1).graph == {"n": 1}
    with pytest.raises(NotFound):
        store.version("g", 9)
    store.close()


def test_everything_outlives_the_process(tmp_path: Path) -> None:
    store = ControlStore(tmp_path / "control.db")
    store.deploy(StoredGraph("g", 1, {"n": 1}, 5.0))
    store.drafts.put_filter(DraftedFilter("a", "SetField", {"x": 1}))
    store.drafts.put(DRAFT)
    store.loaded("g.json", "abc")
    node = store.node
    store.close()
    store = ControlStore(tmp_path / "control.db")
    assert (store.node, store.digest("g.json"), store.digest("h.json")) == (node, "abc", None)
    assert store.drafts.filters() == [DraftedFilter("a", "SetField", {"x": 1})]
    assert [(head.name, head.base) for head in store.drafts.all()] == [("g", 1)]
    assert list(store.live()) == ["g"]
    store.close()


def test_a_pause_outlives_the_process_and_ends_with_the_graph(tmp_path: Path) -> None:
    store = ControlStore(tmp_path / "control.db")
    store.deploy(StoredGraph("g", 1, {}, 5.0))
    store.pause("g", True)
    store.pause("g", True)
    store.close()
    store = ControlStore(tmp_path / "control.db")
    assert store.paused() == {"g"}
    store.pause("g", False)
    assert store.paused() == set()
    store.pause("g", True)
    store.undeploy("g")
    assert store.paused() == set()
    store.close()


def test_a_store_of_the_first_format_is_upgraded(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "control.db") as db:
        db.executescript("""
            create table node (key text primary key, value text not null) without rowid;
            create table graphs (name text not null, version integer not null, graph text not null, source text not null,
                created real not null, primary key (name, version)) without rowid;
            create table live (name text primary key, version integer not null) without rowid;
            create table drafts (id text primary key, component text not null, params text not null, created real not null)
                without rowid;
            create table files (path text primary key, digest text not null) without rowid;
            insert into node values ('id', '7');
            insert into graphs values ('g', 1, '{"n":1}', 'api', 5.0);
            insert into live values ('g', 1);
            pragma user_version = 1;
        """)
    db.close()
    store = ControlStore(tmp_path / "control.db")
    assert store.node == 7
    assert store.live() == {"g": StoredGraph("g", 1, {"n": 1}, 5.0, "api")}
    store.pause("g", True)
    store.set_fired("g", "* * * * *", 7.0)
    store.close()
    store = ControlStore(tmp_path / "control.db")
    assert (store.paused(), store.fired("g")) == ({"g"}, ("* * * * *", 7.0))
    store.close()


def test_the_code_of_a_version_is_kept_and_renewed(tmp_path: Path) -> None:
    then, now = (Code("own.py", "", "abc"),), (Code("own.py", "", "def"), Code("pypes-basic", "0.1.0", "xyz"))
    store = ControlStore(tmp_path / "control.db")
    store.deploy(StoredGraph("g", 1, {}, 5.0, code=then))
    store.deploy(StoredGraph("g", 2, {}, 6.0))
    store.record_code("g", 2, now)
    store.close()
    store = ControlStore(tmp_path / "control.db")
    assert [version.code for version in store.versions("g")] == [now, then]
    store.close()


def test_a_newer_format_is_refused_with_the_version_needed(tmp_path: Path) -> None:
    ControlStore(tmp_path / "control.db").close()
    with sqlite3.connect(tmp_path / "control.db") as db:
        db.execute(f"pragma user_version = {FORMAT + 1}")
    db.close()
    with pytest.raises(StoreError, match=f"format {FORMAT + 1}"):
        ControlStore(tmp_path / "control.db")


def test_a_failed_change_changes_nothing(tmp_path: Path) -> None:
    store = ControlStore(tmp_path / "control.db")
    store.deploy(StoredGraph("g", 1, {}, 5.0))
    with pytest.raises(StoreError, match="nothing was changed"):
        store.deploy(StoredGraph("g", 1, {"x": 1}, 6.0))
    assert store.live()["g"].graph == {}
    store.deploy(StoredGraph("g", 2, {"x": 1}, 6.0))
    store.close()


def test_a_file_that_is_no_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / "control.db").write_text("hello" * 500)
    with pytest.raises(StoreError, match="cannot be opened"):
        ControlStore(tmp_path / "control.db")


ADA = Cause("", "ada", "10.0.0.7")
FIRST, SECOND = (StoredGraph("g", number, {"n": number}, 5.0) for number in (1, 2))
FILTER = Cause("filter.change", "ada", object="f")


def told(tmp_path: Path) -> list[tuple[Any, ...]]:
    """What the lines say, apart from times: operation, by, graph, object, versions, outcome."""
    names = ("operation", "by", "graph", "object", "before", "after", "outcome")
    return [tuple(getattr(line, name) for name in names) for line in lines_in(tmp_path)]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda store: store.deploy(SECOND, ADA), ("graph.deploy", "ada", "g", "", 1, 2, "done")),
        (lambda store: store.deploy(SECOND), ("graph.deploy", "node", "g", "", 1, 2, "done")),
        (
            lambda store: store.deploy(SECOND, FILTER),
            ("filter.change", "ada", "g", "f", 1, 2, "done"),
        ),
        (lambda store: store.record_failed(SECOND, ADA), ("graph.deploy", "ada", "g", "", 1, 2, "failed")),
        (lambda store: store.undeploy("g", ADA), ("graph.delete", "ada", "g", "", 1, None, "done")),
        (lambda store: store.pause("g", True, ADA), ("graph.pause", "ada", "g", "", None, None, "done")),
        (lambda store: store.pause("paused", False, ADA), ("graph.resume", "ada", "paused", "", None, None, "done")),
        (lambda store: store.load([(SECOND, "g.json", "d", None)]), ("graph.deploy", "node", "g", "", 1, 2, "done")),
        (lambda store: store.note(line_of(ADA, "components.rescan")), ("components.rescan", "ada", "", "", None, None, "done")),
    ],
)
def test_each_change_has_one_line(tmp_path: Path, change: Callable[[ControlStore], None], line: tuple[Any, ...]) -> None:
    with closing(ControlStore(tmp_path / "control.db")) as store:
        store.deploy(FIRST)
        store.pause("paused", True)
        before = told(tmp_path)
        change(store)
        assert told(tmp_path)[len(before) :] == [line]


@pytest.mark.parametrize(
    "nothing",
    [
        lambda store: store.pause("g", False),
        lambda store: store.pause("paused", True),
        # what the node notes for itself
        lambda store: store.loaded("g.json", "d"),
        lambda store: store.set_fired("g", "* * * * *", 5.0),
        lambda store: store.record_code("g", 1, ()),
    ],
)
def test_what_changes_nothing_has_none(tmp_path: Path, nothing: Callable[[ControlStore], None]) -> None:
    with closing(ControlStore(tmp_path / "control.db")) as store:
        store.deploy(FIRST)
        store.pause("paused", True)
        before = told(tmp_path)
        nothing(store)
        assert told(tmp_path) == before


def test_a_change_that_fails_has_none(tmp_path: Path) -> None:
    with closing(ControlStore(tmp_path / "control.db")) as store:
        store.deploy(FIRST)
        with pytest.raises(StoreError):
            store.deploy(FIRST)
        assert len(told(tmp_path)) == 1


def test_a_change_whose_line_cannot_be_written_is_none(tmp_path: Path) -> None:
    with closing(ControlStore(tmp_path / "control.db")) as store:
        store._db.execute("create temp trigger no before insert on audit begin select raise(abort, 'no'); end")
        with pytest.raises(StoreError, match="nothing was changed"):
            store.deploy(FIRST)
        assert (store.live(), told(tmp_path)) == ({}, [])


def test_what_had_begun_is_known_until_it_is_over(tmp_path: Path) -> None:
    with closing(ControlStore(tmp_path / "control.db")) as store:
        first = store.begin(line_of(ADA, "store.clear", graph="g", object="f"))
        second = store.begin(line_of(ITSELF, "store.clear", graph="g", object="other"))
        assert told(tmp_path) == []
    with closing(ControlStore(tmp_path / "control.db")) as store:
        assert [(number, line.object) for number, line in store.begun()] == [(first, "f"), (second, "other")]
        store.give_up(second)
        store.end(first, detail={"entries": 3})
        assert store.begun() == []
    assert told(tmp_path) == [("store.clear", "ada", "g", "f", None, None, "done")]
    assert lines_in(tmp_path)[0].detail == {"entries": 3}


def test_a_store_of_the_format_before_gets_its_log(tmp_path: Path) -> None:
    ControlStore(tmp_path / "control.db").close()
    with closing(sqlite3.connect(tmp_path / "control.db")) as db:
        db.executescript(
            "drop table audit; drop table audit_gone; drop table begun;" + AS_IT_WAS_IN_6 + "pragma user_version = 5;"
        )
    with closing(ControlStore(tmp_path / "control.db")) as store:
        store.deploy(FIRST)
        assert [line[0] for line in told(tmp_path)] == ["graph.deploy"]
