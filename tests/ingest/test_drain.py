import asyncio

import pytest

from pypes.core.limits import Limits
from pypes.errors import QueueFull
from pypes.ingest.delivery import Header
from pypes.ingest.drain import DrainRate
from pypes.ingest.memory import MemoryQueue


def test_the_wait_is_what_the_drain_takes() -> None:
    rate = DrainRate(100.0)
    for n in range(1, 401):  # 20 deliveries of 1,000 bytes per second
        rate.add(1000, 100 + n / 20)
    assert rate.rates(120) == (pytest.approx(20, rel=0.01), pytest.approx(20_000, rel=0.01))
    assert rate.retry_after_s(100, 0, 120) == pytest.approx(5, rel=0.01)
    assert rate.retry_after_s(0, 400_000, 120) == pytest.approx(20, rel=0.01)
    assert rate.retry_after_s(100, 400_000, 120) == pytest.approx(20, rel=0.01)


def test_the_wait_is_bounded() -> None:
    rate = DrainRate(0.0)
    assert rate.retry_after_s(1, 0, 10) == 30
    for n in range(1, 11):
        rate.add(1, 10 + n / 10)
    assert rate.retry_after_s(1, 0, 11) == 1
    assert rate.retry_after_s(1_000_000, 0, 11) == 30


def test_a_young_rate_is_not_a_slow_one() -> None:
    rate = DrainRate(0.0)
    for n in range(1, 101):
        rate.add(10, n / 100)
    assert rate.rates(1.0)[0] == pytest.approx(100, rel=0.02)


def test_a_drain_that_stops_is_forgotten() -> None:
    rate = DrainRate(0.0)
    for n in range(1, 101):
        rate.add(10, n / 100)
    assert rate.rates(200.0)[0] < 0.01
    assert rate.retry_after_s(1, 0, 200.0) == 30


def test_a_clock_that_goes_back_does_no_harm() -> None:
    rate = DrainRate(1000.0)
    for n in range(1, 101):
        rate.add(10, 500 + n / 10)
    assert rate.rates(510)[0] == pytest.approx(10, rel=0.3)


def test_bulk_leaves_room_for_what_is_live() -> None:
    async def main() -> None:
        queue = MemoryQueue(limits=Limits(queue_max_deliveries=10))
        for _ in range(9):
            await queue.append(Header("g", is_bulk=True), b"x")
        with pytest.raises(QueueFull) as caught:
            queue.append(Header("g", is_bulk=True), b"x")
        assert caught.value.retry_after_s == 30
        await queue.append(Header("g"), b"x")
        assert (queue.stats().deliveries, queue.stats().bulk_deliveries, queue.stats().bulk_bytes) == (10, 9, 9)

    asyncio.run(main())
