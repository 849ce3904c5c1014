"""Stores in files: shared by processes, bounded, made anew when they are damaged."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from pypes.component import Changes
from pypes.errors import Unreachable
from pypes.runtime.file_store import FileStore, FileStores, clear, describe, remove
from tests.component.test_store import got, put

COUNTS = """
import sys
from pathlib import Path
from pypes.component import Changes
from pypes.runtime.file_store import FileStore
store = FileStore(Path(sys.argv[1]), "C", 1000)
for _ in range(int(sys.argv[2])):
    store.change(["n"], lambda found: Changes({"n": b"%d" % (int(found.get("n", b"0")) + 1)}))
store.close()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return FileStores(tmp_path / "stores").path("g", "f")


def test_two_processes_change_the_same_entry_one_after_the_other(path: Path) -> None:
    commands = [[sys.executable, "-c", COUNTS, str(path), "100"] for _ in range(2)]
    processes = [subprocess.Popen(command) for command in commands]
    assert [process.wait(60) for process in processes] == [0, 0]
    store = FileStore(path, "C", 1000)
    assert got(store, "n") == {"n": b"200"}
    store.close()


def test_it_outlives_who_opened_it_but_not_a_change_of_component(path: Path) -> None:
    for component, found in (("C", {}), ("C", {"a": b"1"}), ("Other", {}), ("C", {})):
        store = FileStore(path, component, 1000)
        assert put(store, a=b"1") == found
        store.close()


def test_what_must_last_is_decided_again_in_a_transaction_that_is_synced(path: Path) -> None:
    store, modes = FileStore(path, "C", 1000), []

    def decide(found: object) -> Changes:
        modes.append(store._db.execute("pragma synchronous").fetchone()[0])  # type: ignore[union-attr]
        return Changes({"a": b"1"}, must_last=len(modes) < 3)

    store.change(["a"], decide)
    store.change(["a"], decide)
    assert modes == [1, 2, 1]
    store.close()


@pytest.mark.parametrize("damage", [b"", b"no database", b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_file_is_made_anew(path: Path, damage: bytes, caplog: pytest.LogCaptureFixture) -> None:
    store = FileStore(path, "C", 1000)
    put(store, a=b"1")
    store.close()
    path.write_bytes(damage)
    store = FileStore(path, "C", 1000)
    assert put(store, a=b"2") == {}
    assert got(store, "a") == {"a": b"2"}
    store.close()
    assert [record.getMessage() for record in caplog.records] == ["a filter store is damaged, and is made anew"] * bool(damage)


def test_damage_is_noticed_while_it_is_open(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one, other = FileStore(path, "C", 1000), FileStore(path, "C", 1000)
    put(one, a=b"1")
    one._db.execute("pragma writable_schema = on")  # type: ignore[union-attr]
    one._db.execute("delete from sqlite_master")  # type: ignore[union-attr]
    one._db.execute("pragma schema_version = 77")  # type: ignore[union-attr]
    assert put(other, a=b"2") == {}
    assert got(one, "a") == {"a": b"2"}
    for store in (one, other):
        store.close()
    assert "a filter store is damaged, and is made anew" in caplog.text


def test_a_file_that_has_vanished_is_made_anew_for_all(path: Path) -> None:
    one, other = FileStore(path, "C", 1000), FileStore(path, "C", 1000)
    put(one, a=b"1")
    remove(path)
    assert put(one, a=b"2") == {}
    assert put(other, a=b"3") == {"a": b"2"}
    one.close()
    assert got(other, "a") == {"a": b"3"}
    other.close()


def test_while_nothing_can_be_written_the_filter_waits(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FileStore(path, "C", 1000)
    put(store, a=b"1")
    store._db.execute("pragma max_page_count = 1")  # type: ignore[union-attr]
    with pytest.raises(Unreachable, match="cannot be written"):
        store.change([], lambda found: Changes({str(n): bytes(1000) for n in range(100)}))
    store._db.execute("pragma max_page_count = 100000")  # type: ignore[union-attr]
    assert got(store, "a", "1") == {"a": b"1"}
    store.close()


def test_it_is_described_and_cleared_while_it_is_in_use(path: Path) -> None:
    stores = FileStores(path.parent.parent)
    store = stores.open("g", "f", "C", 1000)
    put(store, a=b"1", b=b"2")
    assert (stores.graphs(), stores.of("g"), stores.of("other")) == (["g"], {"f": path}, {})
    shown = describe(path)
    assert shown.pop("bytes") > 4096
    assert shown == {"component": "C", "entries": 2, "most": 1000}
    assert clear(path) == 2
    assert put(store, a=b"3") == {}
    store.close()
    path.write_bytes(b"no database")
    with pytest.raises(sqlite3.Error):
        describe(path)


def test_while_its_folder_cannot_be_made_the_filter_waits(path: Path) -> None:
    store = FileStore(path, "C", 1000)
    stores, aside = path.parent.parent, path.parent.parent.with_name("aside")
    stores.rename(aside)
    stores.write_bytes(b"")
    with pytest.raises(Unreachable, match="cannot be written"):
        put(store, a=b"1")
    stores.unlink()
    assert put(store, a=b"2") == {}
    assert got(store, "a") == {"a": b"2"}
    store.close()
