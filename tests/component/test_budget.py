"""Budgets that all instances of a filter share."""

from __future__ import annotations

import pytest

from pypes.component import Changes
from pypes.component.budget import DAY_S, MINUTE_S, Bound, Budget
from pypes.component.store import MemoryStore


class Node:
    """Some instances of a filter that share a store, and a clock."""

    def __init__(self, **bounds: Bound) -> None:
        self.budget = Budget(bounds)
        self.entries: dict[str, bytes] = {}
        self.now_s = 1e9

    def take(self, **wanted: int) -> float:
        taken = self.budget.take(self.entries, self.now_s, wanted)
        self.entries |= taken.entries
        return taken.wait_s

    def settle(self, **more: int) -> None:
        self.entries |= self.budget.settle(self.entries, self.now_s, more)

    def pause(self, seconds: float) -> None:
        self.entries |= self.budget.pause(self.entries, self.now_s, seconds)


def test_an_even_bound_comes_back_little_by_little() -> None:
    node = Node(requests=Bound(60), tokens=Bound(6000))
    assert [node.take(requests=1, tokens=50) for _ in range(60)] == [0] * 60
    assert node.take(requests=1, tokens=1) == node.take(requests=1, tokens=1) == 1.0
    node.now_s += 1
    assert node.take(requests=1, tokens=1) == 0
    assert node.take(requests=1, tokens=1) == 1.0
    node.now_s += 600
    assert node.take(requests=1, tokens=5900) == 0
    assert node.take(requests=1, tokens=1000) == pytest.approx(9.0)
    node.settle(tokens=-900)
    assert node.take(requests=1, tokens=1000) == 0


def test_another_bound_comes_back_as_a_whole() -> None:
    node = Node(per_minute=Bound(3, MINUTE_S, is_even=False), per_day=Bound(6, DAY_S, is_even=False))
    both = {"per_minute": 1, "per_day": 1}
    node.now_s = 90.0
    assert [node.take(**both) for _ in range(4)] == [0, 0, 0, 30.0]
    node.now_s = 119.0
    assert node.budget.take(node.entries, node.now_s, both) == ({}, 1.0, "per_minute")
    node.now_s = 120.0
    assert [node.take(**both) for _ in range(3)] == [0, 0, 0]
    node.now_s = 3600.0
    assert node.budget.take(node.entries, node.now_s, both) == ({}, DAY_S - 3600.0, "per_day")
    node.now_s = DAY_S
    assert node.take(**both) == 0


@pytest.mark.parametrize(("is_even", "wait_s"), [(True, 401 * 0.6), (False, 300.0 - 1e9 % 60)])
def test_more_than_a_period_has_waits_for_all_of_it(is_even: bool, wait_s: float) -> None:
    node = Node(tokens=Bound(100, is_even=is_even))
    assert node.take(tokens=500) == 0
    assert node.take(tokens=1) == pytest.approx(wait_s)
    node.now_s += 10_000
    assert node.take(tokens=1) == 0


def test_a_pause_is_kept_and_a_clock_that_is_set_back_does_no_harm() -> None:
    node = Node(requests=Bound(60), calls=Bound(9, is_even=False))
    node.pause(20)
    assert node.take(requests=1) == 20
    node.now_s += 20
    assert node.take(requests=1) == 0
    node.pause(1e12)
    assert node.take(requests=1) == 3600
    node.now_s -= 1e6
    assert node.take(requests=1) == 3600
    node.entries["budget"] = b"[]"
    assert node.take(requests=1) == 0


def test_without_bounds_only_a_pause_counts() -> None:
    node = Node(requests=Bound(0))
    assert not node.budget.is_bounded
    assert [node.take(requests=1000) for _ in range(3)] == [0] * 3
    node.pause(5)
    assert node.take(requests=1) == 5


def test_it_is_kept_in_a_store() -> None:
    store, waits = MemoryStore(), list[float]()
    for _ in range(2):
        budget = Budget({"requests": Bound(1)})

        def take(entries: object, budget: Budget = budget) -> Changes:
            taken = budget.take(entries, 1e9, {"requests": 1})  # type: ignore[arg-type]
            waits.append(taken.wait_s)
            return Changes(taken.entries)

        store.change(budget.keys, take)
    assert waits == [0.0, 60.0]
