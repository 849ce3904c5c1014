"""The file of an outbox: what is appended is there once, in order, bounded, and in a file that is its own."""

from __future__ import annotations

import logging
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pypes.core.nodetime import Clock
from pypes.errors import Unreachable
from pypes.outbox.file import Bounds, OutboxFile, Result
from pypes.outbox.giving import acknowledge, describe, give

BOUNDS = Bounds(1 << 30, 0.0, 86_400.0)

APPENDS = """
import sys
from pathlib import Path
from pypes.core.nodetime import Clock
from pypes.outbox.file import Bounds, OutboxFile, Result
file = OutboxFile(Path(sys.argv[1]), Bounds(1 << 30, 0.0, 60.0), is_synced=False, clock=Clock())
for n in range(int(sys.argv[3])):
    file.append([Result(b'"%s %d"' % (sys.argv[2].encode(), n), sys.argv[2])])
file.close()
"""


class Time:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def clock(self) -> Clock:
        return Clock(lambda: self.now)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox" / "results.db"


@pytest.fixture
def moment() -> Time:
    return Time()


@pytest.fixture
def file(path: Path, moment: Time) -> Iterator[OutboxFile]:
    file = OutboxFile(path, BOUNDS, is_synced=True, clock=moment.clock())
    yield file
    file.close()


def texts(path: Path) -> list[bytes]:
    return give(path, 1_000, 1 << 20, 0.0, 0.0).results


def test_results_come_in_the_order_of_their_commits(file: OutboxFile, path: Path) -> None:
    assert file.append([Result(b"1", "a"), Result(b"2", "b")]) == 0
    assert file.append([Result(b"3", "a")]) == 0
    assert texts(path) == [b"1", b"2", b"3"]


def test_two_processes_append_to_one_outbox(path: Path) -> None:
    commands = [[sys.executable, "-c", APPENDS, str(path), name, "100"] for name in "ab"]
    processes = [subprocess.Popen(command) for command in commands]
    assert [process.wait(60) for process in processes] == [0, 0]
    for name in "ab":
        assert [text for text in texts(path) if name in text.decode()] == [b'"%s %d"' % (name.encode(), n) for n in range(100)]


def test_nothing_older_follows_a_whole_version(file: OutboxFile, path: Path) -> None:
    # in one transaction and in another one
    assert file.append([Result(b"1", "a", "1"), Result(b"3", "a", "3", is_whole=True), Result(b"2", "a", "2")]) == 1
    late = [
        Result(b"2", "a", "2", is_whole=True),
        Result(b"of b", "b", "2"),
        Result(b"3 again", "a", "3"),
        Result(b"4", "a", "4"),
    ]
    assert file.append(late) == 1
    # a version that is not whole holds nothing back
    assert file.append([Result(b"3 once more", "a", "3")]) == 0
    assert texts(path) == [b"1", b"3", b"of b", b"3 again", b"4", b"3 once more"]


def test_what_is_whole_is_known_after_it_was_acknowledged_and_forgotten_at_last(
    file: OutboxFile, path: Path, moment: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pypes.outbox.file.FORGET_INTERVAL_S", 0.0)
    file.append([Result(b"2", "a", "2", is_whole=True)])
    cursor = give(path, 1, 1, 0.0, 0.0).cursor
    assert cursor is not None
    acknowledge(path, cursor, is_synced=True)
    assert file.append([Result(b"1", "a", "1")]) == 1
    moment.now += BOUNDS.tombstone_s + 1
    file.append([Result(b"of b", "b", "1")])
    assert file.append([Result(b"1", "a", "1")]) == 0


def test_an_outbox_that_is_full_takes_nothing(path: Path, moment: Time) -> None:
    file = OutboxFile(path, Bounds(10, 60.0, 0.0), is_synced=False, clock=moment.clock())
    file.append([Result(b"12345678", "a")])
    file.append([Result(b"90", "a")])
    with pytest.raises(Unreachable, match=r"outbox 'results' is full: 2 results of 10 bytes wait, .* \(GET /outbox/results\)"):
        file.append([Result(b"1", "a")])
    cursor = give(path, 1, 1, 0.0, 0.0).cursor
    assert cursor is not None
    acknowledge(path, cursor, is_synced=False)
    moment.now += 61
    with pytest.raises(Unreachable, match="the oldest for 61 s"):
        file.append([Result(b"1", "a")])
    assert describe(path, moment.now) == (1, 2, 61.0, 0)
    file.close()


def test_a_file_that_is_removed_is_made_anew(file: OutboxFile, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file.append([Result(b"1", "a")])
    cursor = give(path, 1, 1, 0.0, 0.0).cursor
    path.unlink()
    file.append([Result(b"2", "a")])
    assert texts(path) == [b"2"]
    assert "an outbox was removed, and is made anew" in caplog.text
    # the cursor is of the file that was removed
    assert cursor is not None
    with pytest.raises(Exception, match="has given no such cursor"):
        acknowledge(path, cursor, is_synced=True)
    assert texts(path) == [b"2"]


def test_a_damaged_file_is_left_for_somebody_to_look_at(file: OutboxFile, path: Path) -> None:
    file.append([Result(b"1", "a")])
    path.write_bytes(b"no database" * 1000)
    path.with_name("results.db-wal").unlink()
    with pytest.raises(Unreachable, match=r"is damaged \(.*\): move it away, and a new one is made"):
        OutboxFile(path, BOUNDS, is_synced=False, clock=Clock()).append([Result(b"2", "a")])
    path.rename(path.with_name("damaged"))
    file.append([Result(b"3", "a")])
    assert texts(path) == [b"3"]


def test_nothing_of_a_turn_that_cannot_be_written_is_there(path: Path, moment: Time) -> None:
    file = OutboxFile(path, BOUNDS, is_synced=False, clock=moment.clock())
    file.append([Result(b"1", "a", "1", is_whole=True)])
    file._db.execute("pragma max_page_count = 1")  # type: ignore[union-attr]
    with pytest.raises(Unreachable, match="cannot be written: database or disk is full"):
        file.append([Result(b"2", "a", "2", is_whole=True), Result(bytes(100_000), "b", "1")])
    assert texts(path) == [b"1"]
    file._db.execute("pragma max_page_count = 100000")  # type: ignore[union-attr]
    assert file.append([Result(b"1 again", "a", "1")]) == 0
    assert describe(path, moment.now)[:2] == (2, 8)
    file.close()


def test_a_file_that_cannot_be_opened_yet_is_opened_later(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "outbox").write_text("in the way")
    file = OutboxFile(tmp_path / "outbox" / "results.db", BOUNDS, is_synced=False, clock=Clock())
    with pytest.raises(Unreachable, match="cannot be written"):
        file.append([Result(b"1", "a")])
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    (tmp_path / "outbox").unlink()
    file.append([Result(b"1", "a")])
    assert texts(file.path) == [b"1"]
    file.close()


def test_results_are_synced_where_that_is_wanted(path: Path) -> None:
    for is_synced, mode in ((True, 2), (False, 1)):
        file = OutboxFile(path, BOUNDS, is_synced=is_synced, clock=Clock())
        assert isinstance(file._db, sqlite3.Connection)
        assert file._db.execute("pragma synchronous").fetchone() == (mode,)
        file.close()
