"""What waits of each graph, and what became of its documents, from the shards of a node."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from pypes.errors import Unavailable
from pypes.ingest.contracts.queue import GraphUse, LaneUse
from pypes.runtime.worker.peers import Peers
from pypes.runtime.worker.queues import Queues
from tests.runtime.clock import Clock


class Shard:
    """One shard as it is asked; ``None`` while it cannot be."""

    def __init__(self) -> None:
        self.found: dict[str, GraphUse] | None = {}

    async def stats(self) -> None:
        return None

    async def uses(self) -> dict[str, GraphUse]:
        if self.found is None:
            raise Unavailable("it restarts")
        return self.found


class Shards:
    def __init__(self) -> None:
        self.all = [Shard(), Shard()]

    def numbers(self) -> list[int]:
        return [0, 1]

    def shard(self, number: int) -> Shard:
        return self.all[number]


def use(accepted: int = 0, published: int = 0, *, deliveries: int = 0, oldest_s: float = 0.0) -> GraphUse:
    lanes = {"live": LaneUse(deliveries, 10 * deliveries, 100 * deliveries, oldest_s)} if deliveries else {}
    return GraphUse(deliveries, 0, 0, 0, 0, 0, {}, accepted, published, 0, 0, lanes)


async def told(queues: Queues) -> list[tuple[tuple[str, ...], dict[str, Any]]]:
    events = await queues.step()
    assert all((event.number, event.kind) == (0, "queue") for event in events)
    return [(event.graphs, event.body) for event in events]


def test_shards_are_added_up_and_compared_with_the_second_before() -> None:
    async def play() -> None:
        shards, clock = Shards(), Clock()
        queues = Queues(cast("Peers", shards), lambda: "now", clock)
        shards.all[0].found = {"g": use(1000, 900), "idle": use(5, 5)}
        shards.all[1].found = {"g": use(10, 10)}
        # what was before is no rate
        assert await told(queues) == []
        clock.now += 2.0
        shards.all[0].found["g"] = use(1008, 902, deliveries=2, oldest_s=1.5)
        shards.all[1].found["g"] = use(14, 11, deliveries=1, oldest_s=7.0)
        body = {
            "time": "now",
            "graph": "g",
            "seconds": 2.0,
            "accepted": 6.0,
            "published": 1.5,
            "dropped": 0.0,
            "failed": 0.0,
            "deliveries": 3,
            "documents": 30,
            "bytes": 300,
            "oldest_s": 7.0,
            "total": {"accepted": 1022, "published": 913, "dropped": 0, "failed": 0},
        }
        assert await told(queues) == [(("g",), body)]
        # while something waits it is told, and once more when nothing does
        clock.now += 1.0
        shards.all[0].found["g"] = use(1008, 902, deliveries=2, oldest_s=2.5)
        shards.all[1].found["g"] = use(14, 11)
        [(_, waits)] = await told(queues)
        assert (waits["accepted"], waits["deliveries"], waits["oldest_s"]) == (0.0, 2, 2.5)
        shards.all[0].found["g"] = use(1008, 902)
        clock.now += 1.0
        [(_, rests)] = await told(queues)
        assert (rests["deliveries"], rests["oldest_s"]) == (0, 0.0)
        clock.now += 1.0
        assert await told(queues) == []

    asyncio.run(play())


def test_without_one_of_the_shards_nothing_is_told() -> None:
    async def play() -> None:
        shards, clock = Shards(), Clock()
        queues = Queues(cast("Peers", shards), lambda: "now", clock)
        shards.all[0].found, shards.all[1].found = {"g": use(10, deliveries=1)}, {"g": use(20)}
        await queues.step()
        clock.now += 1.0
        shards.all[1].found = None
        assert await told(queues) == []
        clock.now += 1.0
        shards.all[1].found = {"g": use(21)}
        # 21 of them are not of the last second
        assert await told(queues) == []
        clock.now += 1.0
        [(_, body)] = await told(queues)
        assert (body["accepted"], body["deliveries"]) == (0.0, 1)

    asyncio.run(play())
