"""The links of an ingest worker: one to each instance that was announced, tried again until it is there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

from pypes.ingest import protocol
from pypes.ingest.contracts.leasing import Stream
from pypes.ingest.dispatch.link import Link

log = logging.getLogger(__name__)

_RECONNECT_S = 0.05


class Links:
    """Connects to instances. ``on_frame`` and ``on_end`` are as in :class:`Link`; ``on_connect()`` after another try."""

    def __init__(
        self, on_frame: Callable[[Link, int, bytes], None], on_end: Callable[[Link], None], on_connect: Callable[[], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_frame = on_frame
        self._on_end = on_end
        self._on_connect = on_connect
        self._instances: Mapping[int, str] = {}
        self._links: dict[int, Link] = {}
        self._reconnect: asyncio.TimerHandle | None = None

    def __iter__(self) -> Iterator[Link]:
        return iter(self._links.values())

    def __len__(self) -> int:
        return len(self._links)

    def get(self, id: int) -> Link | None:
        return self._links.get(id)

    @property
    def outstanding(self) -> int:
        """Deliveries handed over and not acknowledged."""
        return sum(len(link.outstanding) for link in self)

    def announce(self, instances: Mapping[int, str], retiring: Mapping[int, str]) -> list[Link]:
        """Connect to ``instances`` (id → socket path), give no more to others; returns those that nobody needs any longer.

        Those ``retiring`` are connected to as well: they may still work on what an earlier owner of the queues had sent.
        """
        self._instances = instances
        done = []
        for link in self:
            if link.id not in instances:
                link.is_retiring = True
                link.takes_more = False
                if not link.is_open and not link.outstanding:
                    done.append(link)
        for id in retiring.keys() - self._links.keys():
            with suppress(OSError):  # it has ended meanwhile, and publishes nothing more
                link = self._links[id] = Link(id, retiring[id], self._loop, self._on_frame, self._on_end)
                link.is_retiring = True
                link.takes_more = False
        self._connect()
        return done

    def remove(self, link: Link) -> bool:
        """A link was closed and is needed no more; False if it was removed already."""
        if self._links.get(link.id) is not link:
            return False
        del self._links[link.id]
        return True

    def _connect(self) -> None:
        for id, path in self._instances.items():
            if id not in self._links:
                try:
                    self._links[id] = Link(id, path, self._loop, self._on_frame, self._on_end)
                except OSError as error:
                    # it died meanwhile (the supervisor will say so), or its backlog is full
                    log.debug("instance cannot be reached yet", extra={"instance": id, "error": str(error)})
                    if self._reconnect is None:
                        self._reconnect = self._loop.call_later(_RECONNECT_S, self._connect_again)

    def _connect_again(self) -> None:
        self._reconnect = None
        self._connect()
        self._on_connect()

    def flush(self) -> None:
        """Write the added deliveries."""
        for link in self:
            if link.items:
                link.flush()
                link.was_flush_requested = False

    def request_flush(self) -> None:
        """Every window is full and more waits: have the instances let go of what their components hold."""
        for link in self:
            if link.is_open and not link.was_flush_requested:
                link.was_flush_requested = True
                link.write(protocol.signal(protocol.FLUSH))

    def request_flush_of_stream(self, stream: Stream) -> None:
        """A stream waits for what it has out: have the instances let go of that."""
        for link in self:
            window = link.windows.get(stream)
            if link.is_open and window is not None and window.count and not window.was_flush_requested:
                window.was_flush_requested = True
                link.write(protocol.signal(protocol.FLUSH))

    def request_flush_of_graph(self, graph: str) -> None:
        """As :meth:`request_flush_of_stream`, for both lanes of a graph."""
        for is_bulk in (False, True):
            self.request_flush_of_stream(Stream(graph, is_bulk))

    def close(self) -> None:
        """Close all connections for good."""
        if self._reconnect is not None:
            self._reconnect.cancel()
        for link in self:
            link.close()
        self._links.clear()
