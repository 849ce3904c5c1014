"""The ingest worker behind the HTTP interface: its shard of the queue, the dispatcher, and its lines to the others."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from pathlib import Path
from typing import Any

from pypes.config import WorkerConfig
from pypes.core.limits import Limits
from pypes.errors import Draining, NotDeployed, NotFound, PypesError, StoreError, Unavailable
from pypes.ingest.delivery import Header, Spooled
from pypes.ingest.dispatch import Dispatcher, Topology
from pypes.ingest.embedded import EmbeddedQueue
from pypes.ingest.queue import QueueStats
from pypes.ingest.receipt import Receipt, ReceiptId
from pypes.ingest.shards import Shard, Shards
from pypes.ingest.spool import SpoolWriter
from pypes.runtime.rpc import Peer, RpcClient, RpcServer

log = logging.getLogger(__name__)

#: How long a worker waits for its slot beyond the grace that a dying one may take.
SLOT_WAIT_S = 10.0
SLOT_POLL_S = 0.02
#: How long a receipt waits for the worker that owns it, while that one is being started.
PEER_WAIT_S = 5.0
#: What a stopping worker waits at most for acknowledgements: what is out then is run again by its successor.
STOP_WAIT_S = 5.0


class IngestWorker:
    """One ingest worker; make it with :meth:`start` inside its event loop.

    Workers share the slots 0 to ``config.workers`` - 1: each takes one that is free. Slots beyond (there were more workers
    once) are drained by whoever starts first.
    """

    def __init__(self, config: WorkerConfig) -> None:
        self.config = config
        self.limits: Limits = config.limits
        self._shards = Shards(Path(config.data_dir))
        self._queues: dict[int, EmbeddedQueue] = {}
        self._servers: list[RpcServer] = []
        self._peers: dict[int, RpcClient] = {}
        self._topology = Topology()
        self._is_deployed = False
        self._has_heard = False
        self._is_draining = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self._dispatcher = Dispatcher(config.limits, self._lost)
        self._control: RpcClient
        self._queue: EmbeddedQueue

    @classmethod
    async def start(cls, config: WorkerConfig) -> IngestWorker:
        """Claim a slot, open its queue, connect to the supervisor. Raises :class:`StoreError` or ``OSError``."""
        worker = cls(config)
        try:
            shard = await worker._claim_slot()
            worker._queue = await worker._open(shard)
            for abandoned in worker._shards.adopt(config.workers):
                await worker._open(abandoned)
            worker._control = await RpcClient.connect(config.control_socket, worker._told, worker._supervisor_lost)
            topology = await worker._control.call("hello", pid=os.getpid(), slot=shard.number)
            if not worker._has_heard:
                worker._apply(topology)
            await worker._control.call("ready")
        except BaseException:
            await worker.stop()
            raise
        return worker

    async def _claim_slot(self) -> Shard:
        deadline = time.monotonic() + self.config.grace_s + SLOT_WAIT_S
        while True:
            for number in range(self.config.workers):
                try:
                    return self._shards.claim(number)
                except StoreError as error:
                    if error.code != "store.locked" or (number == self.config.workers - 1 and time.monotonic() > deadline):
                        raise
            await asyncio.sleep(SLOT_POLL_S)

    async def _open(self, shard: Shard) -> EmbeddedQueue:
        config = self.config
        queue = await EmbeddedQueue.open(
            shard, node=config.node, limits=config.limits, durability=config.durability, interval_s=config.interval_s
        )
        self._queues[shard.number] = queue
        server = RpcServer(self._answer)
        await server.start(self._peer_socket(shard.number))
        self._servers.append(server)
        self._dispatcher.add(queue)
        return queue

    # -- documents --------------------------------------------------------------------------------------

    @property
    def state(self) -> str:
        """``starting`` until the graphs run, ``ready``, or ``draining``."""
        if self._is_draining:
            return "draining"
        return "ready" if self._is_deployed else "starting"

    def resolve(self, route: str | None) -> str:
        """Name of the graph that takes documents of a route; raises :class:`NotDeployed`."""
        graph = self._topology.routes.get(route, self._topology.default) if route is not None else self._topology.default
        if graph is None:
            if self._topology.graphs or self._topology.failed:
                raise NotDeployed("no graph has this route and none is the default; set `default`, or post to a route of a graph")
            raise NotDeployed("no graph is deployed; PUT one to /graphs/{name}, then post again")
        return graph

    def submit(self, header: Header, body: bytes | Spooled, decoded: bytes | None = None) -> asyncio.Future[str]:
        """Append a delivery to the queue; the future gives its receipt once it is durable. Raises as ``Queue.append``."""
        if self._is_draining:
            raise Draining("the server is stopping; post to another one, or again later")
        return self._queue.append(header, body, decoded)

    def spool(self) -> SpoolWriter:
        """A writer for a body too large for memory: ``async with`` it, ``write`` chunks, ``submit`` what ``finish`` returns."""
        return self._queue.spool()

    def queue_stats(self) -> list[QueueStats]:
        """Snapshots of the queues this worker serves, its own first."""
        return [queue.stats() for queue in self._queues.values()]

    # -- receipts ---------------------------------------------------------------------------------------

    async def receipt(self, id: str, wait_s: float = 0.0) -> Receipt:
        """Where a delivery is, whichever worker has it; waits up to ``wait_s`` for its end. Raises :class:`NotFound`."""
        found = None
        rid = ReceiptId.parse(id)
        if rid.node == self.config.node:
            queue = self._queues.get(rid.shard)
            found = await (queue.wait_receipt(id, wait_s) if queue is not None else self._ask(rid.shard, id, wait_s))
        if found is None:
            raise NotFound(
                "there is no such receipt; it was never given out here, or is forgotten by now", code="receipt.not_found"
            )
        return found

    async def _ask(self, number: int, id: str, wait_s: float) -> Receipt | None:
        """Ask the worker that owns a shard; adopt the shard if nobody can own it any more."""
        if number not in self._shards.numbers():
            return None
        deadline = time.monotonic() + PEER_WAIT_S
        while True:
            try:
                obj = await (await self._peer(number)).call("receipt", id=id, wait_s=wait_s)
                return Receipt(**obj) if obj is not None else None
            except (OSError, Unavailable):
                # its worker is being replaced
                self._peers.pop(number, None)
            if number >= self.config.workers:
                for shard in self._shards.adopt(number):
                    await self._open(shard)
                if number in self._queues:
                    return await self._queues[number].wait_receipt(id, wait_s)
            if time.monotonic() > deadline:
                raise Unavailable(
                    "the worker that knows this receipt is being restarted; ask again", code="receipt.owner_restarts"
                )
            await asyncio.sleep(SLOT_POLL_S)

    async def _peer(self, number: int) -> RpcClient:
        if number not in self._peers:
            self._peers[number] = await RpcClient.connect(self._peer_socket(number))
        return self._peers[number]

    async def _answer(self, peer: Peer, method: str, params: dict[str, Any]) -> Any:
        """What other workers ask."""
        if method != "receipt":
            raise PypesError(f"there is no method {method!r}", code="control.unknown_method")
        queue = self._queues.get(ReceiptId.parse(params["id"]).shard)
        found = await queue.wait_receipt(params["id"], params["wait_s"]) if queue is not None else None
        return found.to_obj() if found is not None else None

    def _peer_socket(self, number: int) -> str:
        return str(Path(self.config.runtime_dir) / f"w-{number}.sock")

    # -- the supervisor ---------------------------------------------------------------------------------

    async def control(self, method: str, /, **params: Any) -> Any:
        """Ask the supervisor; what it raises comes back as the same error."""
        return await self._control.call(method, **params)

    def _told(self, event: str, params: dict[str, Any]) -> None:
        if event == "topology":
            self._has_heard = True
            self._apply(params)
        elif event == "gone":
            self._dispatcher.gone(params["id"])
        elif event == "drain":
            self._in_background(self._drain(params["grace_s"]))

    def _apply(self, params: dict[str, Any]) -> None:
        self._topology = Topology(
            generation=params["generation"],
            instances={instance["id"]: instance["socket"] for instance in params["instances"]},
            graphs=params["graphs"],
            failed=params.get("failed", {}),
            routes=params["routes"],
            default=params["default"],
        )
        self._is_deployed = params.get("ready", True)
        self._dispatcher.apply(self._topology)

    def _lost(self, instance: int) -> None:
        self._in_background(self._report_lost(instance))

    async def _report_lost(self, instance: int) -> None:
        try:
            is_there = await self._control.call("lost", id=instance)
        except Unavailable:
            return  # without a supervisor this process ends, too
        if not is_there:
            # it was reaped before, and that was said before this answer
            self._dispatcher.gone(instance)

    def _supervisor_lost(self) -> None:
        log.error("the supervisor is gone; this process ends with it")

    def _in_background(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- stopping ---------------------------------------------------------------------------------------

    async def drain(self) -> int:
        """Refuse documents and finish what is queued, for ``grace_s`` at most; returns how many deliveries stay queued."""
        return await self._finish(self.config.grace_s)

    async def _finish(self, grace_s: float) -> int:
        self._is_draining = True
        await self._dispatcher.drain(grace_s)
        return sum(queue.stats().deliveries for queue in self._queues.values())

    async def _drain(self, grace_s: float) -> None:
        queued = await self._finish(grace_s)
        await self._control.call("drained", queued=queued)

    async def stop(self) -> None:
        """Wait shortly for what is out, close the queue, let go of the slot. What is queued stays there."""
        self._is_draining = True
        await self._dispatcher.drain(min(self.config.grace_s, STOP_WAIT_S), finish=False)
        self._dispatcher.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for client in self._peers.values():
            await client.close()
        # before the slot is free: its next owner listens at the same path
        for server in self._servers:
            await server.close()
        for queue in self._queues.values():
            await queue.close()
        if hasattr(self, "_control"):
            await self._control.close()
