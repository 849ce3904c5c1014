"""Processes of an executor: what crosses to them and back, and who shares them."""

from __future__ import annotations

import contextlib
import gc
import logging
import subprocess
import sys
import sysconfig
import threading
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import pypes
from pypes.errors import ComponentError
from pypes.placement import parcels, pool_frames
from pypes.placement.channel import PassingChannel
from pypes.placement.executor import Calling, Outcome
from pypes.placement.in_order import in_order
from pypes.placement.keeper import Connection, LocalKeeper
from pypes.placement.pool_process import Bounds, Loss
from pypes.placement.process_executor import ProcessExecutor, processes
from pypes.placement.progress import MOST_ITEMS
from pypes.placement.speech import Pickled
from pypes.testing import works
from pypes.testing.node import until
from tests.placement.jobs import Block
from tests.placement.pooling import PATIENCE_S, begun, executor_of, job, shown
from tests.placement.scripted import Scripted, answers_frame, log_frame


@contextlib.contextmanager
def running(folder: Path, width: int = 1, bounds: Bounds | None = None) -> Iterator[ProcessExecutor]:
    executor = executor_of(folder, width, bounds or Bounds())
    try:
        yield executor
    finally:
        executor.close()


def iter_of_nothing() -> Iterator[None]:
    yield from ()


def test_what_cannot_travel_costs_itself(tmp_path: Path) -> None:
    with running(tmp_path) as executor:
        items: list[Any] = [("good", 0), ("good", iter_of_nothing()), ("odd", 2), ("good", 3)]
        outcomes = executor.submit(items).result(PATIENCE_S)
        assert [outcome.value for outcome in outcomes] == [0, None, None, 3]
        assert shown(outcomes)[1] == ("pool.value", "the item cannot be sent to a process: cannot pickle 'generator' object")
        code, reason = shown(outcomes)[2]
        assert code == "pool.value"
        assert reason.startswith("the result cannot be sent from its process: cannot pickle '_thread.lock' object")
        # nothing is sent of a stride of which nothing can travel
        assert shown(executor.submit([("good", iter_of_nothing())]).result(PATIENCE_S))[0][0] == "pool.value"


def test_work_that_cannot_travel_is_refused() -> None:
    lock = threading.Lock()
    with pytest.raises(ComponentError, match="the work cannot be sent to a process") as caught:
        processes(Calling(lambda item: lock.locked()), 1)
    assert caught.value.code == "pool.work"


def test_it_is_closed_where_no_thread_can_be_started_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in Python 3.12 while the interpreter ends; no process may be left, which is checked after each test."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    with running(tmp_path, 2) as executor:
        assert executor.submit([("good", 1)]).result(PATIENCE_S) == [Outcome(1)]
        monkeypatch.setattr(threading.Thread, "start", refuse)


def test_errors_bring_their_traceback(tmp_path: Path) -> None:
    with running(tmp_path) as executor:
        [outcome] = executor.submit([("no_such_thing", 0)]).result(PATIENCE_S)
    assert isinstance(outcome.error, AttributeError)
    assert "jobs.py" in str(outcome.error.__cause__)


def test_lines_are_logged_by_the_user(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), running(tmp_path) as executor:
        executor.submit([("speak", 7)]).result(PATIENCE_S)
    [record] = [record for record in caplog.records if record.name == "jobs"]
    said: Any = vars(record)
    assert (record.getMessage(), record.levelname, said["n"]) == ("look at 7", "WARNING", 1)
    assert "lock" in said["lock"]


def test_a_stride_has_an_end(tmp_path: Path) -> None:
    with running(tmp_path) as executor, pytest.raises(ValueError, match="65534 items at most"):
        executor.submit([("good", 0)] * (MOST_ITEMS + 1))


