"""The dispatcher of an ingest worker: hands deliveries to instances, and keeps each until it is acknowledged.

A delivery is in at most one living instance. When a connection ends, what was handed over stays where it is until the
supervisor says that the instance is dead and reaped (:meth:`Dispatcher.gone`); only then does it go elsewhere.

What is out is bounded per graph and instance, so that a graph whose publisher is stuck keeps no other waiting, and graphs take
turns. Bulk goes out only while nothing live waits, a little at a time: what is live must not queue behind it in the instances.

Deliveries and acknowledgements cost neither task nor future each: all that became leasable in one turn of the loop goes out
in one write per instance.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any

from pypes.core.limits import Limits
from pypes.ingest import protocol
from pypes.ingest.dispatch.copies import Copies
from pypes.ingest.dispatch.link import Link, Sent
from pypes.ingest.dispatch.links import Links
from pypes.ingest.dispatch.topology import Topology
from pypes.ingest.dispatch.verdict import judge
from pypes.ingest.dispatch.window import Windows
from pypes.ingest.outcome import Death, Details, Fate, Outcome
from pypes.ingest.queue import Lease, Queue, Stream

log = logging.getLogger(__name__)

#: How long deliveries of a graph that could not be set up are put off.
FAILED_GRAPH_S = 2.0
#: Deliveries that a graph hands over before it is another's turn.
TURN_DELIVERIES = 64
#: A graph of which nothing was acknowledged for this long, though its windows are full, does not hold bulk back, in seconds.
STALLED_S = 1.0
#: So long after a live document, bulk leaves half of the instances to the next, in seconds.
LIVE_S = 1.0

_KEPT_OUTCOMES = 256


class Dispatcher:
    """Moves deliveries between the queues of this worker and all instances. Used within one event loop.

    ``on_lost(id)`` is called when the connection to an instance ended unexpectedly: whoever hears it has the instance killed
    and calls :meth:`gone` once it is reaped.
    """

    #: Called with what an instance says of the sources it runs (link, kind, head), and when it will say nothing more: with True
    #: first if it ended in order.
    on_fetch: Callable[[Link, int, bytes], None] | None = None
    on_gone: Callable[[Link, bool], None] | None = None

    def __init__(self, limits: Limits, on_lost: Callable[[int], None]) -> None:
        self._windows = Windows(limits)
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._copies = Copies(self._loop)
        self._queues: list[Queue] = []
        #: Queues that may have something leasable, the one whose turn it is first.
        self._ready: dict[Queue, None] = {}
        self._topology: Topology | None = None
        self._links = Links(self._heard, self._ended, self._schedule)
        self._again: dict[Stream, deque[Sent]] = {}
        self._turn = 0
        #: When a live delivery was last handed over.
        self._live_at = -LIVE_S
        self._outcomes: dict[tuple[int, tuple[str, ...]], Outcome] = {}
        self._last_number = 0
        self._is_scheduled = False
        self._is_closed = False
        self._is_paused = False
        self._drained: asyncio.Future[None] | None = None
        self._bulk_timer: asyncio.TimerHandle | None = None

    # -- what there is ----------------------------------------------------------------------------------

    def add(self, queue: Queue) -> None:
        """Serve a queue from now on."""
        self._queues.append(queue)
        queue.on_ready = lambda: self._became_ready(queue)
        self._became_ready(queue)

    def apply(self, topology: Topology) -> None:
        """Take up what the supervisor announced. Instances that are not in it get nothing more, and finish what they have."""
        self._topology = topology
        self._copies.apply(topology.shadows)
        for link in self._links.announce(topology.instances, topology.retiring):
            self._forget(link)
        # what a pause held back may go on
        self._ready.update(dict.fromkeys(self._queues))
        self._schedule()

    @property
    def topology(self) -> Topology | None:
        """What was announced last; ``None`` before the first time."""
        return self._topology

    def elect(self, graph: str) -> Link | None:
        """Of the instances that run a graph, the one that has least to do; ``None`` while there is none."""
        if self._is_closed or self._is_paused or self._topology is None:
            return None
        links = self._running([link for link in self._links if link.takes_more], Stream(graph, is_bulk=False))
        return min(links, key=lambda link: link.load, default=None)

    @property
    def _paused(self) -> frozenset[str]:
        """Graphs whose deliveries stay in the queues."""
        assert self._topology is not None
        return self._topology.paused

    @property
    def outstanding(self) -> int:
        """Deliveries handed over and not acknowledged, or waiting to be handed over again."""
        return self._links.outstanding + sum(map(len, self._again.values()))

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
        links = [] if self._is_paused else [link for link in self._links if link.takes_more]
        full: list[Stream] = []
        if links:
            if self._again:
                full += self._give_again(links)
            if self._ready:
                full += self._take_turns(links)
        self._links.flush()
        if self._drained is not None:
            self._links.press()
            self._check_drained()
        elif not links and (self._again or self._ready):
            self._links.press()
        else:
            for stream in full:
                self._links.press_stream(stream)
            for graph in self._topology.ordered:
                if any(queue.is_held(graph) for queue in self._queues):
                    for is_bulk in (False, True):
                        self._links.press_stream(Stream(graph, is_bulk))

    def _give_again(self, links: list[Link]) -> list[Stream]:
        """Hand over what came back from other instances; returns the streams of which some had no room."""
        full = []
        for stream, waiting in list(self._again.items()):
            if stream.graph in self._paused:
                continue
            while waiting and (open_links := self._windows.with_room(self._running(links, stream), stream)):
                sent = waiting.popleft()
                if self._has_graph(sent.queue, sent.lease):
                    sent.rerun = sent.queue.rerun(sent.lease)
                    self._give(open_links, sent)
            if waiting:
                full.append(stream)
            else:
                del self._again[stream]
        return full

    def _take_turns(self, links: list[Link]) -> list[Stream]:
        """Hand over what the queues have, live before bulk; returns the streams of which some had no room."""
        assert self._topology is not None
        live: list[tuple[Queue, Stream]] = []
        bulk: list[tuple[Queue, Stream]] = []
        for queue in list(self._ready):
            streams = [stream for stream in queue.streams() if stream.graph not in self._paused]
            if not streams:
                del self._ready[queue]  # it tells when there is something again
            for stream in streams:
                if stream.graph not in self._topology.ordered or not self._is_held(stream.graph):
                    (bulk if stream.is_bulk else live).append((queue, stream))
        full = self._hand_over(links, live)
        if live:
            self._live_at = self._loop.time()
        if bulk and not self._is_any_moving(links, full):
            full += self._hand_over(links, bulk)
        elif bulk and self._bulk_timer is None:
            self._bulk_timer = self._loop.call_later(STALLED_S, self._try_bulk)
        return full

    def _open_to(self, stream: Stream, links: list[Link]) -> list[Link]:
        """Where a stream may go. While live documents come, bulk spares half of the instances, so that those find one idle."""
        if stream.is_bulk and self._loop.time() - self._live_at <= LIVE_S:
            all_running = self._running([link for link in self._links if not link.is_retiring], stream)
            chosen = all_running[: max(1, len(all_running) // 2)]
            return [link for link in links if link in chosen]
        return self._running(links, stream)

    def _is_held(self, graph: str) -> bool:
        """True while an instance may still work on documents of an ordered graph that an earlier owner of the queues had sent.

        That one was killed, the instance was not: what it has may be published at any time, so nothing newer must be before.
        """
        return any(link.held is None or graph in link.held for link in self._links)

    def _hand_over(self, links: list[Link], streams: list[tuple[Queue, Stream]]) -> list[Stream]:
        """Let streams of one lane take turns until they have nothing or no room; returns those that had no room."""
        assert self._topology is not None
        full: list[Stream] = []
        if len(streams) > 1:
            # whoever was first last time is not this time
            self._turn = (self._turn + 1) % len(streams)
            streams = streams[self._turn :] + streams[: self._turn]
        turns = deque(streams)
        while turns:
            queue, stream = turns.popleft()
            open_links = self._windows.with_room(self._open_to(stream, links), stream)
            if not open_links:
                full.append(stream)
                continue
            window, window_bytes = self._windows.bounds(stream)
            room = sum(window - link.window(stream).count for link in open_links)
            room_bytes = sum(window_bytes - link.window(stream).load for link in open_links)
            if stream.is_bulk:
                room = 1  # its size says little of the work: how many documents it has is known only then
            elif turns:
                room = min(room, TURN_DELIVERIES * self._topology.weights.get(stream.graph, 1))
            leases = queue.lease(room, room_bytes, stream=stream)
            if not leases:
                continue
            turns.append((queue, stream))
            if self._copies:
                self._copies.copy(stream.graph, leases)
            for lease in leases:
                if self._has_graph(queue, lease):
                    is_alone = lease.is_suspect or lease.crashes > 0
                    self._give(open_links, Sent(queue, stream, lease, self._windows.weight(lease), is_alone))
        return full

    def _is_any_moving(self, links: list[Link], full: list[Stream]) -> bool:
        """True if one of these streams with full windows is being worked on: bulk must not get in its way."""
        since = self._loop.time() - STALLED_S
        return any(link.window(stream).moved_at > since for stream in full for link in links)

    def _try_bulk(self) -> None:
        self._bulk_timer = None
        self._schedule()

    def _running(self, links: list[Link], stream: Stream) -> list[Link]:
        """Those of ``links`` whose instances run the graph; an instance that does not would not know what to do with it."""
        assert self._topology is not None
        runs = self._topology.runs
        return [link for link in links if link.id not in runs or stream.graph in runs[link.id]] if runs else links

    def _give(self, links: list[Link], sent: Sent) -> None:
        """Put a delivery into the batch of the least loaded link; takes a link that is full then out of ``links``.

        Without any link left (a lease may be larger than the window had room for), it goes to the least loaded open one.
        """
        candidates = links or self._running([link for link in self._links if link.takes_more], sent.stream)
        link = candidates[0]
        for other in candidates:
            if other.load < link.load:
                link = other
        self._last_number = number = self._last_number + 1
        link.add(number, sent, self._loop.time())
        count, load = self._windows.bounds(sent.stream)
        if links and (sent.window.count >= count or sent.window.load >= load):
            links.remove(link)

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

    # -- what instances say -----------------------------------------------------------------------------

    def _heard(self, link: Link, kind: int, head: bytes) -> None:
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
                sent.queue.committed(sent.lease, said.publisher, said.documents)
        elif kind == protocol.HELD:
            link.held = protocol.read_held(head)
            self._schedule()
        elif kind in (protocol.FETCHED, protocol.ENDED):
            if self.on_fetch is not None:
                self.on_fetch(link, kind, head)
        elif kind == protocol.GOODBYE:
            if self.on_gone is not None:
                self.on_gone(link, True)
            link.close()
            self._take_back(link)
            self._forget(link)

    def _acknowledge(self, link: Link, acks: protocol.Acks) -> None:
        take = link.take
        now = self._loop.time()
        for batch in acks.published:
            outcome = self._published(batch.version, batch.takers)
            ids = batch.ids
            for index, number in enumerate(batch.numbers):
                sent = take(number)
                if sent is not None:
                    sent.window.moved_at = now
                    sent.queue.ack(sent.lease, outcome, ids[index] if ids else None)
        for number, outcome in acks.outcomes:
            sent = take(number)
            if sent is not None:
                sent.window.moved_at = now
                sent.queue.ack(sent.lease, outcome)
                if outcome.failed:
                    _report(sent.lease, outcome)
        if self._ready or self._again:
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
        log.info("instance lost", extra={"instance": link.id, "outstanding": len(link.outstanding)})
        self._on_lost(link.id)

    def gone(self, id: int, death: Death | None = None) -> None:
        """The instance is dead and reaped: what it had goes elsewhere, suspects to be run alone.

        ``death`` says how it ended, as far as that is known; :mod:`pypes.ingest.dispatch.verdict` has what follows from it.
        """
        link = self._links.get(id)
        if link is None:
            return
        link.read_rest()
        # what it still said may have been its goodbye
        if self._links.get(id) is link:
            judge(link, death)
            self._take_back(link)
            self._forget(link)

    def _take_back(self, link: Link) -> None:
        for sent in reversed(link.outstanding.values()):
            self._again.setdefault(sent.stream, deque()).appendleft(sent)
        link.outstanding.clear()
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
        if self._is_paused or not (any(stream.graph not in self._paused for stream in self._again) or self._has_work()):
            self._drained.set_result(None)

    def _has_work(self) -> bool:
        """True if there are deliveries that some instance could take; those of graphs that failed or pause are put off."""
        if self._topology is None or not self._topology.instances:
            return False
        if self._topology.paused:
            return any(stream.graph not in self._paused for queue in self._queues for stream in queue.streams())
        return any(stats.deliveries > stats.delayed for stats in (queue.stats() for queue in self._queues))

    def close(self) -> None:
        """Close all connections. What is still out stays in the queues and is run again."""
        self._is_closed = True
        if self._bulk_timer is not None:
            self._bulk_timer.cancel()
        for queue in self._queues:
            queue.on_ready = None
        self._links.close()
        self._copies.close()


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
