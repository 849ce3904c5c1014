"""Values that were sent over one item, in memory and beyond."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import IO, Any

import pytest

from pypes.errors import Reject, Retry
from pypes.placement import gathered
from pypes.placement.gathered import MEMORY_BYTES, MEMORY_VALUES, Gathered, understand_object
from pypes.placement.speech import Pickled


def gather(values: list[Any], folder: str) -> Gathered:
    found = Gathered(folder, understand_object)
    for value in values:
        found.add(Pickled().speak(value, []))
    return found


def files_in_use(folder: Path) -> int:
    return sum(str(path.readlink()).startswith(str(folder)) for path in Path("/proc/self/fd").iterdir() if path.is_symlink())


@pytest.mark.parametrize("count", [0, 3, 2_000])
def test_values_come_back_in_their_order(tmp_path: Path, count: int) -> None:
    values = [(number, b"x" * (MEMORY_BYTES // 500)) for number in range(count)]
    found = gather(values, str(tmp_path))
    assert [*found] == values
    assert [*tmp_path.iterdir()] == []
    assert files_in_use(tmp_path) == 0


def test_few_bytes_stay_in_memory_and_many_do_not(tmp_path: Path) -> None:
    few, many = gather([b"x"], str(tmp_path)), gather([b"x" * MEMORY_BYTES, b"y"], str(tmp_path))
    assert files_in_use(tmp_path) == 1
    assert [[*few], [*many]] == [[b"x"], [b"x" * MEMORY_BYTES, b"y"]]


def test_objects_that_cannot_be_written_keep_their_place(tmp_path: Path) -> None:
    found, lock = Gathered(str(tmp_path), understand_object), threading.Lock()
    values = [lock if number % 50 == 49 else number for number in range(3 * MEMORY_VALUES)]
    for value in values:
        found.add_object(value)
    assert files_in_use(tmp_path) == 1
    assert [*found] == values


def test_the_file_goes_with_whoever_has_it(tmp_path: Path) -> None:
    found = gather([b"x" * MEMORY_BYTES, b"y"], str(tmp_path))
    assert files_in_use(tmp_path) == 1
    del found
    assert files_in_use(tmp_path) == 0


def test_more_than_may_be_kept_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathered, "MOST_BYTES", 2 * MEMORY_BYTES)
    found = gather([b"x" * MEMORY_BYTES] * 4, str(tmp_path))
    assert isinstance(found.fault, Reject)
    assert found.fault.code == "pool.sent"
    assert files_in_use(tmp_path) == 0


def test_no_more_than_some_values_stay_in_memory_because_they_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathered, "MOST_UNWRITTEN", 3)
    enough, more = Gathered(str(tmp_path), understand_object), Gathered(str(tmp_path), understand_object)
    for found, count in ((enough, MEMORY_VALUES + 3), (more, MEMORY_VALUES + 4)):
        for _ in range(count):
            found.add_object(threading.Lock())
    assert enough.fault is None
    assert isinstance(more.fault, Reject)
    assert more.fault.code == "pool.sent"


def test_a_full_disk_has_the_item_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(folder: str) -> IO[bytes]:
        return Path("/dev/full").open("wb")

    monkeypatch.setattr(gathered, "_file_in", full)
    fault = gather([b"x" * MEMORY_BYTES] * 2, "").fault
    assert isinstance(fault, Retry)
    assert "No space left" in str(fault.reason)


def test_a_folder_that_is_not_there_is_no_reason_to_fail(tmp_path: Path) -> None:
    assert [*gather([b"x" * MEMORY_BYTES, 1], str(tmp_path / "none"))] == [b"x" * MEMORY_BYTES, 1]