class Unreadable:
    """Cannot be read by who asked for it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def __reduce__(self) -> Any:
        return read_elsewhere, (self.pid,)


def read_elsewhere(pid: int) -> None:
    raise MemoryError(f"made by {pid}")


def test_a_result_that_cannot_be_read_costs_itself() -> None:
    executor = processes(Calling(lambda item: Unreadable(1) if item == 1 else item), 1)
    executor.setup()
    try:
        outcomes = executor.submit([0, 1, 2]).result(PATIENCE_S)
        assert [outcome.value for outcome in outcomes] == [0, None, 2]
        assert "the result cannot be read here: MemoryError: made by 1" in str(outcomes[1].error)
        assert executor.submit([3]).result(PATIENCE_S)[0].value == 3
    finally:
        executor.close()


class Fails:
    """A listener with a bug, or without memory, the first time."""

    def __init__(self) -> None:
        self.told = 0

    def part(self, at: int, value: Any, size: int) -> None:
        self.told += 1
        if self.told == 1:
            raise MemoryError

    def outcome(self, at: int, outcome: Outcome) -> None:
        pass


def test_a_listener_that_fails_ends_no_executor(caplog: pytest.LogCaptureFixture) -> None:
    executor = processes(works.Sends, 1)
    executor.setup()
    try:
        outcomes = executor.submit([3, 0], Fails()).result(PATIENCE_S)
        assert shown(outcomes)[1] == 0
        assert executor.submit([2]).result(PATIENCE_S)[0].value == 2
        assert "cannot be read (MemoryError)" in str(outcomes[0].error)
    finally:
        executor.close()
    assert "an answer of a pool worker cannot be read" in caplog.text


# -- memory that both map -------------------------------------------------------------------------------------


def blocks_mapped() -> int:
    return Path("/proc/self/maps").read_text().count("pypes-parcel")


@pytest.mark.skipif(sys.platform != "linux", reason="only /proc tells of mappings and descriptors")
def test_arrays_hold_no_descriptor_and_their_memory_goes_with_them(tmp_path: Path) -> None:
    gc.collect()
    before = blocks_mapped()
    with running(tmp_path) as executor:
        [first] = executor.submit([("fds", 0)]).result(PATIENCE_S)
        fds = len([*Path("/proc/self/fd").iterdir()])
        kept = [outcome.value for outcome in in_order(executor, (("block", number) for number in range(40)))]
        assert blocks_mapped() == before + 40
        assert len([*Path("/proc/self/fd").iterdir()]) == fds
        [last] = executor.submit([("fds", 0)]).result(PATIENCE_S)
        assert first.value == last.value
    assert [bytes(block.data[-1:]) for block in kept] == [b"%d" % (number % 10) for number in range(40)]
    kept[3].data[0] = 0  # it can be written to, as one that was copied can
    kept.clear()
    gc.collect()
    assert blocks_mapped() == before


def test_large_items_are_there_again_when_their_pool_worker_died() -> None:
    def size(block: Block) -> int:
        if len(block.data) == 3_000_000:
            import os

            os.abort()
        return len(block.data)

    executor = processes(Calling(size), 1)
    executor.setup()
    try:
        items = [Block(bytes(size)) for size in (1_000_000, 3_000_000, 2_000_000)]
        outcomes = executor.submit(items).result(PATIENCE_S)
    finally:
        executor.close()
    assert [outcome.value for outcome in outcomes] == [1_000_000, None, 2_000_000]


# -- users and owners -----------------------------------------------------------------------------------------


class Elsewhere:
    """A keeper as a user sees it whose pool workers others use, too: it neither starts nor ends them."""

    def __init__(self, keeper: LocalKeeper) -> None:
        self._keeper = keeper
        self.width = keeper.width
        self.losses: list[Loss] = []

    def setup(self) -> None:
        pass

    def connect(self, seat: int) -> Connection:
        return self._keeper.connect(seat)

    def lost(self, connection: Connection, fault: str = "") -> Loss:
        self.losses.append(self._keeper.lost(connection, fault))
        return self.losses[-1]

    def close(self) -> None:
        pass


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[LocalKeeper]:
    made = LocalKeeper(job(tmp_path), 1)
    made.setup()
    yield made
    made.close()


def test_several_users_share_pool_workers(keeper: LocalKeeper, tmp_path: Path) -> None:
    users = [ProcessExecutor(Elsewhere(keeper)) for _ in range(3)]
    for user in users:
        user.setup()
    try:
        out = [user.submit([("pid", number) for number in range(20)]) for user in users for _ in range(2)]
        pids = {pid for future in out for _, pid in shown(future.result(PATIENCE_S))}
        assert len(pids) == 1
    finally:
        for user in users:
            user.close()


def test_the_item_of_one_user_costs_the_others_nothing(keeper: LocalKeeper, tmp_path: Path) -> None:
    homes = [Elsewhere(keeper) for _ in range(3)]
    users = [ProcessExecutor(home) for home in homes]
    for user in users:
        user.setup()
    try:
        bad = users[0].submit([("good", 0), ("abort", 1), ("good", 2)])
        good = [user.submit([("good", number) for number in range(3, 6)]) for user in users[1:]]
        assert shown(bad.result(PATIENCE_S)) == [0, ("pool.killed", "killed by SIGABRT"), 2]
        for future in good:
            assert shown(future.result(PATIENCE_S)) == [3, 4, 5]
        assert begun(tmp_path).count(1) == 2
        # all of them heard of the same two ends, whoever asked first
        reasons = {(loss.reason, loss.in_hand and loss.in_hand.at) for home in homes for loss in home.losses}
        assert reasons == {("killed by SIGABRT", 1)}
    finally:
        for user in users:
            user.close()


def test_a_user_that_does_not_read_holds_up_nobody(keeper: LocalKeeper) -> None:
    connection = keeper.connect(0)
    stopped = PassingChannel(connection.sock, sys.maxsize)
    user = ProcessExecutor(Elsewhere(keeper))
    user.setup()
    try:
        for number in range(100):  # answers of six megabytes
            parcels.packed(number, [(0, 0, Pickled().speak(("large", number), []))]).send(stopped, pool_frames.STRIDE)
        assert shown(user.submit([("good", 1)]).result(PATIENCE_S)) == [1]
        for number in range(100):
            frame = stopped.read()
            while frame is not None and frame[0] != pool_frames.ANSWERS:
                frame = stopped.read()
            assert frame is not None
            found, answers = parcels.opened(stopped, frame[1])
            [(entry, answer)] = answers
            assert (found, entry.at, entry.kind, len(Pickled().understand(answer, []))) == (number, 0, pool_frames.DONE, 60_000)
    finally:
        user.close()
        stopped.close()


def test_a_stride_goes_where_nobody_is_at_work(tmp_path: Path) -> None:
    keeper = LocalKeeper(job(tmp_path), 2)
    keeper.setup()
    users = [ProcessExecutor(Elsewhere(keeper)) for _ in range(2)]
    for user in users:
        user.setup()
    try:
        until(lambda: all(seat.progress for user in users for seat in user._strides.seats), PATIENCE_S, "its progress is seen")
        long = users[0].submit([("waits", 0)])
        until((tmp_path / "waits").exists, PATIENCE_S, "it is begun")
        for number in range(3):
            assert shown(users[1].submit([("good", number)]).result(PATIENCE_S)) == [number]
        (tmp_path / "go").touch()
        assert shown(long.result(PATIENCE_S)) == [0]
    finally:
        for user in users:
            user.close()
        keeper.close()


def test_results_are_told_although_a_line_of_the_log_stands_behind_them() -> None:
    keeper = Scripted()
    executor = ProcessExecutor(keeper)
    executor.setup()
    try:
        future = executor.submit(["item"])
        keeper.worker.sock.sendall(answers_frame(keeper.next_stride(), ["result"]) + log_frame("on with the next one"))
        assert shown(future.result(PATIENCE_S)) == ["result"]
    finally:
        executor.close()


def test_another_interpreter(tmp_path: Path) -> None:
    """One that finds Pypes by itself, as an environment does in which it is installed."""
    venv.create(tmp_path / "venv", symlinks=True)
    python = tmp_path / "venv/bin/python"
    found = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], capture_output=True, text=True, check=True
    )
    places = (sysconfig.get_path("purelib"), str(Path(pypes.__file__).parents[1]))
    Path(found.stdout.strip(), "own.pth").write_text("\n".join(places))
    with running(tmp_path, bounds=Bounds(python=str(python))) as executor:
        outcomes = executor.submit([("interpreter", 0), ("good", 1)]).result(PATIENCE_S)
    assert shown(outcomes) == [str(tmp_path / "venv"), 1]


def test_an_interpreter_without_pypes_is_told_of(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    venv.create(tmp_path / "venv", symlinks=True)
    with pytest.raises(ComponentError, match="exited with status 1 at set-up"):
        executor_of(tmp_path, bounds=Bounds(python=str(tmp_path / "venv/bin/python")))
    assert "No module named 'pypes'" in capfd.readouterr().err
