"""The budget of what is being received: shared, waited for in turn, refused in time."""

from __future__ import annotations

import asyncio

import pytest

from pypes.access.account import Account
from pypes.api.memory import Memory
from pypes.errors import QueueFull


def test_one_body_alone_may_take_more_than_there_is() -> None:
    async def scenario() -> None:
        memory = Memory(100)
        with memory.share() as share:
            await share.hold(1000)
            assert memory.held_bytes == 1000
            await share.hold(10)
            assert memory.held_bytes == 10
        assert memory.held_bytes == 0

    asyncio.run(scenario())


def test_what_does_not_fit_waits_in_turn() -> None:
    async def scenario() -> None:
        memory = Memory(100, wait_s=60)
        served: list[int] = []

        async def body(number: int, size: int, end: asyncio.Event) -> None:
            with memory.share() as share:
                await share.hold(size)
                served.append(number)
                await end.wait()

        ends = [asyncio.Event() for _ in range(4)]
        # the last would fit at once, but may not overtake
        tasks = [asyncio.create_task(body(n, size, ends[n])) for n, size in enumerate((80, 70, 30, 10))]
        for _ in range(5):
            await asyncio.sleep(0)
        assert served == [0]
        ends[0].set()
        await tasks[0]
        for _ in range(5):
            await asyncio.sleep(0)
        assert served == [0, 1, 2]
        assert memory.held_bytes == 100
        # who gives up lets those behind it go on
        ends[1].set()
        ends[2].set()
        ends[3].set()
        await asyncio.gather(*tasks)
        assert served == [0, 1, 2, 3]
        assert memory.held_bytes == 0

    asyncio.run(scenario())


def test_what_waits_too_long_is_refused() -> None:
    async def scenario() -> None:
        memory = Memory(100, wait_s=0.01)
        with memory.share() as first, memory.share() as second:
            await first.hold(60)
            await second.hold(40)
            with pytest.raises(QueueFull) as caught:
                await second.hold(50)
            assert caught.value.code == "receiving.full"
            assert memory.held_bytes == 100
            await second.hold(20)
            await first.hold(80)
        assert memory.held_bytes == 0

    asyncio.run(scenario())


def test_bodies_that_wait_for_each_other_end_from_the_oldest_on() -> None:
    async def scenario() -> None:
        memory = Memory(100, wait_s=60)
        ended: list[int] = []
        most = 0

        async def body(number: int) -> None:
            nonlocal most
            with memory.share() as share:
                for size in range(10, 81, 10):
                    await share.hold(size)
                    most = max(most, memory.held_bytes)
                    await asyncio.sleep(0)
                ended.append(number)

        async with asyncio.timeout(20):
            await asyncio.gather(*(body(number) for number in range(9)))
        assert ended == list(range(9))
        assert most <= 180
        assert memory.held_bytes == 0

    asyncio.run(scenario())


def test_a_client_that_goes_away_while_it_waits_takes_nothing() -> None:
    async def scenario() -> None:
        memory = Memory(100, wait_s=60)
        with memory.share() as first:
            await first.hold(100)
            second, third = memory.share(), memory.share()
            gone = asyncio.create_task(second.hold(90))
            waiting = asyncio.create_task(third.hold(20))
            await asyncio.sleep(0)
            gone.cancel()
            with pytest.raises(asyncio.CancelledError):
                await gone
            await first.hold(80)
            await waiting
            assert (memory.held_bytes, second.held_bytes, third.held_bytes) == (100, 0, 20)

    asyncio.run(scenario())


def test_one_of_many_clients_has_half_and_others_do_not_wait_for_it() -> None:
    async def scenario() -> None:
        memory = Memory(100, wait_s=60)
        greedy, polite = (Account(name, is_one_of_many=True) for name in ("greedy", "polite"))
        with memory.share(greedy) as first, memory.share(greedy) as second, memory.share(polite) as third:
            await first.hold(40)
            waiting = asyncio.create_task(second.hold(20))
            await asyncio.sleep(0)
            # younger, and past the one that waits for its own client
            await third.hold(45)
            # the oldest of a client gets what it needs
            await first.hold(55)
            assert memory.held_bytes == 100
            await first.hold(30)
            await waiting
            assert (first.held_bytes, second.held_bytes, third.held_bytes) == (30, 20, 45)
            # what nobody owns is bounded by the whole alone
            with memory.share() as fourth:
                await fourth.hold(5)
        assert memory.held_bytes == 0
        with memory.share(greedy) as alone:
            await alone.hold(1000)
        assert (memory.held_bytes, memory._of_owner, memory._owners) == (0, {}, {})

    asyncio.run(scenario())


def test_the_node_s_own_token_has_all() -> None:
    async def scenario() -> None:
        memory, own = Memory(100, wait_s=60), Account("admin")
        with memory.share(own) as first, memory.share(own) as second:
            await first.hold(60)
            await second.hold(40)

    asyncio.run(scenario())
