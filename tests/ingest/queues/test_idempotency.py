"""Idempotency keys, of every queue."""

import asyncio
from collections.abc import Callable

import pytest

from pypes.errors import Conflict, QueueFull
from pypes.ingest.contracts.intake import Key
from pypes.ingest.contracts.queue import Queue
from pypes.ingest.outcome import Outcome
from tests.ingest.harness import header, take


def test_a_key_gives_the_same_receipt_and_nothing_twice(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        key = Key("POST a", b"digest")
        together = await asyncio.gather(*[queue.intake.append(header(), b"x", None, key) for _ in range(20)])
        assert len(set(together)) == 1
        assert await queue.intake.append(header(), b"x", None, key) == together[0]
        other = await queue.intake.append(header(), b"x", None, Key("POST b", b"digest"))
        assert other != together[0]
        assert queue.stats().deliveries == 2
        for lease in await take(queue, 2):
            queue.leasing.ack(lease, Outcome(1))
            await queue.leasing.settled()
        assert await queue.intake.append(header(), b"x", None, key) == together[0]
        with pytest.raises(Conflict) as caught:
            await queue.intake.append(header(), b"y", None, Key("POST a", b"another"))
        assert caught.value.code == "idempotency.mismatch"
        assert queue.stats().deliveries == 0

    play(scenario)


def test_a_refused_append_frees_its_key(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        await queue.intake.append(header(), b"x")
        with pytest.raises(QueueFull):
            await queue.intake.append(header(), b"y", None, Key("k", b"1"))
        (lease,) = await take(queue)
        queue.leasing.ack(lease, Outcome(1))
        await queue.leasing.settled()
        assert await queue.intake.append(header(), b"y", None, Key("k", b"1"))

    play(scenario, queue_max_deliveries=1)


def test_one_who_hangs_up_takes_the_answer_from_nobody(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        key = Key("k", b"1")
        first = queue.intake.append(header(), b"x", None, key)
        second = queue.intake.append(header(), b"x", None, key)
        first.cancel()
        assert await second
        assert queue.stats().deliveries == 1

    play(scenario)
