import sqlite3
from pathlib import Path

import pytest

from pypes.errors import NotFound, StoreError
from pypes.runtime.store import FORMAT, ControlStore, Draft


def test_versions_count_on_and_the_live_one_is_told(tmp_path: Path) -> None:
    store = ControlStore(tmp_path / "control.db")
    assert store.next_version("g") == 1
    store.deploy({"n": 1}, "g", 1, "api")
    store.deploy({"n": 2}, "g", 2, "graphs/g.json")
    assert {name: (g.version, g.graph) for name, g in store.live().items()} == {"g": (2, {"n": 2})}
    store.undeploy("g")
    assert store.live() == {}
    assert store.next_version("g") == 3
    store.close()


def test_everything_outlives_the_process(tmp_path: Path) -> None:
    store = ControlStore(tmp_path / "control.db")
    store.deploy({"n": 1}, "g", 1, "api")
    store.put_draft(Draft("a", "SetField", {"x": 1}))
    store.loaded("g.json", "abc")
    node = store.node
    store.close()
    store = ControlStore(tmp_path / "control.db")
    assert (store.node, store.digest("g.json"), store.digest("h.json")) == (node, "abc", None)
    assert store.drafts() == [Draft("a", "SetField", {"x": 1})]
    assert list(store.live()) == ["g"]
    store.close()


def test_drafts_are_changed_and_deleted(tmp_path: Path) -> None:
    store = ControlStore(tmp_path / "control.db")
    store.put_draft(Draft("a", "SetField", {}))
    store.put_draft(Draft("a", "SetField", {"x": [1]}))
    assert store.draft("a").params == {"x": [1]}
    store.delete_draft("a")
    for method in (store.draft, store.delete_draft):
        with pytest.raises(NotFound):
            method("a")
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
    store.deploy({}, "g", 1, "api")
    with pytest.raises(StoreError, match="nothing was changed"):
        store.deploy({"x": 1}, "g", 1, "api")
    assert store.live()["g"].graph == {}
    store.deploy({"x": 1}, "g", 2, "api")
    store.close()


def test_a_file_that_is_no_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / "control.db").write_text("hello" * 500)
    with pytest.raises(StoreError, match="cannot be opened"):
        ControlStore(tmp_path / "control.db")
