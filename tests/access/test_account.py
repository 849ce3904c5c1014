"""What clients may still use, in one worker and in several."""

from __future__ import annotations

import random
from typing import Any

import pytest

from pypes.access.account import BURST_S, HOLD_S, LEASE_S, PROMPT, Account
from pypes.access.budget import Budget
from pypes.access.spending import Spending
from pypes.errors import OverBudget


class Time:
    """The seconds that the test says."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Node:
    """A token, and its accounts in as many workers as are asked for."""

    def __init__(self, workers: int = 1, **budget: float) -> None:
        self.time = Time()
        self.spending = Spending()
        self.budget = Budget(**budget)
        self.workers = [self.worker() for _ in range(workers)]

    def worker(self) -> Account:
        return Account("t", self.spending, 7, self.budget, clock=self.time)

    def passed(self, requests: int, **more: Any) -> int:
        """How many of so many requests pass now, those of workers in turn."""
        return sum(self.workers[n % len(self.workers)].charge(more.get("size", 0)) is None for n in range(requests))


def refusal(account: Account, size: int = 0, documents: int = 0) -> OverBudget:
    over = account.charge(size, documents)
    assert over is not None
    return over


def test_without_a_budget_nothing_is_asked() -> None:
    for account in (Account(), Account("t", Spending(), 1), Account("t", Spending(), 1, Budget(requests_per_s=0))):
        assert not account.is_charged
    assert Account("t", Spending(), 1, Budget(bytes_per_s=5)).is_charged


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("rate", [1, 3, 50, 999])
def test_a_burst_passes_and_then_what_comes_back(workers: int, rate: int) -> None:
    node = Node(workers, requests_per_s=rate)
    assert node.passed(3 * rate) == BURST_S * rate
    node.time.now += 1
    assert node.passed(3 * rate) == rate
    node.time.now += 100
    assert node.passed(3 * rate) == BURST_S * rate


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_of_a_large_budget_a_worker_takes_ahead(workers: int) -> None:
    rate = 20_000
    node = Node(workers, requests_per_s=rate)
    used = 0.0
    for _ in range(300):
        used += node.passed(500)  # 50,000 a second
        node.time.now += 0.01
    # what others have taken ahead may be refused to one
    assert (BURST_S + 2.99 - workers * LEASE_S) * rate - 1 <= used <= (BURST_S + 2.99) * rate + 1


def test_a_slow_client_of_a_large_budget_is_never_refused() -> None:
    """What a worker has taken and not used does not go."""
    node = Node(2, requests_per_s=1000)
    for _ in range(2000):
        assert node.passed(2) == 2
        node.time.now += 1 / 450


@pytest.mark.parametrize("seed", range(20))
def test_no_more_passes_than_the_budget_whatever_comes_and_dies(seed: int) -> None:
    generator = random.Random(seed)
    rate = generator.choice([0.5, 7, 200, 5000, 1e6])
    node = Node(generator.randint(1, 4), bytes_per_s=rate)
    most = max(1, int(rate * BURST_S))
    passed: list[tuple[float, int]] = []
    for _ in range(2000):
        node.time.now += generator.expovariate(20)
        size = generator.randint(1, most)
        place = generator.randrange(len(node.workers))
        if generator.random() < 0.02:
            node.workers[place] = node.worker()  # one was killed, another one is there
        if node.workers[place].charge(size) is None:
            passed.append((node.time.now, size))
    for first in range(0, len(passed), 7):
        total = 0
        for at, size in passed[first:]:
            total += size
            worth_s = BURST_S + at - passed[first][0] + len(node.workers) * LEASE_S
            assert total <= rate * (worth_s + 1e-3)


def test_a_killed_worker_takes_what_it_had_taken_ahead_and_no_more() -> None:
    node = Node(requests_per_s=5000)
    assert node.workers[0].charge(0) is None
    node.workers[0] = node.worker()
    assert node.passed(20_000) >= (BURST_S - LEASE_S) * 5000 - 2


@pytest.mark.parametrize("rate", [0.001, 0.3, 1, 12, 700, 30_000])
def test_who_keeps_to_the_time_passes_and_not_earlier(rate: float) -> None:
    node = Node(2, requests_per_s=rate)
    for account in node.workers:
        while account.charge(0) is None:
            pass
    for account in node.workers:
        over = refusal(account)
        assert over.retry_after_s <= max(BURST_S, 1 / rate) + 1e-6
        node.time.now += 0.9 * over.retry_after_s
        again = refusal(account)
        assert again.retry_after_s == pytest.approx(0.1 * over.retry_after_s, abs=1e-5)
        node.time.now += again.retry_after_s
        assert account.charge(0) is None


def test_a_refusal_says_whose_and_which() -> None:
    node = Node(requests_per_s=2, bytes_per_s=100)
    [account] = node.workers
    assert account.charge(150) is None
    over = refusal(account, 150)
    assert (over.code, over.where, over.limit) == ("budget.exceeded", "t", "bytes_per_s")
    assert "'t'" in over.message
    assert "100 bytes of bodies a second" in over.message
    assert over.retry_after_s == pytest.approx(1.0)
    for _ in range(3):
        assert account.charge(1) is None
    over = refusal(account, 1)
    assert over.limit == "requests_per_s"
    assert over.retry_after_s == pytest.approx(0.5)
    everyone = Account("", node.spending, 0, Budget(requests_per_s=0.001), clock=node.time)
    assert everyone.charge(0) is None
    assert "the clients of this node are over" in refusal(everyone).message


def test_a_refusal_takes_nothing() -> None:
    node = Node(2, requests_per_s=1000, bytes_per_s=1000)
    assert node.passed(1, size=1900) == 1
    for account in node.workers * 300:
        refusal(account, 200)
    assert node.passed(5000) == BURST_S * 1000 - 1


def test_a_body_longer_than_a_burst_passes_alone_and_is_paid_for() -> None:
    node = Node(2, bytes_per_s=100)
    first, second = node.workers
    assert first.charge(10) is None
    assert refusal(second, 1000).retry_after_s == pytest.approx(0.1)
    node.time.now += 0.1
    assert second.charge(1000) is None
    assert refusal(first, 1).retry_after_s == pytest.approx(8.01)
    # what has no body is no matter of bytes
    assert first.charge(0) is None
    node.time.now += 10
    assert first.charge(200) is None


def test_a_body_that_comes_in_pieces_is_taken_as_it_comes() -> None:
    node = Node(bytes_per_s=100)
    [account] = node.workers
    for before in (0, 80):
        assert account.charge_more(80, before) is None
    over = account.charge_more(80, 160)
    assert over is not None
    # the whole of it comes again, or as much of it as ever passes
    assert over.retry_after_s == pytest.approx(1.6)
    assert "without Content-Length it may have 200 bytes" in over.message
    node.time.now += 1.6
    assert account.charge(200) is None


def test_documents_that_are_found_later_are_owed() -> None:
    node = Node(2, documents_per_s=10)
    first, second = node.workers
    assert first.charge(5, 1) is None
    first.owe(100)
    assert refusal(second, 5, 1).limit == "documents_per_s"
    assert refusal(second, 5, 1).retry_after_s == pytest.approx(8.1)
    # what is no document
    assert second.charge(5) is None


def test_another_budget_holds_at_once_and_forgives_what_is_owed_for_long() -> None:
    node = Node(2, bytes_per_s=1, requests_per_s=5)
    first, second = node.workers
    assert node.passed(10) == 10
    assert first.charge_more(1000, 0) is None
    node.time.now += 1
    assert refusal(second, 1).retry_after_s > 900
    for account in node.workers:
        account.change(Budget(bytes_per_s=100, requests_per_s=5))
    assert refusal(second, 1).retry_after_s < BURST_S
    node.time.now += BURST_S
    assert second.charge(200) is None
    # a number that is the same goes on as it was
    first.charge(0)
    for account in node.workers:
        account.change(Budget(bytes_per_s=100, requests_per_s=5))
    assert refusal(second, 100).limit == "bytes_per_s"
    for account in node.workers:
        account.change(Budget())
        assert not account.is_charged


def test_a_worker_that_begins_forgives_nothing() -> None:
    node = Node(bytes_per_s=1)
    assert node.workers[0].charge(1000) is None
    assert refusal(node.worker(), 1).retry_after_s > 900


def test_who_does_not_wait_is_answered_late() -> None:
    node = Node(requests_per_s=0.001)
    [account] = node.workers
    assert account.charge(0) is None
    held = [refusal(account).hold_s for _ in range(PROMPT + 5)]
    assert held == [0.0] * PROMPT + [HOLD_S] * 5
    node.time.now += 1
    assert refusal(account).hold_s == 0.0


def test_one_of_many_has_half_of_what_all_share() -> None:
    many, own = Account("t", is_one_of_many=True), Account("admin")
    assert [(many.part(whole), own.part(whole)) for whole in (1, 5, 100)] == [(1, 1), (2, 5), (50, 100)]
    many.under_way = 5
    assert [many.is_crowded(10), many.is_crowded(12), own.is_crowded(1)] == [True, False, False]
    error = many.too_many()
    assert (error.code, error.limit, error.where) == ("token.connections", "connections", "t")
