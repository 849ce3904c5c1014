"""The ingest worker behind the HTTP interface: its shard of the queue, the dispatcher, and its lines to the others."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from pypes import __version__
from pypes.access.audit import ITSELF, Cause
from pypes.access.register import Register
from pypes.access.spending import Spending
from pypes.core.certificate import Certificate, Context
from pypes.core.limits import Limits
from pypes.core.nodetime import node_clock
from pypes.core.watched_tasks import WatchedTasks, watch_callbacks
from pypes.errors import Draining, NotDeployed, Unavailable
from pypes.ingest.contracts.blobs import BlobWriter
from pypes.ingest.contracts.intake import Key, Waiter
from pypes.ingest.contracts.leasing import Stream
from pypes.ingest.contracts.queue import Queue, QueueStats
from pypes.ingest.delivery import Header, Spooled
from pypes.ingest.dispatch.dispatcher import Dispatcher
from pypes.ingest.dispatch.topology import Topology, cannot_serve
from pypes.ingest.outcome import ExitReason
from pypes.ingest.queues.embedded import EmbeddedQueue
from pypes.ingest.store.shards import Shard, Shards, owner_of
from pypes.observe import Observer, guarded
from pypes.observe.loop_delay import observe_delay
from pypes.runtime.contracts.control import Control
from pypes.runtime.contracts.fleet import Greeting, Member
from pypes.runtime.contracts.shard import Runs, ShardCalls
from pypes.runtime.contracts.supervisor import WorkerCalls, WorkerEvents
from pypes.runtime.rpc import MAX_CONTROL_BYTES, RpcClient, RpcServer
from pypes.runtime.rpc.contract import handle_event, stub
from pypes.runtime.worker.adopting import Adopting
from pypes.runtime.worker.answering import MemberDesk
from pypes.runtime.worker.auditing import AuditLog
from pypes.runtime.worker.belonging import Belonging, changing
from pypes.runtime.worker.callbacks import Callbacks
from pypes.runtime.worker.config import WorkerConfig
from pypes.runtime.worker.desk import Append, ShardDesk
from pypes.runtime.worker.ending import STOP_WAIT_S
from pypes.runtime.worker.exposing import exporting_of, exposed, tally_file
from pypes.runtime.worker.fleet import Fleet
from pypes.runtime.worker.live import Live
from pypes.runtime.worker.members import Members
from pypes.runtime.worker.outboxes import Outboxes
from pypes.runtime.worker.owners import FleetOwners, NodeOwners
from pypes.runtime.worker.peers import Peers
from pypes.runtime.worker.records import Records
from pypes.runtime.worker.searching import Searches
from pypes.runtime.worker.slots import lock_slot
from pypes.runtime.worker.snapshot import Snapshot, snapshot
from pypes.runtime.worker.sources import Sources

log = logging.getLogger(__name__)

#: Larger bodies go to another worker as a file, not within a message.
MESSAGE_BYTES = 4 << 20


#: Seconds for which a node is new in its fleet, beyond the time for which keys are kept: clocks differ.
NEW_S = 60.0


class IngestWorker:
    """One ingest worker; make it with :meth:`start` inside its event loop.

    Workers share the slots 0 to ``config.workers`` - 1: each takes one that is free. Slots beyond (there were more workers
    once) are drained by whoever starts first.
    """

    def __init__(self, config: WorkerConfig, on_failed: Callable[[], None], observer: Observer | None) -> None:
        self.config = config
        self._on_failed = on_failed
        self._observer = guarded(observer)
        #: Documents as clients may look at them, without the secrets of the node and of its graphs.
        self.hiding = config.hiding()
        #: The tallies of this process.
        self.tallies = tally_file(config)
        self._has_failed = False
        self.limits: Limits = config.limits
        self._shards = Shards(Path(config.data_dir))
        self._clock = node_clock(Path(config.data_dir))
        self._queues: dict[int, Queue] = {}
        self._servers: list[RpcServer] = []
        self._owners = self._shards.owners(config.workers)
        self._dispatcher = Dispatcher(config.limits, self._lost, shards=max(config.workers, self._owners))
        fleet = None if config.fleet_dir is None else Fleet(Path(config.fleet_dir), config.node)
        self._sources = Sources(self._dispatcher, config.limits, fleet, tallies=self.tallies)
        self._peers = Peers(config, self._shards, self._queues, self._open, self._desk)
        #: The other nodes of the fleet.
        self.members = Members(config.fleet, config.node, config.patience_s)
        here = NodeOwners(self._peers, config.node)
        #: Receipts and dead letters of this node, and those of all nodes of its fleet.
        self.own_records, self.records = Records(here), Records(FleetOwners(here, self.members))
        #: Answers other nodes.
        first = max(config.workers, self._owners)
        self._adopting = Adopting(self._shards, self._peers, first, self._clock.now, lambda: self._topology)
        self.desk = MemberDesk(here, self, self._greeting, self._adopting, lambda: self.control.agreement)
        self._belonging = Belonging(
            self.members, self._submit_to_owner, self._known, self._check_open, is_key_owner_required=config.is_key_owner_required
        )
        self.audit = AuditLog(self._peers, lambda: self.control.audit)
        #: Searches of what graphs publish to.
        self.searches = Searches()
        #: Results that wait on the node to be fetched.
        self.outboxes = Outboxes(Path(config.data_dir), self._clock, is_synced=config.durability == "always")
        self._topology = Topology()
        self._is_deployed = self._has_topology = self._is_draining = False
        self._tasks = WatchedTasks(self._fail)
        #: Events and packets for clients that look on.
        self.live = Live(self._peers, self._tasks, self._dispatcher.taps, lambda: self._topology, self._clock)
        #: The clients that have tokens.
        spending = Spending(Path(config.runtime_dir))
        self.register = Register(Path(config.data_dir) / "control.db", config.token, spending=spending, usual=config.budget)
        #: The TLS of connections to come, if the node speaks it; there before it serves.
        self.tls: Context | None = None
        #: Tells a collector what happens, if there is one.
        self.exporting = exporting_of(config, self._clock, self.tallies, self._dispatcher)
        self._callbacks = Callbacks(
            config.callback_hosts, config.callback_secret or "", config.limits, clock=self._clock, on_failed=self._fail
        )
        #: Calls of clients to the supervisor; an error that one raises comes back as the same error.
        self.control: Control
        self._supervisor: WorkerCalls
        self._client: RpcClient
        self._queue: Queue
        self._slot: int

    @classmethod
    async def start(
        cls, config: WorkerConfig, on_failed: Callable[[], None] | None = None, *, observer: Observer | None = None
    ) -> IngestWorker:
        """Lock a slot, open its queue, connect to the supervisor. Raises :class:`StoreError` or ``OSError``.

        ``on_failed()`` is called once when something in it has failed without which it must not go on: the log has the cause
        then, see :mod:`.ending`. An ``observer`` is told of the deliveries of all its queues.
        """
        worker = cls(config, on_failed or (lambda: None), observer)
        watch_callbacks(asyncio.get_running_loop(), worker._fail)
        try:
            shard = await lock_slot(worker._shards, config)
            worker._slot = shard.number
            worker._queue = await worker._open(shard)
            for abandoned in worker._shards.adopt(config.workers):
                await worker._open(abandoned)
            on_event = partial(handle_event, WorkerEvents, _Events(worker))
            worker._client = await RpcClient.connect(config.control_socket, on_event, worker._control_lost, MAX_CONTROL_BYTES)
            worker.live.client = worker._client
            worker.control = Control(worker._client.carry)
            worker._supervisor = stub(WorkerCalls, worker._client.carry)
            topology = await worker._supervisor.hello(os.getpid(), shard.number)
            if not worker._has_topology:
                worker._apply(topology)
            await worker._supervisor.ready()
            worker._tasks.start(observe_delay(worker.tallies, "worker"), "delay of the event loop")
            worker._tasks.start(worker.register.watch(), "tokens")
            if worker.exporting is not None and shard.number == 0:
                worker._tasks.start(worker.exporting.send_metrics(partial(worker.metrics, is_openmetrics=False)), "metrics")
        except BaseException:
            await worker.stop()
            raise
        return worker

    async def _open(self, shard: Shard) -> Queue:
        config = self.config
        queue = await EmbeddedQueue.open(
            shard,
            node=config.node,
            limits=config.limits,
            durability=config.durability,
            interval_s=config.interval_s,
            version=__version__,
            clock=self._clock,
            observer=self._observer,
            on_letters=self.live.failures.add,
            tallies=self.tallies,
        )
        self._queues[shard.number] = queue
        server = RpcServer(lambda peer, method, params: self._peers.answer(shard.number, method, params))
        await server.start(self._peers.socket_of(shard.number))
        self._servers.append(server)
        self._dispatcher.add(queue)
        self._callbacks.add(queue.callbacks, queue.receipts)
        if shard.origin is None:
            # of sources of another node, which had their own places
            self._tasks.start(self._sources.resume(queue), "resuming sources")
        return queue

    # -- documents --------------------------------------------------------------------------------------

    @property
    def state(self) -> str:
        """``starting`` until the graphs run, ``ready``, or ``draining``."""
        if self._is_draining:
            return "draining"
        return "ready" if self._is_deployed else "starting"

    def readiness(self) -> tuple[str, dict[str, str]]:
        """The readiness to take and run documents, and the graphs that would only queue them, with the reason.

        ``ready``, or else ``draining``, ``starting`` until the graphs run, ``failing`` while appends fail, ``cut off`` without a
        connection to the supervisor, ``doubled`` if another node has the same number, ``joining`` until it has found itself in
        its fleet, or ``failed`` when the default graph, or every graph, cannot run.
        """
        degraded = self._topology.degraded()
        state = self.state
        if state == "draining":
            pass
        elif self.members.twin is not None:
            state = "doubled"
        elif self.config.fleet is not None and not self.members.has_found_itself:
            state = "joining"
        elif self._has_failed or not self._client.is_open:
            state = "cut off"
        elif state == "starting":
            pass
        elif self._queue.stats().is_failed:
            state = "failing"
        elif cannot_serve(self._topology.graphs.keys() | self._topology.failed.keys(), degraded, self._topology.default):
            state = "failed"
        return state, degraded

    def _greeting(self) -> Greeting:
        new_s = self.limits.keys_s + NEW_S
        is_new = self._clock.now() - self.config.joined < new_s
        state, adopted = self.readiness()[0], self._adopting.adopted(new_s)
        return Greeting(self.config.node, self.config.boot, __version__, state, is_new, adopted)

    def resolve(self, route: str | None) -> str:
        """Name of the graph that takes documents of a route; raises as :meth:`Topology.resolve`."""
        return self._topology.resolve(route)

    def is_ordered(self, graph: str) -> bool:
        """True if the graph has ``order_by``: its documents need order keys in their header."""
        return graph in self._topology.ordered

    def submit(
        self, header: Header, body: bytes | Spooled, decoded: bytes | None = None, key: Key | None = None
    ) -> Awaitable[str]:
        """Append a delivery to the queue it belongs to; gives its receipt once it is durable. Raises as ``Queue.append``.

        What has an idempotency key or an ordered graph belongs to an owner, perhaps another worker: waits for that one while
        it is being started, then raises :class:`Unavailable`. A spooled body comes from :meth:`spool` of the same graph and key.
        """
        self._check_open(header.graph)
        if key is None and header.graph not in self._topology.ordered:
            return self._queue.intake.append(header, body, decoded)
        if self.config.fleet is None:
            return self._submit_to_owner(header, body, decoded, key)
        return self._belonging.append(header, body, decoded, key, is_ordered=header.graph in self._topology.ordered)

    def submit_for(self, waiter: Waiter, header: Header, body: bytes, decoded: bytes | None) -> None:
        """As :meth:`submit`, telling ``waiter``, for a graph without order."""
        if self._is_draining or self._topology.closing:
            self._check_open(header.graph)
        self._queue.intake.append_for(waiter, header, body, decoded)

    def _check_open(self, graph: str) -> None:
        if self._is_draining:
            raise Draining("the server is stopping; post to another server, or again later")
        if graph in self._topology.closing:
            raise NotDeployed("the graph is being taken down", code="graph.closing", where=graph)

    async def _submit_to_owner(self, header: Header, body: bytes | Spooled, decoded: bytes | None, key: Key | None) -> str:
        number = self._owner_of(header.graph, key)
        if number not in self._queues and isinstance(body, bytes) and len(body) > MESSAGE_BYTES:
            async with self._peers.spool(number) as spool:
                await spool.write(body)
                body = await spool.finish()
        return await self._peers.append(number, header, body, decoded, key)

    def take(self, header: Header, body: bytes | Spooled, key: Key | None) -> Awaitable[str]:
        """Append what another node of the fleet has sent because it belongs to this one; raises as :meth:`submit`."""
        graph = header.graph
        self._check_open(graph)
        is_ordered = graph in self._topology.ordered
        if not self._belonging.is_here(graph, key, is_ordered=is_ordered):
            raise changing()
        queue = self._queues.get(self._owner_of(graph, key))
        if queue is not None and self._belonging.is_settled(graph, key, is_ordered=is_ordered):
            # PERF: the usual case, without a task
            return queue.intake.append(header, body, None, key)
        return self._belonging.append(header, body, None, key, is_ordered=is_ordered)

    async def _known(self, graph: str, key: Key) -> str | None:
        return await self.shard_of(graph, key).claim(graph, key, self.members.own_name)

    def shard_of(self, graph: str, key: Key | None) -> ShardCalls:
        """The shard that the deliveries of a key or a graph with order belong to, in this node."""
        return self._peers.shard(self._owner_of(graph, key))

    def _owner_of(self, graph: str, key: Key | None) -> int:
        """The shard that a delivery belongs to."""
        if graph in self._topology.ordered:
            return owner_of(graph, self._owners)
        return self._slot if key is None else owner_of(key.name, self._owners)

    def spool(self, graph: str, key: Key | None = None) -> BlobWriter:
        """A writer for a body too large for memory: ``async with`` it, ``write`` chunks, ``submit`` what ``finish`` returns."""
        return self._peers.spool(self._owner_of(graph, key))

    def check_room(self, size: int, graph: str = "", *, is_bulk: bool = False) -> None:
        """Raise :class:`QueueFull` if a body of ``size`` bytes would not be taken now: before it is read, not after.

        Of an ordered graph only its owner knows, which is not asked.
        """
        self._queue.intake.check_room(size, "" if graph in self._topology.ordered else graph, is_bulk=is_bulk)

    def is_ahead(self, stream: Stream, arriving: int) -> bool:
        """True if enough of a stream waits for its instances, with ``arriving`` bytes to come, so that more may come later."""
        return not self._is_draining and self._dispatcher.is_ahead(stream, arriving)

    def watch_hand_over(self, on_handed_over: Callable[[], None]) -> None:
        """Have a function called whenever deliveries may have been handed over to instances."""
        self._dispatcher.on_handed_over = on_handed_over

    def reserve_arriving(self, size: int, *, is_repeatable: bool = False) -> None:
        """Count bytes of a body that is being spooled, whoever owns it in the end; raises as ``Queue.reserve_arriving``."""
        self._queue.intake.reserve_arriving(size, is_repeatable=is_repeatable)

    def release_arriving(self, size: int) -> None:
        """Say that so many bytes are no longer arriving."""
        self._queue.intake.release_arriving(size)

    def queue_stats(self) -> list[QueueStats]:
        """Snapshots of the queues this worker serves, its own first."""
        return [queue.stats() for queue in self._queues.values()]

    async def snapshot(self) -> Snapshot:
        """The whole node. Raises :class:`Unavailable` without a connection to the supervisor."""
        return await snapshot(self.config.node, self._supervisor, self._peers, self.outboxes)

    async def metrics(self, *, is_openmetrics: bool) -> str:
        """The metrics of the whole node as text. Raises :class:`Unavailable` without a connection to the supervisor."""
        graphs = self._topology.graphs.keys() | self._topology.failed.keys()
        return await exposed(self._supervisor, self._peers, graphs, is_openmetrics=is_openmetrics)

    async def trigger(self, graph: str, *, is_confirmed: bool = False, cause: Cause = ITSELF) -> Runs:
        """Run the sources of a graph once, wherever that is; returns when it is stored. What was stopped is as it was before.

        ``is_confirmed``: it may delete however much it finds gone. Raises :class:`NotFound`, :class:`Conflict` if they run
        already or cannot run, or :class:`Unavailable`.
        """
        if self._is_draining:
            raise Draining("the server is stopping; trigger again later")
        self._sources.check(graph)
        owner = owner_of(graph, self._owners)
        return await self._peers.shard(owner).run(graph, is_confirmed, cause)

    async def runs(self, graph: str) -> Runs:
        """The state of the sources of a graph, and of their runs. Raises as :meth:`trigger` does."""
        self._sources.check(graph)
        return await self._peers.shard(owner_of(graph, self._owners)).runs(graph)

    def _desk(self, queue: Queue, append: Append) -> ShardDesk:
        return ShardDesk(queue, self._sources, self.members, lambda: self._topology, append)

    # -- the supervisor ---------------------------------------------------------------------------------

    def _apply(self, topology: Topology) -> None:
        self.hiding.secrets.learn_variables(topology.variables - self._topology.variables, os.environ)
        self._topology = topology
        self._is_deployed = topology.is_complete
        self._dispatcher.apply(topology)

    def _lost(self, instance: int) -> None:
        self._tasks.start(self._report_lost(instance), "reporting an instance")

    async def _report_lost(self, instance: int) -> None:
        try:
            is_there = await self._supervisor.lost(instance)
        except Unavailable:
            return  # the connection is lost, and this process ends, too
        if not is_there:  # it was reaped before, and that was said before this answer
            self._dispatcher.gone(instance)

    def _control_lost(self) -> None:
        log.error("the connection to the supervisor is lost; this process ends, and another one takes its place")
        self._fail("control connection")

    def _fail(self, name: str) -> None:
        """Something that this worker cannot do without has failed: it takes no more, and is to be replaced."""
        if not self._has_failed:
            self._has_failed = True
            self._on_failed()

    # -- stopping ---------------------------------------------------------------------------------------

    async def drain(self) -> int:
        """Refuse documents and finish what is queued, for ``grace_s`` at most; returns how many deliveries stay queued."""
        return await self._finish(self.config.grace_s)

    async def _finish(self, grace_s: float) -> int:
        self._is_draining = True
        await self._sources.stop()
        await self._dispatcher.drain(grace_s)
        return sum(queue.stats().deliveries for queue in self._queues.values())

    async def _drain(self, grace_s: float) -> None:
        queued = await self._finish(grace_s)
        with suppress(Unavailable):  # the connection is lost, and this process ends, too
            await self._supervisor.drained(queued)

    async def stop(self) -> None:
        """Wait shortly for what is out, close the queue, let go of the slot. What is queued stays there."""
        self._is_draining = True
        await self._sources.stop()
        await self._dispatcher.drain(min(self.config.grace_s, STOP_WAIT_S), finish=False)
        self._dispatcher.close()
        await self._tasks.close()
        await self._callbacks.close()
        await self.searches.close()
        await self._belonging.close()
        await self.members.close()
        await self.desk.close()
        await self._peers.finish()
        await self._peers.close()
        # before the slot is free: its next owner listens at the same path
        for server in self._servers:
            await server.close()
        for queue in self._queues.values():
            await queue.close()
        if hasattr(self, "_client"):
            await self._client.close()
        if self.exporting is not None:
            await self.exporting.close()
        self.tallies.close()
        self.register.close()


class _Events:
    """Does what the supervisor tells a worker, see :class:`WorkerEvents`."""

    def __init__(self, worker: IngestWorker) -> None:
        self._worker = worker

    def topology(self, topology: Topology) -> None:
        self._worker._has_topology = True
        self._worker._apply(topology)

    def gone(self, id: int, death: ExitReason) -> None:
        self._worker._dispatcher.gone(id, death)

    def tokens(self) -> None:
        self._worker.register.look()

    def members(self, members: list[Member]) -> None:
        self._worker.members.apply(members)

    def certificate(self, certificate: Certificate) -> None:
        self._worker.tls = certificate.context()

    def drain(self, grace_s: float) -> None:
        self._worker._tasks.start(self._worker._drain(grace_s), "draining")
