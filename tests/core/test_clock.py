"""The wall clock that tests move, and the time that passes."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from pypes.core import clock
from pypes.core.clock import Shifted
from pypes.testing.clock import WallClock
from pypes.testing.node import until


def test_without_the_variable_it_is_the_clock_of_the_machine() -> None:
    assert clock.wall is time.time


def test_a_shifted_clock_follows_its_file(tmp_path: Path) -> None:
    shift = tmp_path / "shift"
    shifted = Shifted(str(shift))
    assert abs(shifted() - time.time()) < 60  # no file: no shift
    moved = WallClock(shift)
    moved.jump(86_400.0)
    until(lambda: shifted() - time.time() > 80_000, 10.0, "a day ahead")
    moved.jump(-2 * 86_400.0)
    until(lambda: shifted() - time.time() < -80_000, 10.0, "a day behind")
    moved.set(0.0)
    until(lambda: abs(shifted() - time.time()) < 60, 10.0, "right again")


def test_processes_with_the_variable_see_the_shift_and_their_monotonic_clocks_do_not(tmp_path: Path) -> None:
    moved = WallClock(tmp_path / "shift")
    moved.jump(8 * 86_400.0)
    script = "import time; from pypes.core.clock import elapsed, wall; print(wall() - time.time(), elapsed() - time.monotonic())"
    out = subprocess.run(
        [sys.executable, "-c", script], env=dict(moved.environ), capture_output=True, text=True, check=True
    ).stdout
    ahead_s, slept_s = map(float, out.split())
    assert 8 * 86_400.0 - 60 < ahead_s < 8 * 86_400.0 + 60
    assert slept_s > -1.0  # what the machine has slept, never what the test has shifted
    assert abs(slept_s - (clock.elapsed() - time.monotonic())) < 60


def test_time_that_passes_never_goes_back() -> None:
    readings = [clock.elapsed() for _ in range(1000)]
    assert readings == sorted(readings)
