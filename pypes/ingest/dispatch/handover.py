"""Handing over: the choice of the next deliveries, and of the instances that get them.

What is out is bounded per graph and instance, so that a graph whose publisher is stuck keeps no other waiting, and graphs are
served in weighted round robin. Bulk goes out only while nothing live waits, a little at a time: what is live must not queue
behind it in the instances.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from operator import attrgetter

from pypes.core.limits import Limits
from pypes.ingest.contracts.leasing import Lease, Leasing, Stream
from pypes.ingest.dispatch.committed import Committed
from pypes.ingest.dispatch.copies import Copies
from pypes.ingest.dispatch.link import Link, Sent
from pypes.ingest.dispatch.links import Links
from pypes.ingest.dispatch.suspects import Suspects
from pypes.ingest.dispatch.topology import Topology
from pypes.ingest.dispatch.window import Windows

#: Deliveries of a graph that is gone that become dead letters at a time: a backlog may be long, and others wait meanwhile.
BURIED_AT_ONCE = 64
#: Time for which deliveries of a graph that could not be set up are put off.
FAILED_GRAPH_S = 2.0
_ANY_BYTES = 1 << 62
_load_of = attrgetter("load")
#: Deliveries that a graph hands over in one round; its weight multiplies them.
QUANTUM_DELIVERIES = 64
#: A graph of which nothing was acknowledged for this long, though its windows are full, does not hold bulk back, in seconds.
STALLED_S = 1.0
#: So long after a live document, bulk leaves half of the instances to the next, in seconds.
LIVE_S = 1.0


class Handover:
    """Puts what queues have into the batches of links with room. ``on_again()``: bulk that was held back may go; try again."""

    def __init__(self, limits: Limits, links: Links, on_again: Callable[[], None]) -> None:
        #: The topology that was announced last; ``None`` before the first time.
        self.topology: Topology | None = None
        #: Queues that may have something leasable, the next one to be asked first.
        self.ready: dict[Leasing, None] = {}
        #: Deliveries that came back from instances, to be handed over again.
        self.again: dict[Stream, deque[Sent]] = {}
        self.committed = Committed()
        self._windows = Windows(limits)
        self._links = links
        self._on_again = on_again
        self._loop = asyncio.get_running_loop()
        self._copies = Copies(self._loop)
        self._suspects = Suspects(self._loop, on_again)
        self._first = 0
        #: The time at which a live delivery was last handed over.
        self._live_at = -LIVE_S
        self._last_number = 0
        self._bulk_timer: asyncio.TimerHandle | None = None

    def apply(self, topology: Topology) -> None:
        """Hand over to these instances from now on."""
        self.topology = topology
        self._copies.apply(topology.shadows)
        self._suspects.apply(topology)

    @property
    def paused(self) -> frozenset[str]:
        """Graphs whose deliveries stay in the queues: somebody has paused them, or they cannot run."""
        assert self.topology is not None
        return self.topology.waiting

    def running(self, links: list[Link], stream: Stream) -> list[Link]:
        """Those of ``links`` whose instances run the graph; an instance that does not would not know what to do with it."""
        assert self.topology is not None
        runs, graph = self.topology.runs, stream.graph
        if runs:
            links = [link for link in links if link.id not in runs or graph in runs[link.id]]
        # an instance may have let go of a graph before the supervisor's word of it is here
        return [link for link in links if graph not in link.left] if any(link.left for link in links) else links

    def fill(self, links: list[Link]) -> list[Stream]:
        """Fill the batches of ``links`` as far as there is room; returns the streams of which some had none."""
        full: list[Stream] = []
        if self.again:
            full += self._give_again(links)
        if self.ready:
            full += self._hand_over_waiting(links)
        return full

    def bury(self) -> None:
        """Make dead letters of what waits for graphs that are not deployed any more. This needs no instance."""
        for leasing in list(self.ready):
            self._streams_of(leasing)
        assert self.topology is not None
        if self.topology.is_complete:
            for stream in [stream for stream in self.again if not self.topology.has(stream.graph)]:
                for sent in self.again.pop(stream):
                    self._has_graph(sent.leasing, sent.lease)

    def _streams_of(self, leasing: Leasing) -> tuple[list[Stream], bool]:
        """The streams that have something leasable, and whether there are others.

        Those are of graphs that are gone: some of their deliveries become dead letters, the rest in later iterations of the loop.
        """
        topology = self.topology
        assert topology is not None
        streams = leasing.streams()
        if not topology.is_complete:
            return streams, False
        # the stream without a name is of what cannot be read
        gone = [stream for stream in streams if stream.graph and not topology.has(stream.graph)]
        for stream in gone:
            streams.remove(stream)
            for lease in leasing.take(stream, BURIED_AT_ONCE, _ANY_BYTES):
                if self._has_graph(leasing, lease):
                    leasing.nack(lease)
            self._on_again()
        return streams, bool(gone)

    def take_back_of(self, link: Link, numbers: Sequence[int]) -> None:
        """As :meth:`take_back`, for what is out under these numbers."""
        for number in reversed(numbers):
            sent = link.take(number)
            if sent is not None:
                sent.returned += 1
                self.again.setdefault(sent.stream, deque()).appendleft(sent)

    def take_back(self, link: Link) -> None:
        """Have the deliveries that are out on a link handed over again, before all others."""
        for sent in reversed(link.outstanding.values()):
            sent.returned += 1
            self.again.setdefault(sent.stream, deque()).appendleft(sent)
        link.outstanding.clear()

    def forget(self, lease: Lease) -> None:
        """Do not hand over again what another holder may have by now. A run that is under way ends without effect."""
        self.committed.forget(lease.id)
        for stream, waiting in list(self.again.items()):
            left = [sent for sent in waiting if sent.lease is not lease]
            if not left:
                del self.again[stream]
            elif len(left) < len(waiting):
                self.again[stream] = deque(left)

    def _give_again(self, links: list[Link]) -> list[Stream]:
        """Hand over what came back from other instances; returns the streams of which some had no room."""
        full = []
        for stream, waiting in list(self.again.items()):
            if stream.graph in self.paused:
                continue
            held: list[Sent] = []
            while waiting and (open_links := self._windows.with_room(self.running(links, stream), stream)):
                sent = waiting.popleft()
                if not self._has_graph(sent.leasing, sent.lease):
                    continue
                if sent.is_alone and not (open_links := self._places(stream, open_links)):
                    held.append(sent)
                    continue
                sent.rerun = self.committed.over(sent.lease.id, sent.leasing.rerun(sent.lease))
                self._give(open_links, [sent])
            waiting.extendleft(reversed(held))
            if waiting:
                full.append(stream)
            else:
                del self.again[stream]
        return full

    def _places(self, stream: Stream, candidates: list[Link]) -> list[Link]:
        """Those of ``candidates`` that may get a suspect."""
        running = self.running([link for link in self._links if link.takes_more], stream)
        return self._suspects.places(stream.graph, running, candidates)

    def _hand_over_waiting(self, links: list[Link]) -> list[Stream]:
        """Hand over waiting deliveries, live before bulk; returns the streams with deliveries for which there was no room."""
        assert self.topology is not None
        live: list[tuple[Leasing, Stream]] = []
        bulk: list[tuple[Leasing, Stream]] = []
        for leasing in list(self.ready):
            deployed, is_burying = self._streams_of(leasing)
            streams = [stream for stream in deployed if stream.graph not in self.paused]
            if not streams and not is_burying:
                del self.ready[leasing]  # it tells when there is something again
            for stream in streams:
                if stream.graph not in self.topology.ordered or not self._is_held(stream.graph):
                    (bulk if stream.is_bulk else live).append((leasing, stream))
        full = self._hand_over(links, live)
        if live:
            self._live_at = self._loop.time()
        if bulk and not self._is_any_moving(links, full):
            full += self._hand_over(links, bulk)
        elif bulk and self._bulk_timer is None:
            self._bulk_timer = self._loop.call_later(STALLED_S, self._try_bulk)
        for leasing in {leasing: None for leasing, _ in (*live, *bulk)}:
            if not leasing.streams():
                del self.ready[leasing]  # PERF: or the next acknowledgement would have it asked in vain
        return full

    def _open_to(self, stream: Stream, links: list[Link]) -> list[Link]:
        """Links open to a stream. While live documents come, bulk leaves half of the instances free for them."""
        if stream.is_bulk and self._loop.time() - self._live_at <= LIVE_S:
            all_running = self.running([link for link in self._links if not link.is_retiring], stream)
            chosen = all_running[: max(1, len(all_running) // 2)]
            return [link for link in links if link in chosen]
        return self.running(links, stream)

    def _is_held(self, graph: str) -> bool:
        """True while an instance may still work on documents of an ordered graph that an earlier owner of the queues had sent.

        That one was killed, the instance was not: what it has may be published at any time, so nothing newer must be before.
        """
        return any(link.held is None or graph in link.held for link in self._links)

    def _hand_over(self, links: list[Link], streams: list[tuple[Leasing, Stream]]) -> list[Stream]:
        """Serve streams of one lane in weighted round robin until they have nothing or no room; returns those without room."""
        assert self.topology is not None
        full: list[Stream] = []
        if len(streams) > 1:
            # whoever was first last time is not this time
            self._first = (self._first + 1) % len(streams)
            streams = streams[self._first :] + streams[: self._first]
        rotation = deque(streams)
        while rotation:
            leasing, stream = rotation.popleft()
            open_links = self._windows.with_room(self._open_to(stream, links), stream)
            if not open_links:
                full.append(stream)
                continue
            window, window_bytes = self._windows.bounds(stream)
            room = sum(window - link.window(stream).count for link in open_links)
            room_bytes = sum(window_bytes - link.window(stream).load for link in open_links)
            if stream.is_bulk:
                room = 1  # its size says little of the work: how many documents it has is known only then
            elif rotation:
                room = min(room, QUANTUM_DELIVERIES * self.topology.weights.get(stream.graph, 1))
            leases = leasing.take(stream, room, room_bytes)
            if not leases:
                continue
            rotation.append((leasing, stream))
            if self._copies:
                self._copies.copy(stream.graph, leases)
            if given := self._to_give(leasing, stream, leases):
                self._give(open_links, given)
        return full

    def _to_give(self, leasing: Leasing, stream: Stream, leases: Sequence[Lease]) -> list[Sent]:
        """New leases as they are given; not those whose graphs are gone, nor those that must run alone, which wait."""
        assert self.topology is not None
        graphs, weight, committed = self.topology.graphs, self._windows.weight, self.committed or None
        given = []
        for lease in leases:
            if lease.header.graph not in graphs and not self._has_graph(leasing, lease):
                continue
            if lease.is_suspect or lease.crashes > 0:
                self.again.setdefault(stream, deque()).append(Sent(leasing, stream, lease, weight(lease), True, lease.rerun))
                self._on_again()
                continue
            rerun = lease.rerun if committed is None else committed.over(lease.id, lease.rerun)
            given.append(Sent(leasing, stream, lease, weight(lease), False, rerun))
        return given

    def _is_any_moving(self, links: list[Link], full: list[Stream]) -> bool:
        """True if one of these streams with full windows is being worked on: bulk must not get in its way."""
        since = self._loop.time() - STALLED_S
        return any(link.window(stream).moved_at > since for stream in full for link in links)

    def is_moving(self, graph: str) -> bool:
        """True if instances work on a graph: something was acknowledged of what they have, or handed over, just now."""
        if self.topology is None or graph in self.paused:
            return False
        since = self._loop.time() - STALLED_S
        return any(
            window.count > 0 and window.moved_at > since
            for link in self._links
            for stream, window in link.windows.items()
            if stream.graph == graph
        )

    def _try_bulk(self) -> None:
        self._bulk_timer = None
        self._on_again()

    def _give(self, links: list[Link], given: Sequence[Sent]) -> None:
        """Put deliveries of one stream into the batches of the least loaded links; takes those out of ``links`` that are full.

        Without any link left (a lease may be larger than the window had room for), they go to the least loaded open one. What an
        instance is done with at once is not spread over several: each frame costs an instance as much as a dozen documents.
        """
        now = self._loop.time()
        stream = given[0].stream
        most, most_bytes = self._windows.bounds(stream)
        is_sole = len(links) == len(self._links) == 1  # PERF: there is nothing to choose
        while given:
            link = min(links or self.running([link for link in self._links if link.takes_more], stream), key=_load_of)
            window = link.window(stream)
            count = len(given) if is_sole else window.share(given, most, most_bytes)
            link.add(self._last_number + 1, given[:count], now)
            self._last_number += count
            given = given[count:]
            if links and not is_sole and (window.count >= most or window.load >= most_bytes):
                links.remove(link)

    def _has_graph(self, leasing: Leasing, lease: Lease) -> bool:
        assert self.topology is not None
        graph = lease.header.graph
        if graph in self.topology.graphs:
            return True
        if graph in self.topology.failed:
            leasing.nack(lease, FAILED_GRAPH_S)
            return False
        leasing.dead_letter(lease, "graph.gone", f"graph {graph!r} is not deployed any more; deploy it, then replay")
        self.committed.forget(lease.id)
        return False

    def close(self) -> None:
        if self._bulk_timer is not None:
            self._bulk_timer.cancel()
        self._copies.close()
        self._suspects.close()
