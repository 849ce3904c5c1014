"""The node's time under clocks that the test moves, through restarts of the node and of the machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pypes.core.nodetime import Clock, NodeTime, node_clock
from pypes.core.offsets import STEADY_S

DAY = 86_400.0
BEGIN = 1_800_000_000.0


class Machine:
    """A machine with a wall clock, one that counts what passes, and a data directory."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "clock"
        self.wall = BEGIN
        self.elapsed = 1000.0
        self.boot = "first"
        self.told = ""

    def pass_time(self, seconds: float) -> None:
        self.wall += seconds
        self.elapsed += seconds

    def start_anew(self, off_s: float) -> None:
        self.wall += off_s
        self.elapsed = 5.0
        self.boot += "+"

    def supervisor(self) -> NodeTime:
        clock, self.told = NodeTime.start(self.path, lambda: self.wall, lambda: self.elapsed, self.boot)
        return clock

    def worker(self) -> NodeTime:
        clock = NodeTime.map(self.path, lambda: self.wall, lambda: self.elapsed)
        assert clock is not None
        return clock


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_it_begins_with_the_wall_clock_and_moves_as_time_passes(machine: Machine) -> None:
    clock, worker = machine.supervisor(), machine.worker()
    assert clock.now() == worker.now() == BEGIN
    machine.pass_time(60.0)
    assert clock.now() == worker.now() == worker.fresh() == BEGIN + 60
    assert clock.look() == 0.0


@pytest.mark.parametrize("jump", [DAY, -DAY, 8 * DAY])
def test_a_jump_moves_neither_it_nor_any_age_and_is_over_when_the_clock_is_right(machine: Machine, jump: float) -> None:
    clock, worker = machine.supervisor(), machine.worker()
    machine.pass_time(2 * STEADY_S)
    assert worker.is_steady()
    received = worker.now()
    machine.wall += jump
    assert clock.look() == jump
    assert (worker.now(), worker.fresh()) == (received, received)
    assert worker.ago(100.0) == received - 100.0
    assert not worker.is_steady()
    assert worker.shown(worker.now()) == machine.wall
    machine.pass_time(40.0)
    during = worker.now()
    machine.wall -= jump
    assert clock.look() == -jump
    machine.pass_time(1.0)
    assert (worker.shown(received), worker.shown(during), worker.shown(worker.now())) == (received, during, machine.wall)
    assert worker.first(received) == received
    assert not worker.is_steady()
    machine.pass_time(STEADY_S)
    assert worker.is_steady()


def test_a_restart_of_the_node_goes_on_whatever_the_clock_did_meanwhile(machine: Machine) -> None:
    machine.supervisor()
    machine.pass_time(60.0)
    machine.wall += DAY
    clock = machine.supervisor()
    assert "set by +86400 seconds while the node was down" in machine.told
    assert clock.now() == BEGIN + 60
    assert clock.shown(clock.now()) == machine.wall
    machine.pass_time(60.0)
    machine.wall -= DAY
    clock = machine.supervisor()
    assert clock.now() == BEGIN + 120
    assert clock.shown(BEGIN + 90) == BEGIN + 90
    assert not clock.is_steady()


def test_a_restart_of_the_machine_counts_the_time_that_it_was_off(machine: Machine) -> None:
    clock = machine.supervisor()
    machine.pass_time(60.0)
    clock.beat()
    machine.start_anew(off_s=3600.0)
    clock = machine.supervisor()
    assert not machine.told
    assert clock.now() == machine.wall == BEGIN + 3660
    assert clock.ago(3660.0) == BEGIN


