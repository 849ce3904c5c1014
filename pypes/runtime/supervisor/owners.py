"""The shards as the supervisor sees them: it asks the workers that serve them, each time over a connection of its own."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from pypes.errors import Unavailable
from pypes.ingest.store.shards import Shards, owner_of
from pypes.runtime.contracts.shard import ShardCalls, worker_socket
from pypes.runtime.rpc import RpcClient
from pypes.runtime.rpc.contract import Method, stub

#: Longest wait for the answer of a worker: it may have to write to its disk first.
ANSWER_S = 10.0


class Owners:
    """Asks the owners of shards. Raises :class:`Unavailable` while one of them is being started, or as what is asked says."""

    def __init__(self, data_dir: Path, runtime_dir: Path, workers: int) -> None:
        self._shards = Shards(data_dir)
        self._runtime_dir = runtime_dir
        self._workers = workers

    async def fire(self, graph: str, at: float) -> None:
        """Have the sources of a graph run for the scheduled time ``at`` (seconds since the epoch)."""
        number = owner_of(graph, await asyncio.to_thread(self._shards.owners, self._workers))
        await self._asked(number).trigger(graph, at)

    async def unfinished(self, graph: str) -> int | None:
        """The number of deliveries of a closing graph that are not done yet; ``None`` if a worker still lets some in."""
        numbers = await asyncio.to_thread(self._shards.numbers)
        counts = await asyncio.gather(*(self._asked(number).unfinished(graph) for number in numbers))
        return None if None in counts else sum(count for count in counts if count is not None)

    async def waiting(self) -> set[str]:
        """The graphs that have deliveries in any shard."""
        numbers = await asyncio.to_thread(self._shards.numbers)
        uses = await asyncio.gather(*(self._asked(number).uses() for number in numbers))
        return {graph for shard in uses for graph, use in shard.items() if any(lane.deliveries for lane in use.lanes.values())}

    def _asked(self, number: int) -> ShardCalls:
        """Whoever serves a shard now."""

        async def carry(name: str, method: Method, params: dict[str, Any]) -> Any:
            try:
                client = await RpcClient.connect(str(worker_socket(self._runtime_dir, number)))
            except OSError as error:
                raise Unavailable(f"the worker that serves shard {number} is being started") from error
            try:
                return await client.call(name, timeout_s=ANSWER_S, **params)
            finally:
                await client.close()

        return stub(ShardCalls, carry)
