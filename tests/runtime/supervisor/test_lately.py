"""The last minute of a node: changes of what is counted, refused posts, and the memory of processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pypes.observe import metrics as m
from pypes.observe.gathering import Gathering
from pypes.runtime.contracts.supervisor import (
    FilterWork,
    Lately,
    OverBudget,
    PoolStatus,
    PoolWorkerStatus,
    ProcessStatus,
    Refused,
)
from pypes.runtime.supervisor.lately import EVERY_S, LatelySeen
from pypes.runtime.supervisor.picture import with_counts
from tests.runtime.supervisor.test_tallying import graph_of, node_of


class Setting:
    """A node of which the test tells the time, the counts and the memory."""

    def __init__(self, folder: Path) -> None:
        self.now_s = 100.0
        self.memory = 10
        self.busy = 1
        self.gathering = Gathering()
        self.seen = LatelySeen(self.gathering, folder, self.processes, self.pools, lambda: self.now_s)

    def processes(self) -> list[ProcessStatus]:
        return [ProcessStatus("instance-1", 7, self.memory, 0.0, 1)]

    def pools(self) -> list[PoolStatus]:
        workers = [PoolWorkerStatus(number, number < self.busy) for number in range(2)]
        return [PoolStatus("models", "ready", [], workers, 0), PoolStatus("gone", "stalled", [], [], 2)]

    def took(self, packets: int) -> None:
        self.gathering.own.counter(m.FILTER_IN, "g", "filter-0").add(packets)

    def refused(self, status: str, code: str, route: str = "") -> None:
        self.gathering.own.counter(m.POSTS_REFUSED, status, code, route).add()

    def lately(self) -> Lately:
        graphs = {"g": graph_of(1)}
        found = self.seen.add_to(with_counts(node_of(graphs), self.gathering, graphs)).lately
        assert found is not None
        return found


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    return Setting(tmp_path)


def test_nothing_is_known_before_the_first_look(setting: Setting) -> None:
    assert setting.seen.add_to(node_of(["g"])).lately is None


def test_only_what_came_within_the_last_minute_counts(setting: Setting) -> None:
    for number in range(12):
        setting.seen.look()
        setting.took(1)
        setting.now_s += EVERY_S
        assert setting.lately().work["g"] == {"filter-0": FilterWork(packets_in=min(number + 1, 7))}
    assert setting.lately().seconds == 70.0


def test_posts_that_were_refused_are_counted_by_reason_and_route(setting: Setting) -> None:
    setting.refused("507", "store.full")
    setting.refused("429", "queue.full")
    setting.seen.look()
    for route in ("", "shop", ""):
        setting.refused("507", "store.full", route)
    assert setting.lately().refused == [Refused("507", "store.full", "", 2), Refused("507", "store.full", "shop", 1)]


def test_requests_over_a_budget_are_counted_by_token(setting: Setting) -> None:
    def over(token: str, budget: str) -> None:
        setting.gathering.own.counter(m.OVER_BUDGET, token, budget).add()

    over("a", "bytes_per_s")
    setting.seen.look()
    for token, budget in (("b", "requests_per_s"), ("a", "bytes_per_s"), ("b", "requests_per_s")):
        over(token, budget)
    assert setting.lately().over_budget == [OverBudget("b", "requests_per_s", 2), OverBudget("a", "bytes_per_s", 1)]


def test_a_graph_that_is_gone_is_not_shown(setting: Setting) -> None:
    setting.seen.look()
    setting.gathering.own.counter(m.FILTER_IN, "gone", "filter-0").add(5)
    assert setting.lately().work == {"g": {}}


def test_processes_have_the_memory_that_they_had(setting: Setting) -> None:
    for _ in range(3):
        setting.seen.look()
        setting.memory += 5
        setting.now_s += EVERY_S
    known, new = ProcessStatus("instance-1", 7, 30, 0.0, 1), ProcessStatus("instance-2", 8, 30, 0.0, 1)
    shown = setting.seen.add_to(node_of(["g"], processes=[known, new])).processes
    assert [each.memory_before for each in shown] == [[10, 15, 20], []]


def test_pools_have_the_share_of_time_in_which_they_were_busy(setting: Setting) -> None:
    for setting.busy in (0, 1, 2, 2):
        setting.seen.look()
    found = setting.seen.add_to(node_of(["g"], pools=[*setting.pools(), PoolStatus("new", "ready", [], [], 0)])).pools
    assert [(each.name, each.busy_lately) for each in found] == [("models", 0.625), ("gone", 0.0), ("new", 0.0)]