def test_a_machine_that_comes_up_in_the_past_goes_on_from_where_it_was(machine: Machine) -> None:
    clock = machine.supervisor()
    machine.pass_time(3600.0)
    clock.beat()
    right = machine.wall
    machine.start_anew(off_s=0.0)
    machine.wall = 0.0
    clock = machine.supervisor()
    assert clock.now() == BEGIN + 3600
    machine.pass_time(30.0)
    machine.wall = right + 330.0  # it had been off for five minutes
    clock.look()
    assert clock.now() == BEGIN + 3630
    assert (clock.shown(BEGIN + 10), clock.shown(BEGIN + 3610)) == (BEGIN + 10, BEGIN + 3910)


def test_a_machine_that_comes_up_in_the_future_ages_nothing(machine: Machine) -> None:
    clock = machine.supervisor()
    machine.pass_time(3600.0)
    clock.beat()
    machine.start_anew(off_s=8 * DAY)
    clock = machine.supervisor()
    assert not clock.is_steady()
    machine.pass_time(60.0)
    machine.wall -= 8 * DAY
    clock.look()
    machine.pass_time(STEADY_S)
    assert clock.is_steady()
    assert clock.now() > BEGIN + 8 * DAY  # keys never go back
    assert clock.ago(3600.0) < BEGIN + 3600 < clock.ago(600.0)
    assert clock.shown(BEGIN) == BEGIN
    assert clock.shown(clock.now()) == machine.wall


def test_a_copy_of_an_earlier_state_of_the_machine_is_a_restart(machine: Machine) -> None:
    clock = machine.supervisor()
    machine.pass_time(3600.0)
    clock.beat()
    machine.elapsed, machine.wall = 2000.0, machine.wall + DAY
    assert machine.supervisor().now() == machine.wall


def test_what_was_counted_before_is_never_counted_again_nor_shown_ahead(machine: Machine) -> None:
    clock, worker, other = machine.supervisor(), machine.worker(), machine.worker()
    worker.reach(BEGIN - DAY)
    assert worker.now() == BEGIN
    worker.reach(BEGIN + DAY)  # of a shard that counted while the clock was a day ahead
    assert worker.now() == other.fresh() == clock.fresh() == BEGIN + DAY
    assert other.shown(other.now()) == machine.wall
    assert clock.look() == 0.0
    machine.pass_time(2 * STEADY_S)
    assert other.ago(3 * STEADY_S) == BEGIN - STEADY_S  # the day that was skipped made nothing older
    machine.pass_time(STEADY_S)
    assert machine.supervisor().now() == BEGIN + DAY + 3 * STEADY_S


@pytest.mark.parametrize("damage", [b"", b"x" * 100, os.urandom(16384)], ids=["empty", "short", "noise"])
def test_a_damaged_file_is_made_anew(machine: Machine, damage: bytes) -> None:
    machine.path.write_bytes(damage)
    assert NodeTime.map(machine.path) is None
    assert machine.supervisor().now() == BEGIN
    assert ("damaged" in machine.told) is bool(damage)
    assert machine.worker().now() == BEGIN


def test_a_file_that_was_removed_comes_back_as_it_was(machine: Machine) -> None:
    clock, worker = machine.supervisor(), machine.worker()
    worker.reach(BEGIN + DAY)
    machine.path.unlink()
    assert clock.is_missing()
    clock.look()
    clock.beat()
    assert not clock.is_missing()
    machine.pass_time(10.0)
    assert machine.worker().now() == clock.fresh() == worker.fresh() == BEGIN + DAY + 10


def test_without_a_node_it_is_the_wall_clock(tmp_path: Path) -> None:
    clock = node_clock(tmp_path)
    assert type(clock) is Clock
    assert clock.shown(5.0) == clock.first(5.0) == 5.0
    clock.reach(1e12)
    assert clock.now() < 1e12
    assert not list(tmp_path.iterdir())


def test_the_real_clocks_of_two_processes_agree(tmp_path: Path) -> None:
    clock, _ = NodeTime.start(tmp_path / "clock")
    worker = node_clock(tmp_path)
    before, between, after = clock.now(), worker.now(), clock.now()
    assert before <= between <= after
    assert clock.look() == 0.0
