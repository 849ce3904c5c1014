"""The packets that go over a wire, as an ingest worker shows them to its clients."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import orjson

from pypes.access.account import Account
from pypes.errors import NotFound, Unavailable
from pypes.ingest.dispatch.taps import Taps
from pypes.ingest.dispatch.topology import Topology
from pypes.runtime.worker.viewers import HELLO, Viewer, as_sse, check_viewers

#: Clients of one worker that look at packets at a time.
MOST_VIEWERS = 20
#: Seconds to wait for an instance to say which wires there are.
ANSWER_S = 10.0
#: Seconds between two signs that somebody is there.
QUIET_S = 15.0


class TapViewer(Viewer):
    """A client that looks at a wire. What it is sent is a stream of events, or pieces of a list.

    ``most``: so many packets are enough; 0: all that come.
    """

    def __init__(self, worker: WorkerTaps, graph: str, wire: str, most: int, owner: Account | None, *, is_stream: bool) -> None:
        super().__init__(lambda: worker.forget(self), owner)
        self.graph = graph
        self.wire = wire
        #: Packets that went by unseen since the last one.
        self.missed = 0
        #: Resolved with the names of the wires.
        self.known: asyncio.Future[Sequence[str]] = asyncio.get_running_loop().create_future()
        self._now = worker.now
        self._most = most
        self._count = 0
        self._is_stream = is_stream
        self._beat = asyncio.get_running_loop().call_later(QUIET_S, self._sign) if is_stream else None
        if is_stream:
            self.put(HELLO + b"\n")

    def packets(self, instance: int, packets: Sequence[bytes], missed: int) -> None:
        self.missed += missed
        for form in packets:
            if self.is_over:
                return
            about = orjson.dumps({"time": self._now(), "instance": instance, "missed": self.missed})
            self.missed = 0
            data = b'%b,"packet":%b}' % (about[:-1], form)
            if self._is_stream:
                self.put(b"event: packet\ndata: %b\n\n" % data)
            else:
                self.put(b",%b" % data if self._count else data)
            self._count += 1
            if self._count == self._most:
                self._say_end("these are as many as were asked for")

    def wires(self, names: Sequence[str]) -> None:
        if not self.known.done():
            self.known.set_result(names)

    def ended(self, reason: str) -> None:
        # of an unknown wire the client is told otherwise, before there is an answer
        if self.known.done() and self.wire:
            self._say_end(reason)
        elif not self.known.done():
            self.known.set_exception(Unavailable(reason, code="taps.too_many"))

    def _say_end(self, reason: str) -> None:
        if self._is_stream and not self.is_over:
            self.put(as_sse("end", {"reason": reason}))
        self.end()

    def _sign(self) -> None:
        self.put(b":\n\n")
        self._beat = asyncio.get_running_loop().call_later(QUIET_S, self._sign)

    def close(self) -> None:
        if self._beat is not None:
            self._beat.cancel()
        if self.known.done() and not self.known.cancelled():
            self.known.exception()  # or the loop would complain that nobody has asked
        super().close()


class WorkerTaps:
    """Opens taps for clients. ``now()`` gives the time as it is shown."""

    def __init__(self, taps: Taps, topology: Callable[[], Topology], now: Callable[[], str]) -> None:
        self._taps = taps
        self._topology = topology
        self.now = now
        self._open: dict[TapViewer, Callable[[], None]] = {}

    async def open(
        self, graph: str, wire: str, most: int = 0, owner: Account | None = None, *, is_stream: bool = False
    ) -> TapViewer:
        """A client that looks at a wire of a graph; ``owner`` is its account.

        Raises as :func:`check_viewers`, :class:`NotFound` for a graph or a wire that there is not, and :class:`Unavailable` while
        nothing runs the graph.
        """
        check_viewers(self._open, MOST_VIEWERS, owner, "packets", "taps.viewers")
        viewer = TapViewer(self, graph, wire, most, owner, is_stream=is_stream)
        tap = self._taps.open(graph, wire, viewer)
        self._open[viewer] = lambda: self._taps.close(tap, viewer)
        try:
            self._check(graph)
            self._taps.sync()
            async with asyncio.timeout(ANSWER_S):
                names = await viewer.known
            if wire and wire not in names:
                raise NotFound(
                    f"graph {graph!r} has no wire {wire!r}; there are {', '.join(names)}", code="wire.not_found", where=wire
                )
        except BaseException as error:
            viewer.close()
            if isinstance(error, TimeoutError):
                raise Unavailable(
                    f"no instance that runs graph {graph!r} has answered; GET /graphs/{graph} says how it is",
                    code="taps.not_running",
                ) from None
            raise
        return viewer

    async def wires(self, graph: str, owner: Account | None = None) -> Sequence[str]:
        """The names of the wires of a graph; raises as :meth:`open` does."""
        viewer = await self.open(graph, "", owner=owner)
        viewer.close()
        return viewer.known.result()

    def _check(self, graph: str) -> None:
        topology = self._topology()
        if topology.is_complete and not topology.has(graph):
            raise NotFound(f"there is no graph {graph!r}; GET /graphs lists them", code="graph.not_found", where=graph)

    def forget(self, viewer: TapViewer) -> None:
        """A client has gone."""
        close = self._open.pop(viewer, None)
        if close is not None:
            close()
