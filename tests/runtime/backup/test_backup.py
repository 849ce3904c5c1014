"""Backups of data directories at rest: what is in them, what is refused. tests/faults has one of a node under load."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pypes.cli.commands import pypes
from pypes.core.nodetime import NodeTime
from pypes.errors import StoreError
from pypes.ingest.delivery import Header
from pypes.ingest.store.copying import copy_shard
from pypes.ingest.store.inspection import ShardStats
from pypes.runtime.backup.making import make
from pypes.runtime.data_dir import RESTORING, DataDir
from pypes.runtime.graphs.store import ControlStore, StoredGraph, keep_fired
from pypes.testing.forked import Forked
from tests.access.kept import lines_in
from tests.ingest.harness import open_queue, run


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with a queue, a graph, and files of publishers."""
    folder = tmp_path / "data"
    folder.mkdir()
    NodeTime.start(folder / "clock")
    store = ControlStore(folder / "control.db")
    store.deploy(StoredGraph("g", 1, {"pypes": 1, "name": "g"}, 0.0))
    store.close()

    async def main() -> None:
        await (await open_queue(folder)).close()

    run(main())
    for name in ("stores/g/f.db", "cache/x", "out/lines.jsonl"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}\n")
    return folder


@pytest.fixture
def backup(data: Path, tmp_path: Path) -> Path:
    assert backed_up(data, tmp_path / "backup").exit_code == 0
    return tmp_path / "backup"


@pytest.fixture
def held(data: Path) -> Iterator[DataDir]:
    """The data directory, as a node that runs holds it."""
    lock = DataDir(data)
    yield lock
    lock.release()


def backed_up(data: Path, backup: Path) -> Result:
    return CliRunner().invoke(pypes, ["backup", str(data), str(backup)])


def restored(backup: Path, data: Path, *flags: str) -> Result:
    return CliRunner().invoke(pypes, ["restore", str(backup), str(data), *flags])


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_restored_directory_has_what_lasts_and_nothing_else(data: Path, backup: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(data / "control.db")) as db:
        node = db.execute("select value from node").fetchall()
    result = restored(backup, tmp_path / "again")
    assert result.exit_code == 0, result.output
    again = tmp_path / "again"
    assert files(again) == {"control.db", "clock", "lock", "shards/000/queue.db", "out/lines.jsonl"}
    assert (again / "clock").read_bytes() == (data / "clock").read_bytes()
    with closing(sqlite3.connect(again / "control.db")) as db:
        assert db.execute("select value from node").fetchall() == node
    DataDir(again).release()


def test_databases_in_use_are_copied_with_their_logs(data: Path, tmp_path: Path) -> None:
    (data / "index.db-writer").touch()
    with closing(sqlite3.connect(data / "index.db", isolation_level=None)) as db:
        db.execute("pragma journal_mode = wal")
        db.execute("create table t as select 7 as x")
        assert backed_up(data, tmp_path / "backup").exit_code == 0
    assert {name for name in files(tmp_path / "backup" / "data") if name.startswith("index")} == {"index.db"}
    with closing(sqlite3.connect(tmp_path / "backup" / "data" / "index.db")) as db:
        assert db.execute("select x from t").fetchall() == [(7,)]


def test_attributes_of_files_come_along(data: Path, tmp_path: Path) -> None:
    try:
        os.setxattr(data / "out" / "lines.jsonl", "user.pypes.lines", b"1")
    except OSError:
        pytest.skip("this file system keeps no attributes")
    assert backed_up(data, tmp_path / "backup").exit_code == 0
    assert restored(tmp_path / "backup", tmp_path / "again").exit_code == 0
    assert os.getxattr(tmp_path / "again" / "out" / "lines.jsonl", "user.pypes.lines") == b"1"


