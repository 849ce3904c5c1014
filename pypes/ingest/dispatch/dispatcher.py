"""The dispatcher of an ingest worker: hands deliveries to instances, and keeps each until it is acknowledged.

A delivery is in at most one living instance. When a connection ends, what was handed over stays where it is until the
supervisor says that the instance is dead and reaped (:meth:`Dispatcher.gone`); only then does it go elsewhere.

Here is what instances say and what becomes of them; what goes out next, and where, is in :mod:`pypes.ingest.dispatch.handover`.

Deliveries and acknowledgements cost neither task nor future each: all that became leasable in one iteration of the loop goes out
in one write per instance.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from itertools import repeat

from msgspec.structs import replace

from pypes.core.limits import Limits
from pypes.ingest import protocol
from pypes.ingest.contracts.leasing import Lease, Leasing, Stream
from pypes.ingest.contracts.queue import Queue
from pypes.ingest.dispatch.handover import Handover
from pypes.ingest.dispatch.link import Link
from pypes.ingest.dispatch.links import Links
from pypes.ingest.dispatch.taps import Taps
from pypes.ingest.dispatch.topology import Topology
from pypes.ingest.dispatch.verdict import judge
from pypes.ingest.outcome import MOST_NAMED, Details, ExitReason, Fate, KeptTrace, Outcome, failure_log_fields, in_spans

log = logging.getLogger(__name__)

_KEPT_OUTCOMES = 256


class Dispatcher:
    """Moves deliveries between the queues of this worker and all instances. Used within one event loop.

    ``on_lost(id)`` is called when the connection to an instance ended unexpectedly: whoever hears it has the instance killed
    and calls :meth:`gone` once it is reaped. ``shards`` is how many there are that take deliveries: each enforces its part of the
    limits that a graph has.
    """

    #: Called with what an instance says of the sources it runs (link, kind, head), and when it will say nothing more: with True
    #: first if it ended in order.
    on_fetch: Callable[[Link, int, bytes], None] | None = None
    on_gone: Callable[[Link, bool], None] | None = None
    #: Called when an instance has let go of a graph, and runs none of its sources any more.
    on_left: Callable[[Link, str], None] | None = None
    #: Called when a delivery is done that was traced.
    on_traced: Callable[[Lease, KeptTrace], None] | None = None
    #: Called when something may have been handed over.
    on_handed_over: Callable[[], None] | None = None

    def __init__(self, limits: Limits, on_lost: Callable[[int], None], *, shards: int = 1) -> None:
        self._on_lost = on_lost
        self._shards = shards
        # what waits is to last until more has been read and checked, some milliseconds, and to stay in memory
        self._enough_bytes = min(limits.window_bytes, limits.cache_bytes) // 2
        self._loop = asyncio.get_running_loop()
        self._queues: list[Queue] = []
        self._links = Links(self._on_message, self._ended, self._schedule)
        self._handover = Handover(limits, self._links, self._schedule)
        #: Looks at the wires of graphs.
        self.taps = Taps(self._links, self._handover.running)
        self._outcomes: dict[tuple[int, tuple[str, ...]], Outcome] = {}
        self._is_scheduled = False
        self._is_closed = False
        self._is_paused = False
        self._drained: asyncio.Future[None] | None = None

    # -- what there is ----------------------------------------------------------------------------------

    def add(self, queue: Queue) -> None:
        """Serve a queue from now on."""
        self._queues.append(queue)
        if self._handover.topology is not None:
            queue.intake.deployed(self._handover.topology.limits_in_shard(self._shards))
        leasing = queue.leasing
        leasing.on_ready = lambda: self._became_ready(leasing)
        leasing.on_lost = self._handover.forget
        self._became_ready(leasing)

    def apply(self, topology: Topology) -> None:
        """Apply a topology of the supervisor. Instances missing from it get nothing more, and finish their deliveries."""
        self._handover.apply(topology)
        limits = topology.limits_in_shard(self._shards)
        for queue in self._queues:
            queue.intake.deployed(limits)
        for link in self._links.announce(topology.instances, topology.retiring):
            self._forget(link)
        # what a pause held back may go on
        self._handover.ready.update(dict.fromkeys(queue.leasing for queue in self._queues))
        self._schedule()

    @property
    def topology(self) -> Topology | None:
        """The last announced topology; ``None`` before the first one."""
        return self._handover.topology

    def elect(self, graph: str) -> Link | None:
        """Of the instances that run a graph, the one that has least to do; ``None`` while there is none."""
        if self._is_closed or self._is_paused or self._handover.topology is None:
            return None
        links = self._handover.running([link for link in self._links if link.takes_more], Stream(graph, is_bulk=False))
        return min(links, key=lambda link: link.load, default=None)

    def is_ahead(self, stream: Stream, arriving: int) -> bool:
        """True if a graph moves and so much of a stream of it waits that instances find work, even if nothing came for a while.

        ``arriving`` bytes are about to be appended. Where nothing waits, instances have room for whatever comes.
        """
        waiting = sum(queue.leasing.waiting(stream) for queue in self._queues)
        return waiting > 0 and waiting + arriving >= self._enough_bytes and self._handover.is_moving(stream.graph)

    @property
    def outstanding(self) -> int:
        """Deliveries handed over and not acknowledged, or waiting to be handed over again."""
        return self._links.outstanding + sum(map(len, self._handover.again.values()))

    # -- handing over -----------------------------------------------------------------------------------

    def _became_ready(self, leasing: Leasing) -> None:
        self._handover.ready[leasing] = None
        self._schedule()

    def _schedule(self) -> None:
        # after this iteration of the loop, so that everything in it goes out together
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        self._is_scheduled = False
        handover = self._handover
        if self._is_closed or handover.topology is None:
            return
        links = [] if self._is_paused else [link for link in self._links if link.takes_more]
        full = handover.fill(links) if links else []
        if not links and not self._is_paused:
            handover.bury()
        self._links.flush()
        if self.taps:
            self.taps.sync()
        if self.on_handed_over is not None:
            self.on_handed_over()
        if self._drained is not None:
            self._links.request_flush()
            self._check_drained()
        elif not links and (handover.again or handover.ready):
            self._links.request_flush()
        else:
            for stream in full:
                self._links.request_flush_of_stream(stream)
            for graph in handover.topology.ordered:
                if any(queue.leasing.is_held(graph) for queue in self._queues):
                    self._links.request_flush_of_graph(graph)
            for graph in handover.topology.closing:
                self._links.request_flush_of_graph(graph)

    # -- what instances say -----------------------------------------------------------------------------

    def _on_message(self, link: Link, kind: int, head: bytes) -> None:
        if kind == protocol.ACKS:
            self._acknowledge(link, protocol.read_acks(head))
        elif kind == protocol.BEGIN:
            link.begun = protocol.read_begin(head)
        elif kind == protocol.END:
            link.begun = None
        elif kind == protocol.COMMITTED:
            said = protocol.read_committed(head)
            sent = link.outstanding.get(said.number)
            if sent is not None:
                self._handover.committed.add(sent.lease.id, said.publisher, in_spans(said.spans), said.version)
        elif kind == protocol.HELD:
            link.held = protocol.read_held(head)
            self._schedule()
        elif kind in (protocol.FETCHED, protocol.ENDED):
            if self.on_fetch is not None:
                self.on_fetch(link, kind, head)
        elif kind == protocol.LEFT:
            self._left(link, protocol.read_left(head))
        elif kind == protocol.TAPPED:
            self.taps.take(link, protocol.read_tapped(head))
        elif kind == protocol.GOODBYE:
            if self.on_gone is not None:
                self.on_gone(link, True)
            link.close()
            self._take_back(link)
            self._forget(link)

    def _left(self, link: Link, said: protocol.Left) -> None:
        """An instance has let go of a graph: what it had not begun goes to another one."""
        link.left.add(said.graph)
        self._handover.take_back_of(link, said.numbers)
        if self.on_left is not None:
            self.on_left(link, said.graph)
        self._schedule()
        if self._drained is not None:
            self._check_drained()

    def _acknowledge(self, link: Link, acks: protocol.Acks) -> None:
        # PERF: what is known of commits can only become less meanwhile
        committed = self._handover.committed or None
        now = self._loop.time()
        for batch in acks.published:
            outcome = self._published(batch.version, batch.takers)
            by_leasing: dict[Leasing, tuple[list[Lease], list[str | None]]] = {}
            leasing: Leasing | None = None
            for sent, id in zip(link.take_all(batch.numbers, now), batch.ids or repeat(None), strict=False):
                if sent is not None:
                    if sent.leasing is not leasing:
                        leasing = sent.leasing
                        leases, ids = by_leasing.setdefault(leasing, ([], []))
                    leases.append(sent.lease)
                    ids.append(id)
                    if committed is not None:
                        committed.forget(sent.lease.id)
            for leasing, (leases, ids) in by_leasing.items():
                leasing.ack_all(leases, outcome, ids)
        for number, outcome in acks.outcomes:
            for sent in link.take_all((number,), now):
                if sent is None:
                    continue
                if outcome.trace is not None:
                    trace = replace(outcome.trace, run=1 + sent.lease.crashes + sent.returned)
                    outcome = replace(outcome, trace=trace)
                    if self.on_traced is not None:
                        self.on_traced(sent.lease, trace)
                sent.leasing.ack(sent.lease, outcome)
                if committed is not None:
                    committed.forget(sent.lease.id)
                if outcome.failed:
                    _report(sent.lease, outcome)
        if self._handover.ready or self._handover.again:
            self._schedule()
        if self._drained is not None:
            self._check_drained()

    def _published(self, version: int, takers: tuple[str, ...]) -> Outcome:
        """The outcome of one published document; always the same object, which queues know again."""
        outcome = self._outcomes.get((version, takers))
        if outcome is None:
            if len(self._outcomes) >= _KEPT_OUTCOMES:
                self._outcomes.clear()
            details = Details((Fate("published", takers),), (1, 0))
            outcome = self._outcomes[version, takers] = Outcome(published=1, version=version, details=details)
        return outcome

    def _ended(self, link: Link) -> None:
        """The connection ended without a goodbye: nothing is sent elsewhere before the supervisor has reaped the instance."""
        if link.is_retiring and not link.outstanding:
            self._forget(link)
            return
        leases = [sent.lease for sent in link.outstanding.values()]
        about = {
            "graphs": sorted({lease.header.graph for lease in leases}),
            "receipt": [lease.id for lease in leases[:MOST_NAMED]],
        }
        log.info("instance lost", extra={"instance": link.id, "outstanding": len(leases), **about})
        self._on_lost(link.id)

    def gone(self, id: int, reason: ExitReason | None = None) -> None:
        """The instance is dead and reaped: what it had goes elsewhere, suspects to be run alone.

        ``reason`` says how it ended, as far as that is known; :mod:`pypes.ingest.dispatch.verdict` has what follows from it.
        """
        link = self._links.get(id)
        if link is None:
            return
        link.read_rest()
        # what it still said may have been its goodbye
        if self._links.get(id) is link:
            ended = judge(link, reason)
            if ended is not None:
                self._handover.committed.forget(ended.id)
            self._take_back(link)
            self._forget(link)

    def _take_back(self, link: Link) -> None:
        self._handover.take_back(link)
        self._schedule()

    def _forget(self, link: Link) -> None:
        link.close()
        if self._links.remove(link):
            if self.on_gone is not None:
                self.on_gone(link, False)
            self._schedule()
        if self._drained is not None:
            self._check_drained()

    # -- stopping ---------------------------------------------------------------------------------------

    async def drain(self, timeout_s: float, *, finish: bool = True) -> int:
        """Wait up to ``timeout_s`` until nothing is out and, with ``finish``, nothing waits in the queues any more.

        Returns how many deliveries are still out. Components are made to let go of what they hold. Without ``finish``, nothing
        more is handed over from now on.
        """
        self._is_paused = not finish
        self._drained = self._loop.create_future()
        self._check_drained()
        self._schedule()
        await asyncio.wait([self._drained], timeout=timeout_s)
        return self.outstanding

    def _check_drained(self) -> None:
        assert self._drained is not None
        if self._drained.done() or self._links.outstanding:
            return
        handover = self._handover
        if self._is_paused or not (any(stream.graph not in handover.paused for stream in handover.again) or self._has_work()):
            self._drained.set_result(None)

    def _has_work(self) -> bool:
        """True if there are deliveries that some instance could take; those of graphs that failed or pause are put off."""
        topology = self._handover.topology
        if topology is None or not topology.instances:
            return False
        if topology.waiting:
            return any(stream.graph not in topology.waiting for queue in self._queues for stream in queue.leasing.streams())
        return any(stats.deliveries > stats.delayed + stats.held for stats in (queue.stats() for queue in self._queues))

    def close(self) -> None:
        """Close all connections. Deliveries in flight stay in the queues and run again."""
        self._is_closed = True
        self._handover.close()
        for queue in self._queues:
            queue.leasing.on_ready = queue.leasing.on_lost = None
        self._links.close()


def _report(lease: Lease, outcome: Outcome) -> None:
    """One line for a delivery with documents that failed; the dead letters have the rest."""
    log.warning("documents failed", extra=failure_log_fields(lease.id, lease.header.graph, outcome))
