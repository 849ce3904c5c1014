import asyncio

import pytest

from pypes.core.limits import Limits
from pypes.errors import QueueFull
from pypes.ingest.delivery import Header
from pypes.ingest.queues.drain import DrainRate
from tests.ingest.memory.queue import MemoryQueue


def draining(per_second: int, size: int, seconds: float, since: float = 0.0) -> DrainRate:
    """A rate that was shown a steady drain every tenth of a second."""
    rate = DrainRate(since)
    for tenth in range(int(seconds * 10) + 1):
        rate.show(per_second * tenth // 10, per_second * size * tenth // 10, since + tenth / 10)
    return rate


def test_the_wait_is_what_the_drain_takes() -> None:
    rate = draining(20, 1000, 20)
    assert rate.rates == pytest.approx((20, 20_000), rel=0.01)
    assert rate.retry_after_s(100, 0) == pytest.approx(5, rel=0.01)
    assert rate.retry_after_s(0, 400_000) == pytest.approx(20, rel=0.01)
    assert rate.retry_after_s(100, 400_000) == pytest.approx(20, rel=0.01)


def test_the_wait_is_bounded() -> None:
    rate = draining(10, 1, 100)
    assert rate.retry_after_s(1, 0) == 1
    assert rate.retry_after_s(1_000_000, 0) == pytest.approx(30, abs=0.01)


def test_no_long_wait_is_promised_before_the_drain_was_looked_at() -> None:
    rate = DrainRate(0.0)
    assert rate.retry_after_s(1, 0) == 1
    rate.show(0, 0, 1.0)
    assert 1 < rate.retry_after_s(1, 0) < 5


def test_a_young_rate_is_not_a_slow_one() -> None:
    assert draining(100, 10, 0.6).rates[0] == pytest.approx(100, rel=0.02)


def test_a_drain_that_stops_is_forgotten() -> None:
    rate = draining(100, 10, 5)
    rate.show(500, 5000, 200.0)
    assert rate.rates[0] < 0.01
    assert rate.retry_after_s(1, 0) == pytest.approx(30, abs=0.01)


def test_a_clock_that_goes_back_does_no_harm() -> None:
    rate = draining(10, 10, 10, since=1000.0)
    for tenth in range(100):
        rate.show(100 + tenth, 10 * (100 + tenth), 500 + tenth / 10)
    assert rate.rates[0] == pytest.approx(10, rel=0.01)


def test_bulk_leaves_room_for_what_is_live() -> None:
    async def main() -> None:
        queue = MemoryQueue(limits=Limits(queue_max_deliveries=10))
        for _ in range(9):
            await queue.intake.append(Header("g", is_bulk=True), b"x")
        with pytest.raises(QueueFull) as caught:
            queue.intake.append(Header("g", is_bulk=True), b"x")
        assert caught.value.retry_after_s == 1
        await queue.intake.append(Header("g"), b"x")
        assert (queue.stats().deliveries, queue.stats().bulk_deliveries, queue.stats().bulk_bytes) == (10, 9, 9)

    asyncio.run(main())
