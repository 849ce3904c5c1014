import os
import subprocess
import sys
from pathlib import Path

import pytest

from pypes.errors import StoreError
from pypes.ingest.store.origin import Origin
from pypes.ingest.store.shards import Shards, owner_of

_HOLDER = """
import sys
from pathlib import Path
from pypes.ingest.store.shards import Shards
shard = Shards(Path(sys.argv[1])).lock(0)
sys.stdout.write("held\\n")
sys.stdout.flush()
sys.stdin.read()
"""


def test_a_slot_has_one_holder_and_is_free_when_that_is_killed(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        shards = Shards(tmp_path)
        with pytest.raises(StoreError) as caught:
            shards.lock(0)
        assert caught.value.code == "store.locked"
        assert shards.adopt(0) == []
        free = shards.lock(1)
        assert free.number == 1
        free.release()
    finally:
        holder.kill()
        holder.communicate()
    shards.lock(0, wait_s=10).release()


def test_slots_beyond_the_workers_are_adopted(tmp_path: Path) -> None:
    shards = Shards(tmp_path)
    for number in (0, 1, 5):
        shards.lock(number).release()
    assert shards.numbers() == [0, 1, 5]
    adopted = shards.adopt(1)
    assert [shard.number for shard in adopted] == [1, 5]
    for shard in adopted:
        shard.release()


def test_a_slot_out_of_range_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="256"):
        Shards(tmp_path).lock(256)


def test_a_locked_shard_has_its_folders_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    real = os.fsync

    def fsync(fd: int) -> None:
        synced.append(os.fstat(fd).st_ino)
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    Shards(tmp_path).lock(0).release()
    folders = (tmp_path, tmp_path / "shards", tmp_path / "shards" / "000")
    assert {folder.stat().st_ino for folder in folders} <= set(synced)


def test_the_number_of_owners_is_that_of_the_first_start(tmp_path: Path) -> None:
    assert [Shards(tmp_path).owners(workers) for workers in (3, 1, 8)] == [3, 3, 3]
    assert Shards(tmp_path).numbers() == []
    (tmp_path / "shards" / "owners").write_text("0\n")
    with pytest.raises(StoreError) as caught:
        Shards(tmp_path).owners(3)
    assert caught.value.code == "store.damaged"


def test_owners_are_the_same_in_every_release() -> None:
    assert [owner_of(name, 4) for name in ("a", "b", "c", "graph\0key", "ä")] == [3, 1, 3, 0, 1]
    assert {owner_of(str(number), 4) for number in range(100)} == {0, 1, 2, 3}


def test_a_slot_tells_where_its_shard_came_from(tmp_path: Path) -> None:
    shards = Shards(tmp_path)
    shards.lock(0).release()
    origin = Origin(9, 3, "n9", 1.5)
    shards.lock(255).release()
    origin.write(shards.folder(255))
    assert [shards.origin(number) for number in shards.numbers()] == [None, origin]
    own, adopted = shards.lock(0), shards.lock(255)
    assert [own.identity(7), adopted.identity(7)] == [(7, 0), (9, 3)]
    adopted.release()
    (shards.folder(255) / "origin").write_text("nine")
    with pytest.raises(StoreError, match="put back"):
        shards.lock(255)
