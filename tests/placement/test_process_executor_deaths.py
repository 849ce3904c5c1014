"""An item that ends or stops its pool worker costs itself: none is lost, none has two outcomes, and nothing is left behind."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from pypes.core.limits import MIB
from pypes.errors import Unreachable
from pypes.placement.executor import ExecutorClosed
from pypes.placement.in_order import in_order
from pypes.placement.keeper import LocalKeeper
from pypes.placement.pool_process import Bounds
from pypes.placement.process_executor import ProcessExecutor
from pypes.testing.node import until
from tests.placement import jobs, started
from tests.placement.pooling import PATIENCE_S, begun, does, executor_of, job, pool_workers, shown


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("killed", "killed by SIGKILL"),
        ("crash", "killed by SIGSEGV"),
        ("abort", "killed by SIGABRT"),
        ("exit", "exited with status 3"),
    ],
)
def test_poison_fails_when_it_has_ended_two_pool_workers(tmp_path: Path, what: str, reason: str) -> None:
    outcomes = does(tmp_path, ["good", "good", what, "good", "good"])
    assert shown(outcomes) == [0, 1, ("pool.killed", reason), 3, 4]
    assert begun(tmp_path).count(2) == 2
    assert begun(tmp_path).count(3) == begun(tmp_path).count(4) == 1


def test_a_stride_of_poison(tmp_path: Path) -> None:
    outcomes = does(tmp_path, ["abort"] * 4, width=2)
    assert shown(outcomes) == [("pool.killed", "killed by SIGABRT")] * 4
    assert sorted(begun(tmp_path)) == [0, 0, 1, 1, 2, 2, 3, 3]


def test_a_kill_in_the_midst_of_a_stride_costs_nothing(tmp_path: Path) -> None:
    what = ["killed_once" if number % 5 == 2 else "good" for number in range(40)]
    executor = executor_of(tmp_path, width=2)
    try:
        outcomes = list(in_order(executor, ((each, number) for number, each in enumerate(what)), stride=8))
    finally:
        executor.close()
    assert shown(outcomes) == list(range(40))


def test_a_kill_from_outside_costs_nothing(tmp_path: Path) -> None:
    executor = executor_of(tmp_path)
    try:
        first = executor.submit([("good", 0), ("waits", 1), ("good", 2)])
        second = executor.submit([("good", 3)])
        until(lambda: (tmp_path / "waits").exists(), PATIENCE_S, "it has begun")
        (tmp_path / "go").touch()
        os.kill(int((tmp_path / "waits").read_text()), signal.SIGKILL)
        assert shown(first.result(PATIENCE_S)) == [0, 1, 2]
        assert shown(second.result(PATIENCE_S)) == [3]
    finally:
        executor.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_all_of_a_group_neither_ends_a_pool_worker_nor_disturbs_it(tmp_path: Path, number: int) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    executor = executor_of(tmp_path)
    try:
        future = executor.submit([("reads", 0), ("pid", 1)])
        with pipe.open("wb", buffering=0) as end:
            pid = int(until(lambda: (tmp_path / "reads").exists() and (tmp_path / "reads").read_text(), PATIENCE_S, "it reads"))
            for _ in range(3):
                os.kill(pid, number)
            end.write(b"ok")
            assert shown(future.result(PATIENCE_S)) == [b"ok", (1, pid)]
    finally:
        executor.close()


def test_programs_that_an_item_starts_end_by_signals(tmp_path: Path) -> None:
    assert shown(does(tmp_path, ["programs"])) == [started.ENDED]


def test_an_idle_pool_worker_that_is_killed_is_replaced(tmp_path: Path) -> None:
    executor = executor_of(tmp_path)
    try:
        [(_, pid)] = shown(executor.submit([("pid", 0)]).result(PATIENCE_S))
        os.kill(pid, signal.SIGKILL)
        [(_, other)] = shown(executor.submit([("pid", 1)]).result(PATIENCE_S))
        assert other != pid
    finally:
        executor.close()


@pytest.mark.parametrize("what", ["hang", "hang_deaf"])
def test_an_item_that_takes_too_long_fails_at_once(tmp_path: Path, what: str) -> None:
    outcomes = does(tmp_path, ["good", what, "good"], Bounds(timeout_s=0.5))
    assert shown(outcomes) == [0, ("pool.timeout", "not done after 0.5 s"), 2]
    assert begun(tmp_path).count(1) == 1


def test_time_is_that_of_one_item(tmp_path: Path) -> None:
    """A stride may take longer than its items may."""
    executor = executor_of(tmp_path, bounds=Bounds(timeout_s=0.5))
    try:
        waits = executor.submit([("good", 0)] * 3)
        assert shown(waits.result(PATIENCE_S)) == [0] * 3
        long = executor.submit([("nap", number) for number in range(8)])
        assert shown(long.result(PATIENCE_S)) == [*range(8)]
    finally:
        executor.close()


def test_what_an_item_started_ends_with_it(tmp_path: Path) -> None:
    [outcome] = does(tmp_path, ["hang_with_tool"], Bounds(timeout_s=1.0))
    assert getattr(outcome.error, "code", "") == "pool.timeout"
    tool = Path("/proc", (tmp_path / "tool").read_text(), "stat")
    until(lambda: not tool.exists() or tool.read_text().rpartition(")")[2].split()[0] == "Z", 10, "the tool has ended")


def test_a_process_that_an_item_forked_does_not_hide_its_end(tmp_path: Path) -> None:
    try:
        assert shown(does(tmp_path, ["fork"])) == [0]
    finally:
        os.kill(int((tmp_path / "forked").read_text()), signal.SIGKILL)


@pytest.mark.skipif(sys.platform != "linux", reason="only /proc tells that a process is stopped")
def test_nobody_pays_for_pauses(tmp_path: Path) -> None:
    """Pauses that are longer than an item may take, all together."""
    executor = executor_of(tmp_path, bounds=Bounds(timeout_s=3.0))
    try:
        future = executor.submit([("waits", 0)])
        pid = int(until(lambda: (tmp_path / "waits").exists() and (tmp_path / "waits").read_text(), PATIENCE_S, "it has begun"))
        for _ in range(4):
            os.kill(pid, signal.SIGSTOP)
            with pytest.raises(TimeoutError):
                future.result(1.0)
            os.kill(pid, signal.SIGCONT)
            with pytest.raises(TimeoutError):  # long enough for the keeper to see that it runs
                future.result(0.4)
        (tmp_path / "go").touch()
        assert shown(future.result(PATIENCE_S)) == [0]
        assert begun(tmp_path) == [0]
    finally:
        executor.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only /proc tells that a process is stopped")
@pytest.mark.parametrize("is_busy", [True, False])
def test_a_pool_worker_that_stays_stopped_is_replaced(tmp_path: Path, is_busy: bool) -> None:
    executor = executor_of(tmp_path, bounds=Bounds(timeout_s=0.6))
    try:
        if is_busy:
            future = executor.submit([("waits", 0), ("good", 1)])
            until(lambda: (tmp_path / "waits").exists() and (tmp_path / "waits").read_text(), PATIENCE_S, "it has begun")
        [stopped] = pool_workers()
        stopped.suspend()
        (tmp_path / "go").touch()
        if not is_busy:
            future = executor.submit([("good", 0), ("good", 1)])
        assert shown(future.result(PATIENCE_S)) == [0, 1]
        assert begun(tmp_path) == ([0, 0, 1] if is_busy else [0, 1])
        assert not stopped.is_running()
    finally:
        executor.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only /proc tells that a process is stopped")
def test_an_item_that_stops_every_pool_worker_fails(tmp_path: Path) -> None:
    outcomes = does(tmp_path, ["good", "stop", "good"], Bounds(timeout_s=0.6))
    assert shown(outcomes) == [0, ("pool.killed", "stopped from outside for 0.6 s"), 2]
    assert begun(tmp_path).count(1) == 2


def test_memory_is_bounded(tmp_path: Path) -> None:
    outcomes = does(tmp_path, ["good", "exhaust", "good"], Bounds(max_bytes=400 * MIB))
    assert shown(outcomes) == [0, ("pool.killed", "ran out of memory: it may have 400 MiB"), 2]


def test_without_a_bound_it_is_an_error_like_others(tmp_path: Path) -> None:
    outcomes = does(tmp_path, ["memory_error", "good"])
    assert isinstance(outcomes[0].error, MemoryError)
    assert outcomes[1].value == 1


def test_items_do_not_pay_for_those_before_them(tmp_path: Path) -> None:
    assert shown(does(tmp_path, ["leak"] * 8, Bounds(max_bytes=400 * MIB))) == [*range(8)]


# -- set-up ---------------------------------------------------------------------------------------------------


def test_a_death_at_set_up_is_told(tmp_path: Path) -> None:
    reasons = {
        jobs.DiesAtSetUp: "killed by SIGABRT at set-up",
        jobs.ExitsAtSetUp: r"set-up ended with SystemExit\(3\)",
        jobs.NobodyThereAtSetUp: "nobody there",
    }
    for kind, reason in reasons.items():
        executor = ProcessExecutor(LocalKeeper(job(tmp_path, kind), 2))
        with pytest.raises(Exception, match=reason):
            executor.setup()
        executor.close()
    assert not pool_workers()


class Shared:
    """A keeper whose pool workers another user owns."""

    def __init__(self, keeper: LocalKeeper) -> None:
        self.width, self.connect, self.lost = keeper.width, keeper.connect, keeper.lost

    def setup(self) -> None: ...

    def close(self) -> None: ...


def test_items_wait_for_a_pool_worker_that_cannot_be_set_up_again(tmp_path: Path) -> None:
    executor = ProcessExecutor(LocalKeeper(job(tmp_path, jobs.SetUpOnce), 1, wait_s=1.0))
    executor.setup()
    try:
        future = executor.submit([("good", 0), ("abort", 1), ("good", 2)])
        outcomes = future.result(PATIENCE_S)
        assert [type(outcome.error) for outcome in outcomes[1:]] == [Unreachable, Unreachable]
        assert "no licence left" in str(outcomes[1].error)
        (tmp_path / "set-up").unlink()
        until(lambda: executor.submit([("good", 3)]).result(PATIENCE_S)[0].value == 3, PATIENCE_S, "it is set up again")
    finally:
        executor.close()


def test_users_are_told_apart_however_many_there_were(tmp_path: Path) -> None:
    executor = executor_of(tmp_path)
    try:
        keeper = executor._keeper
        assert isinstance(keeper, LocalKeeper)
        keeper.workers[0]._users = 1 << 40
        with keeper.connect(0).sock:
            user = ProcessExecutor(Shared(keeper))
            user.setup()
            outcomes = user.submit([("good", 0), ("exit", 1), ("good", 2)]).result(PATIENCE_S)
            user.close()
        assert shown(outcomes) == [0, ("pool.killed", "exited with status 3"), 2]
        assert begun(tmp_path).count(1) == 2
    finally:
        executor.close()


# -- the end --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["good", "hang_deaf"])
def test_nothing_is_left_after_closing(tmp_path: Path, what: str) -> None:
    executor = executor_of(tmp_path, width=2)
    assert len(pool_workers()) == 2
    futures = [executor.submit([(what, 0)]) for _ in range(4)]
    if what == "good":
        assert [shown(future.result(PATIENCE_S)) for future in futures] == [[0]] * 4
    else:
        until(lambda: len(begun(tmp_path)) == 2 if (tmp_path / "begun").exists() else False, PATIENCE_S, "both are busy")
    executor.close()
    assert not pool_workers()
    if what != "good":
        for future in futures:
            with pytest.raises(ExecutorClosed):
                future.result(PATIENCE_S)


#: Runs items that hang or wait, says so, and waits to be killed.
OWNER = """
import sys
from pathlib import Path
from tests.placement.pooling import begun, executor_of
executor = executor_of(Path(sys.argv[1]), width=2)
if sys.argv[2] != "idle":
    out = [executor.submit([(sys.argv[2], 0), (b"x" * 3_000_000, 1)]) for _ in range(4)]
    while not Path(sys.argv[1], "begun").exists():
        pass
print("up", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("doing", ["idle", "hang_deaf"])
def test_nothing_outlives_a_killed_owner(tmp_path: Path, doing: str) -> None:
    before = {*Path("/dev/shm").iterdir()} if Path("/dev/shm").exists() else set()
    command = [sys.executable, "-c", OWNER, str(tmp_path), doing]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        try:
            assert owner.stdout is not None
            assert owner.stdout.readline() == b"up\n"
            children = psutil.Process(owner.pid).children(recursive=True)
            assert len(children) == 2
        finally:
            owner.send_signal(signal.SIGKILL)
        # the pool workers hold the other end of this pipe: it reads as ended only when they are gone, and with them what they map
        assert select.select([owner.stdout], [], [], 10)[0]
        assert owner.stdout.read() == b""
    if before:
        assert {*Path("/dev/shm").iterdir()} <= before
