"""The supervisor's look at the wall clock: jumps are said, and told to whoever waits for a time."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from pypes.core.nodetime import node_clock
from pypes.errors import StoreError
from pypes.runtime.supervisor import clockkeeper
from pypes.runtime.supervisor.clockkeeper import ClockKeeper

DAY_S = 86_400.0


def test_a_jump_is_said_once_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    jumps: list[None] = []
    keeper = ClockKeeper(tmp_path, lambda: jumps.append(None))
    keeper.look()
    assert (len(jumps), len(caplog.records)) == (0, 0)
    real = keeper.time._wall
    keeper.time._wall = lambda: real() + DAY_S
    for _ in range(3):
        keeper.look()
    assert len(jumps) == 1
    [said] = caplog.records
    assert "the wall clock was set" in said.getMessage()
    assert abs(said.__dict__["seconds"] - DAY_S) < 60
    clock = node_clock(tmp_path)
    assert clock.shown(clock.now()) - clock.now() > DAY_S - 60


def test_a_file_that_somebody_removes_is_written_again(tmp_path: Path) -> None:
    keeper = ClockKeeper(tmp_path, lambda: None)
    (tmp_path / "clock").unlink()
    keeper.look()
    assert abs(node_clock(tmp_path).now() - keeper.time.now()) < 1.0


def test_a_disk_that_fails_is_said_once_and_holds_nothing_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = ClockKeeper(tmp_path, lambda: None)
    with monkeypatch.context() as patched:
        patched.setattr(keeper.time, "beat", lambda: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        for _ in range(3):
            keeper.look(is_beat=True)
    assert [record.getMessage() for record in caplog.records] == ["the node's time cannot be recorded; trying again"]
    keeper.look(is_beat=True)
    assert clockkeeper.LOOK_S <= 1.0  # jumps are noticed within a second


def test_a_damaged_file_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "clock").write_bytes(b"?" * 100)
    ClockKeeper(tmp_path, lambda: None)
    assert "damaged" in caplog.text


def test_a_directory_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="clock"):
        ClockKeeper(tmp_path / "missing", lambda: None)
