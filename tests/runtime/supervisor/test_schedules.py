"""Schedules under a clock that the test moves, on a real store that is opened anew for each restart."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from pypes.errors import Unavailable
from pypes.runtime.graphs.deployer import Deployer
from pypes.runtime.graphs.store import ControlStore, StoredGraph
from pypes.runtime.supervisor.schedules import LATE_S, RETRY_S, SLEEP_S, Schedules

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC).timestamp()


class Deployed:
    """The part of the deployer that schedules ask."""

    def __init__(self, **graphs: dict[str, Any]) -> None:
        self.live = {name: StoredGraph(name, 1, graph, 0.0) for name, graph in graphs.items()}
        self.failed: dict[str, Any] = {}
        self.paused: set[str] = set()
        self.closing: set[str] = set()


class Node:
    """A node as far as schedules go; ``fired`` outlives its restarts, as what a worker has stored does."""

    def __init__(self, path: Path, **graphs: dict[str, Any]) -> None:
        self.path = path / "control.db"
        self.now = NOON + 30
        self.fired: list[tuple[str, float]] = []
        self.is_reachable = True
        #: True: the node dies when the worker has stored the wish, before the supervisor knows.
        self.dies = False
        self.deployed = Deployed(**graphs)
        self.store = ControlStore(self.path)
        self._begin()

    def _begin(self) -> None:
        deployer = cast(Deployer, self.deployed)
        self.schedules = Schedules(self.store, deployer, self._fire, clock=lambda: self.now)

    async def _fire(self, graph: str, at: float) -> None:
        if not self.is_reachable:
            raise Unavailable("nobody there")
        if (graph, at) not in self.fired:  # a worker knows a time again
            self.fired.append((graph, at))
        if self.dies:
            raise Died

    def restart(self) -> None:
        self.store.close()
        self.store = ControlStore(self.path)
        self._begin()

    def tick(self, seconds: float = 0.0) -> float:
        self.now += seconds
        return asyncio.run(self.schedules.tick())

    def times(self) -> list[float]:
        """When it fired, in minutes after noon."""
        return [(at - NOON) / 60 for _, at in self.fired]


class Died(BaseException):
    pass


EVERY_FIVE = {"schedule": "*/5 * * * *"}


@pytest.mark.parametrize("step_s", [7.0, 30.0, 60.0])
def test_each_time_once(tmp_path: Path, step_s: float) -> None:
    node = Node(tmp_path, g=EVERY_FIVE)
    while node.now < NOON + 1200:
        node.tick(step_s)
    assert node.times() == [5, 10, 15, 20][: len(node.times())]
    assert len(node.times()) >= 3


def test_it_sleeps_until_the_next_time(tmp_path: Path) -> None:
    node = Node(tmp_path, g=EVERY_FIVE)
    assert node.tick() == SLEEP_S
    assert node.tick(250) == 20
    assert node.tick(20) == SLEEP_S
    assert node.times() == [5]
    del node.deployed.live["g"]
    assert node.tick() == SLEEP_S


def test_a_restart_neither_repeats_nor_forgets(tmp_path: Path) -> None:
    node = Node(tmp_path, g=EVERY_FIVE)
    node.tick()
    node.tick(280)
    for _ in range(3):
        node.restart()
        node.tick(1)
    assert node.times() == [5]
    node.restart()
    node.tick(300)
    assert node.times() == [5, 10]


@pytest.mark.parametrize(("policy", "times"), [({}, [20]), ({"missed": "once"}, [20]), ({"missed": "skip"}, [])])
def test_what_was_missed(tmp_path: Path, policy: dict[str, Any], times: list[float]) -> None:
    node = Node(tmp_path, g={**EVERY_FIVE, **policy})
    node.tick()
    node.restart()
    node.tick(1200 + LATE_S)
    node.tick(1)
    assert node.times() == times
    node.restart()
    node.tick(240)
    assert node.times() == [*times, 25]


def test_a_crash_before_it_is_known_that_it_fired(tmp_path: Path) -> None:
    node = Node(tmp_path, g=EVERY_FIVE)
    node.tick()
    node.dies = True
    with pytest.raises(Died):
        node.tick(280)
    node.dies = False
    node.restart()
    node.tick(1)
    assert node.times() == [5]


def test_a_worker_that_cannot_be_reached_is_asked_again(tmp_path: Path) -> None:
    node = Node(tmp_path, g=EVERY_FIVE)
    node.tick()
    node.is_reachable = False
    assert node.tick(280) == RETRY_S
    node.is_reachable = True
    node.tick(RETRY_S)
    assert node.times() == [5]


def test_a_new_schedule_has_no_past(tmp_path: Path) -> None:
    node = Node(tmp_path, g=EVERY_FIVE)
    node.tick()
    node.deployed.live["g"] = StoredGraph("g", 2, {"schedule": "*/2 * * * *"}, 0.0)
    node.tick(150)  # 12:03:00
    assert node.times() == []
    node.tick(60)
    assert node.times() == [4]


def test_a_paused_graph_has_missed_its_times(tmp_path: Path) -> None:
    node = Node(tmp_path, g=EVERY_FIVE, s={**EVERY_FIVE, "missed": "skip"})
    node.tick()
    node.deployed.paused |= {"g", "s"}
    node.tick(600)
    assert node.fired == []
    node.deployed.paused.clear()
    node.tick(90)
    assert node.fired == [("g", NOON + 600)]


def test_a_deleted_graph_is_forgotten(tmp_path: Path) -> None:
    node = Node(tmp_path, g=EVERY_FIVE)
    node.tick()
    assert node.store.fired("g") is not None
    node.store.undeploy("g")
    assert node.store.fired("g") is None


def test_it_runs_when_it_is_woken(tmp_path: Path) -> None:
    async def main() -> None:
        node = Node(tmp_path)
        running = asyncio.create_task(node.schedules.run())
        node.deployed.live["g"] = StoredGraph("g", 1, EVERY_FIVE, 0.0)
        for now, count in ((NOON + 30, 0), (NOON + 310, 1)):
            node.now = now
            async with asyncio.timeout(10):
                while len(node.fired) < count or node.store.fired("g") is None:
                    node.schedules.wake()
                    await asyncio.sleep(0)
        running.cancel()
        assert node.times() == [5]

    asyncio.run(main())


@pytest.mark.parametrize("restarts", [False, True], ids=["running", "restarted while it was wrong"])
@pytest.mark.parametrize("wrong_s", [40.0, 3 * 3600.0], ids=["for 40 s", "for hours"])
def test_a_clock_that_was_a_day_ahead_silences_no_schedule(tmp_path: Path, wrong_s: float, restarts: bool) -> None:
    node = Node(tmp_path, g={"schedule": "* * * * *"})
    node.tick(30)
    node.now += 86_400.0
    for _ in range(4):
        node.tick(wrong_s / 4)
    if restarts:
        node.restart()
    node.tick()
    node.now -= 86_400.0
    right = node.now
    node.fired.clear()
    for _ in range(8):
        node.tick(15)
    assert [at for _, at in node.fired] == [right - right % 60 + 60, right - right % 60 + 120]


def test_a_clock_that_is_set_back_a_little_repeats_nothing(tmp_path: Path) -> None:
    node = Node(tmp_path, g={"schedule": "* * * * *"})
    node.tick()
    node.tick(30)
    assert node.times() == [1]
    node.tick(-20)
    node.tick(25)
    assert node.times() == [1]
    node.tick(60)
    assert node.times() == [1, 2]


def test_a_daily_schedule_runs_on_the_day_that_was_shown_too_early(tmp_path: Path) -> None:
    node = Node(tmp_path, g={"schedule": "0 15 * * *", "missed": "skip"})
    node.tick()
    node.tick(86_400.0 + 3 * 3600)  # tomorrow afternoon, it seems
    node.tick(-86_400.0)
    node.fired.clear()
    for _ in range(2 * 24 * 4):
        node.tick(15 * 60)
    assert node.times() == [(24 + 3) * 60, (48 + 3) * 60]