def test_a_folder_elsewhere_is_told(data: Path, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (data / "big").symlink_to(tmp_path / "disk")
    result = backed_up(data, tmp_path / "backup")
    assert result.exit_code == 1
    assert f"{data / 'big'} leads to a folder elsewhere" in result.output
    assert restored(tmp_path / "backup", tmp_path / "again").exit_code == 0


def test_what_is_damaged_in_a_queue_is_told_and_copied(data: Path, tmp_path: Path) -> None:
    async def main() -> None:
        queue = await open_queue(data)
        async with queue.blobs.create() as writer:
            await writer.write(b"x")
            body = await writer.finish()
        await queue.intake.append(Header("g", length=1), body)
        await queue.close()

    run(main())
    shutil.rmtree(data / "shards" / "000" / "spool")
    result = backed_up(data, tmp_path / "backup")
    assert result.exit_code == 1
    assert "shard 0: 1 delivery waits" in result.output
    assert "is gone" in result.output
    assert restored(tmp_path / "backup", tmp_path / "again").exit_code == 0


def test_a_damaged_file_of_a_publisher_is_named(data: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(data / "index.db")) as db:
        db.execute("create table t (x)")
    with (data / "index.db").open("r+b") as file:
        file.seek(16)  # the size of its pages
        file.write(b"xx")
    result = backed_up(data, tmp_path / "backup")
    assert result.exit_code == 1
    assert f"{data / 'index.db'}: the file is damaged" in result.output
    assert not (tmp_path / "backup" / "backup.json").exists()


@pytest.mark.usefixtures("backup")  # so that all is imported that is needed
def test_a_folder_that_cannot_be_read_is_told(data: Path) -> None:
    nobody = 65534
    with tempfile.TemporaryDirectory() as name:  # one that others may enter
        place = Path(name)
        shutil.copytree(data, place / "data")
        if os.geteuid() == 0:  # whom nothing stops
            for path in (place, *place.rglob("*")):
                os.chown(path, nobody, nobody)
        (place / "data" / "private").mkdir(mode=0o000)

        def try_it(_: Forked) -> None:
            if os.geteuid() == 0:
                os.setuid(nobody)
            try:
                make(place / "data", place / "backup")
            except StoreError as error:
                (place / "said").write_text(str(error))

        Forked(try_it).end()
        assert f"{place / 'data' / 'private'}: Permission denied" in (place / "said").read_text()
        assert not (place / "backup" / "backup.json").exists()


@pytest.mark.parametrize(
    ("at", "code"), [("data/inside", "backup.target"), ("full", "backup.target"), ("full/file", "backup.target")]
)
def test_a_backup_needs_a_folder_of_its_own(data: Path, tmp_path: Path, at: str, code: str) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    result = backed_up(data, tmp_path / at)
    assert result.exit_code == 1
    assert code in result.output


def test_only_data_directories_are_backed_up(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = backed_up(tmp_path / "empty", tmp_path / "backup")
    assert "backup.data" in result.output
    assert not (tmp_path / "backup").exists()


def test_a_directory_with_contents_is_not_restored_into(data: Path, backup: Path) -> None:
    before = files(data)
    result = restored(backup, data)
    assert result.exit_code == 1
    assert "restore.not_empty" in result.output
    assert files(data) == before


def test_a_backup_that_was_not_finished_is_refused(backup: Path, tmp_path: Path) -> None:
    (backup / "backup.json").unlink()
    result = restored(backup, tmp_path / "again")
    assert result.exit_code == 1
    assert "backup.incomplete" in result.output
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize("name", ["control.db", "shards/000/queue.db", "out/lines.jsonl", "clock"])
@pytest.mark.parametrize("how", ["gone", "cut", "changed"])
def test_a_damaged_backup_is_refused(backup: Path, tmp_path: Path, name: str, how: str) -> None:
    path = backup / "data" / name
    contents = path.read_bytes()
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(contents[:-1] if how == "cut" else contents[:-1] + bytes([contents[-1] ^ 1]))
    result = restored(backup, tmp_path / "again")
    assert result.exit_code == 1
    assert "backup.damaged" in result.output
    assert name in result.output
    assert files(tmp_path / "again") <= {"lock"}
    path.write_bytes(contents)
    assert restored(backup, tmp_path / "again").exit_code == 0, "what was refused left nothing behind"


@pytest.mark.parametrize("text", ["", "[]", '{"node": 1}'])
def test_a_manifest_that_cannot_be_read_is_refused(backup: Path, tmp_path: Path, text: str) -> None:
    (backup / "backup.json").write_text(text)
    assert "backup.damaged" in restored(backup, tmp_path / "again").output


def test_a_manifest_does_not_lead_out_of_the_backup(backup: Path, tmp_path: Path) -> None:
    manifest = json.loads((backup / "backup.json").read_text())
    (tmp_path / "stray").touch()
    manifest["files"]["../../stray"] = {"size": 0, "sha256": ""}
    (backup / "backup.json").write_text(json.dumps(manifest))
    assert "backup.damaged" in restored(backup, tmp_path / "again").output


def test_a_backup_of_a_later_release_names_it(backup: Path, tmp_path: Path) -> None:
    manifest = json.loads((backup / "backup.json").read_text()) | {"pypes_backup": 2, "release": "9.1"}
    (backup / "backup.json").write_text(json.dumps(manifest))
    result = restored(backup, tmp_path / "again")
    assert "backup.newer" in result.output
    assert "9.1" in result.output


def test_a_restore_that_was_interrupted_is_not_started_on(backup: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    again.mkdir()
    (again / RESTORING).mkdir()
    assert "restore.not_empty" in restored(backup, again).output


@pytest.mark.usefixtures("held")
def test_two_nodes_do_not_work_from_one_backup(data: Path, backup: Path, tmp_path: Path) -> None:
    result = restored(backup, tmp_path / "again")
    assert result.exit_code == 1
    assert "restore.running" in result.output
    assert str(data) in result.output
    assert not (tmp_path / "again").exists()
    assert restored(backup, tmp_path / "again", "--paused").exit_code == 0
    store = ControlStore(tmp_path / "again" / "control.db")
    assert store.paused() == {"g"}
    store.close()
    lines = [(line.operation, line.by, line.graph) for line in lines_in(tmp_path / "again")]
    assert lines[-2:] == [("node.restore", "node", ""), ("graph.pause", "node", "g")]


def test_a_run_that_became_due_while_the_shards_were_copied_is_wanted_again(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fire(at: float) -> None:
        with closing(ControlStore(data / "control.db")) as store:
            store.set_fired("g", "* * * * *", at)

    def copy_late(folder: Path, target: Path, node: int, shard: int) -> tuple[ShardStats, list[str]]:
        found = copy_shard(folder, target, node, shard)
        fire(2.0)
        return found

    fire(1.0)
    monkeypatch.setattr("pypes.runtime.backup.making.copy_shard", copy_late)
    assert backed_up(data, tmp_path / "backup").exit_code == 0
    with closing(ControlStore(tmp_path / "backup" / "data" / "control.db")) as store:
        assert store.fired("g") == ("* * * * *", 1.0)
    assert {path.name for path in (tmp_path / "backup").iterdir()} == {"backup.json", "data"}


def test_a_schedule_is_dealt_with_as_before_the_shards_were_copied(tmp_path: Path) -> None:
    for name, at in (("before", 1.0), ("after", 2.0)):
        store = ControlStore(tmp_path / f"{name}.db")
        for graph in ("g", "new" if name == "after" else "gone"):
            store.deploy(StoredGraph(graph, 1, {}, 0.0))
            store.set_fired(graph, "* * * * *", at)
        store.close()
    keep_fired(tmp_path / "after.db", tmp_path / "before.db")
    store = ControlStore(tmp_path / "after.db")
    assert [store.fired(graph) for graph in ("g", "new", "gone")] == [("* * * * *", 1.0), ("* * * * *", 2.0), None]
    store.close()
