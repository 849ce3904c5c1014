"""One behaviour suite runs over every implementation of the queue."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from pypes.core.limits import Limits
from pypes.ingest.contracts.queue import Queue
from pypes.ingest.queues.embedded import EmbeddedQueue
from pypes.ingest.store.shards import Shards
from tests.ingest.harness import run
from tests.ingest.memory.queue import MemoryQueue

Scenario = Callable[[Queue], Awaitable[None]]


@pytest.fixture(params=["memory", "embedded", "embedded-cold"])
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., None]:
    """Play a scenario on a fresh queue; "cold" keeps no body in memory, so that everything is read again."""

    def play(scenario: Scenario, **limits: int) -> None:
        if request.param == "embedded-cold":
            limits["cache_bytes"] = 1

        async def main() -> None:
            queue: Queue
            if request.param == "memory":
                queue = MemoryQueue(limits=Limits(**limits), node=7, shard=3)
            else:
                queue = await EmbeddedQueue.open(Shards(tmp_path).lock(3), node=7, limits=Limits(**limits))
            try:
                await scenario(queue)
            finally:
                await queue.close()

        run(main(), within_s=30)

    return play
