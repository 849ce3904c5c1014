"""The dispatcher of an ingest worker: hands deliveries to instances, and keeps each until it is acknowledged.

A delivery is in at most one living instance. When a connection ends, what was handed over stays where it is until the
supervisor says that the instance is dead and reaped (:meth:`Dispatcher.gone`); only then does it go elsewhere.

Nobody can tell which of the deliveries that ran together killed an instance. So all of them are *suspects* and run again
alone: the instance finishes what it has, says BEGIN, and runs only that one. Whoever was begun like this when the instance died
is charged with a crash, at the third it is dead-lettered; what was not begun is innocent.

Deliveries and acknowledgements cost neither task nor future each: all that became leasable in one turn of the loop goes out
in one write per instance.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pypes.core.limits import Limits
from pypes.ingest import protocol
from pypes.ingest.delivery import Spooled
from pypes.ingest.link import Link, Sent
from pypes.ingest.outcome import Death, Outcome
from pypes.ingest.queue import Lease, Queue

log = logging.getLogger(__name__)

#: So often may a delivery that runs alone see its instance die, before it goes to the dead letters.
MAX_CRASHES = 3
#: What a delivery weighs in a window besides its body, in bytes.
OVERHEAD_BYTES = 512
RECONNECT_S = 0.05
#: How long deliveries of a graph that could not be set up are put off.
FAILED_GRAPH_S = 2.0

_PUBLISHED = Outcome(published=1)


@dataclass(frozen=True, slots=True)
class Topology:
    """What runs where, as the supervisor announces it: ``instances`` is id → socket path, ``graphs`` name → version.

    ``failed`` is name → reason: graphs that could not be set up, whose deliveries wait.
    """

    generation: int = 0
    instances: Mapping[int, str] = field(default_factory=dict)
    graphs: Mapping[str, int] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    routes: Mapping[str, str] = field(default_factory=dict)
    default: str | None = None


class Dispatcher:
    """Moves deliveries between the queues of this worker and all instances. Used within one event loop.

    ``on_lost(id)`` is called when the connection to an instance ended unexpectedly: whoever hears it has the instance killed
    and calls :meth:`gone` once it is reaped.
    """

    def __init__(self, limits: Limits, on_lost: Callable[[int], None]) -> None:
        self._limits = limits
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._queues: list[Queue] = []
        #: Queues that may have something leasable, the one whose turn it is first.
        self._ready: dict[Queue, None] = {}
        self._topology: Topology | None = None
        self._links: dict[int, Link] = {}
        self._again: deque[Sent] = deque()
        self._last_number = 0
        self._is_scheduled = False
        self._is_closed = False
        self._is_paused = False
        self._drained: asyncio.Future[None] | None = None
        self._reconnect: asyncio.TimerHandle | None = None

    # -- what there is ----------------------------------------------------------------------------------

    def add(self, queue: Queue) -> None:
        """Serve a queue from now on."""
        self._queues.append(queue)
        queue.on_ready = lambda: self._became_ready(queue)
        self._became_ready(queue)

    def apply(self, topology: Topology) -> None:
        """Take up what the supervisor announced. Instances that are not in it get nothing more, and finish what they have."""
        self._topology = topology
        for id, link in list(self._links.items()):
            if id not in topology.instances:
                link.is_retiring = True
                link.takes_more = False
                if not link.is_open and not link.outstanding:
                    self._forget(link)
        self._connect()
        self._schedule()

    @property
    def outstanding(self) -> int:
        """Deliveries handed over and not acknowledged, or waiting to be handed over again."""
        return sum(len(link.outstanding) for link in self._links.values()) + len(self._again)

    def _connect(self) -> None:
        self._reconnect = None
        if self._topology is None:
            return
        for id, path in self._topology.instances.items():
            if id not in self._links:
                try:
                    link = Link(id, path, self._loop, self._heard, self._ended)
                except OSError as error:
                    # it died meanwhile (the supervisor will say so), or its backlog is full
                    log.debug("instance cannot be reached yet", extra={"instance": id, "error": str(error)})
                    if self._reconnect is None:
                        self._reconnect = self._loop.call_later(RECONNECT_S, self._reconnected)
                else:
                    self._links[id] = link

    def _reconnected(self) -> None:
        self._connect()
        self._schedule()

    # -- handing over -----------------------------------------------------------------------------------

    def _became_ready(self, queue: Queue) -> None:
        self._ready[queue] = None
        self._schedule()

    def _schedule(self) -> None:
        # after this turn of the loop, so that everything in it goes out together
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        self._is_scheduled = False
        if self._is_closed or self._topology is None:
            return
        links = [] if self._is_paused else [link for link in self._links.values() if link.takes_more]
        while self._again and links:
            sent = self._again.popleft()
            if self._has_graph(sent.queue, sent.lease):
                self._give(links, sent)
        window, window_bytes = self._limits.window_deliveries, self._limits.window_bytes
        while links and self._ready:
            queue = next(iter(self._ready))
            del self._ready[queue]
            room = sum(window - len(link.outstanding) for link in links)
            room_bytes = sum(window_bytes - link.load for link in links)
            leases = queue.lease(room, room_bytes)
            if leases:
                self._ready[queue] = None  # there may be more; the others come first
            for lease in leases:
                if self._has_graph(queue, lease):
                    is_alone = lease.is_suspect or lease.crashes > 0
                    self._give(links, Sent(queue, lease, self._weight(lease), is_alone))
        for link in self._links.values():
            if link.items:
                link.flush()
                link.was_pressed = False
        if self._drained is not None:
            self._press()
            self._check_drained()
        elif not links and (self._again or self._ready):
            self._press()

    def _give(self, links: list[Link], sent: Sent) -> None:
        """Put a delivery into the batch of the least loaded link; takes links that are full then out of ``links``.

        Without any link left (a lease may be larger than the window had room for), it goes to the least loaded open one.
        """
        candidates = links or [link for link in self._links.values() if link.is_open and not link.is_retiring]
        link = candidates[0]
        for other in candidates:
            if other.load < link.load:
                link = other
        self._last_number = number = self._last_number + 1
        link.add(number, sent)
        limits = self._limits
        if links and (len(link.outstanding) >= limits.window_deliveries or link.load >= limits.window_bytes):
            link.takes_more = False
            links.remove(link)

    def _weight(self, lease: Lease) -> int:
        body = lease.body
        if isinstance(body, Spooled):
            # it takes no memory on its way; but whoever reads it is busy for long
            return max(OVERHEAD_BYTES, min(body.size, self._limits.window_bytes // 8))
        return OVERHEAD_BYTES + len(body if lease.decoded is None else lease.decoded)

    def _has_graph(self, queue: Queue, lease: Lease) -> bool:
        assert self._topology is not None
        graph = lease.header.graph
        if graph in self._topology.graphs:
            return True
        if graph in self._topology.failed:
            queue.nack(lease, FAILED_GRAPH_S, "the graph could not be set up")
            return False
        queue.dead_letter(lease, "graph.gone", f"graph {graph!r} is not deployed any more; deploy it, then replay")
        return False

    def _press(self) -> None:
        """Every window is full and more waits: have the instances let go of what their components hold."""
        for link in self._links.values():
            if link.is_open and not link.was_pressed:
                link.was_pressed = True
                link.write(protocol.signal(protocol.PRESSURE))

    # -- what instances say -----------------------------------------------------------------------------

    def _heard(self, link: Link, kind: int, head: bytes) -> None:
        if kind == protocol.ACKS:
            self._acknowledge(link, protocol.read_acks(head))
        elif kind == protocol.BEGIN:
            link.begun = protocol.read_begin(head)
        elif kind == protocol.END:
            link.begun = None
        elif kind == protocol.GOODBYE:
            link.close()
            self._take_back(link)
            self._forget(link)

    def _acknowledge(self, link: Link, acks: protocol.Acks) -> None:
        take = link.outstanding.pop
        for batch in acks.published:
            for number in batch.numbers:
                sent = take(number, None)
                if sent is not None:
                    link.load -= sent.weight
                    sent.queue.ack(sent.lease, _PUBLISHED)
        for number, outcome in acks.outcomes:
            sent = take(number, None)
            if sent is not None:
                link.load -= sent.weight
                sent.queue.ack(sent.lease, outcome)
                if outcome.failed:
                    _report(sent.lease, outcome)
        limits = self._limits
        if not link.takes_more and link.is_open and not link.is_retiring:
            link.takes_more = len(link.outstanding) < limits.window_deliveries and link.load < limits.window_bytes
        if self._ready or self._again:
            self._schedule()
        if self._drained is not None:
            self._check_drained()

    def _ended(self, link: Link) -> None:
        """The connection ended without a goodbye: nothing is sent elsewhere before the supervisor has reaped the instance."""
        if link.is_retiring and not link.outstanding:
            self._forget(link)
            return
        log.warning("instance lost", extra={"instance": link.id, "outstanding": len(link.outstanding)})
        self._on_lost(link.id)

    def gone(self, id: int, death: Death | None = None) -> None:
        """The instance is dead and reaped: what it had goes elsewhere, suspects to be run alone."""
        link = self._links.get(id)
        if link is None:
            return
        link.read_rest()
        # what it still said may have been its goodbye
        if self._links.get(id) is link:
            self._judge(link)
            self._take_back(link)
            self._forget(link)

    def _judge(self, link: Link) -> None:
        if link.begun is None:
            for sent in link.outstanding.values():
                sent.is_alone = True
            return
        begun = link.outstanding.get(link.begun)
        if begun is None:
            return  # the lone run was another worker's, or is over: nothing else was begun since
        crashes = begun.queue.record_crash(begun.lease)
        extra = {"receipt": begun.lease.id, "instance": link.id, "crashes": crashes}
        log.warning("instance died while it ran one delivery alone", extra=extra)
        if crashes >= MAX_CRASHES:
            del link.outstanding[link.begun]
            reason = f"the instance died {crashes} times while it ran nothing but this delivery"
            begun.queue.dead_letter(begun.lease, "instance.killed", reason)

    def _take_back(self, link: Link) -> None:
        self._again.extendleft(reversed(link.outstanding.values()))
        link.outstanding.clear()
        self._schedule()

    def _forget(self, link: Link) -> None:
        link.close()
        if self._links.get(link.id) is link:
            del self._links[link.id]
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
        if self._drained.done() or any(link.outstanding for link in self._links.values()):
            return
        if self._is_paused or not (self._again or self._has_work()):
            self._drained.set_result(None)

    def _has_work(self) -> bool:
        """True if there are deliveries that some instance could take; those of graphs that failed are put off."""
        if self._topology is None or not self._topology.instances:
            return False
        return any(stats.deliveries > stats.delayed for stats in (queue.stats() for queue in self._queues))

    def close(self) -> None:
        """Close all connections. What is still out stays in the queues and is run again."""
        self._is_closed = True
        if self._reconnect is not None:
            self._reconnect.cancel()
        for queue in self._queues:
            queue.on_ready = None
        for link in list(self._links.values()):
            link.close()
        self._links.clear()


def _report(lease: Lease, outcome: Outcome) -> None:
    """One line for a delivery with documents that failed; the dead letters have the rest."""
    extra: dict[str, Any] = {"receipt": lease.id, "graph": lease.header.graph, "failed": outcome.failed}
    if outcome.dead_letters:
        first = outcome.dead_letters[0]
        extra |= {
            "dead_letters": len(outcome.dead_letters),
            "filter": first.filter,
            "code": first.code,
            "error": first.error[:200],
        }
    log.warning("documents failed", extra=extra)
