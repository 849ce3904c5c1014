"""Live: what an ingest worker shows of the node while it happens, and what it tells of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pypes.core.nodetime import Clock
from pypes.core.watched_tasks import WatchedTasks
from pypes.errors import Unavailable
from pypes.ingest.dispatch.taps import Taps
from pypes.ingest.dispatch.topology import Topology
from pypes.ingest.receipt import rfc3339
from pypes.runtime.contracts.events import EventCalls
from pypes.runtime.rpc import RpcClient
from pypes.runtime.rpc.contract import Method, stub
from pypes.runtime.worker.events import Events
from pypes.runtime.worker.failures import Failures
from pypes.runtime.worker.peers import Peers
from pypes.runtime.worker.queues import Queues
from pypes.runtime.worker.taps import WorkerTaps


class Live:
    """The events and packets for viewers of a worker, and its own dead letters as events.

    ``client`` is set once there is a connection.
    """

    def __init__(self, peers: Peers, tasks: WatchedTasks, taps: Taps, topology: Callable[[], Topology], clock: Clock) -> None:
        self.client: RpcClient | None = None
        calls = stub(EventCalls, self._carry, "events.")

        def now() -> str:
            return rfc3339(clock.shown(clock.now()))

        self.events = Events(calls, Queues(peers, now), tasks)
        self.failures = Failures(calls, tasks)
        self.taps = WorkerTaps(taps, topology, now)

    async def _carry(self, name: str, method: Method, params: dict[str, Any]) -> Any:
        if self.client is None:
            raise Unavailable("the worker is starting; ask again", code="worker.starting")
        return await self.client.carry(name, method, params)
