"""Taps: packets of a running graph that ingest workers are shown, on behalf of clients.

A packet is copied, shortened and cleaned here, before anything of it leaves the process; only so many in a second, and none while
the worker does not read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from pypes.core.shown import shown
from pypes.ingest import protocol
from pypes.ingest.protocol import Tapped
from pypes.observe import Hiding
from pypes.runtime.instance.connection import Connection
from pypes.runtime.instance.runner import Runner
from pypes.runtime.scheduler.tapping import Tapping

#: Packets that are shown of one wire in a second, and at once after a pause.
PACKETS_S = 50
#: Bytes of a packet that are shown; of a larger one only its size.
PACKET_BYTES = 32 << 10
#: Taps of one worker at a time.
MOST_TAPS = 20
#: Bytes for a worker that it does not read, beyond which nothing is added.
UNSENT_BYTES = 1 << 20


class Tap:
    """One look at one wire, for one worker."""

    def __init__(
        self, number: int, tapping: Tapping, wire: str, connection: Connection, hiding: Hiding, clock: Callable[[], float]
    ) -> None:
        self._number = number
        self._tapping = tapping
        self._wire = wire
        self._connection = connection
        self._hiding = hiding
        self._clock = clock
        self._room = float(PACKETS_S)
        self._filled_at = clock()
        self._missed = 0
        self._look = self.look  # one object, by which it is found again
        tapping.add(wire, self._look)

    def look(self, values: Sequence[Any]) -> None:
        """Show some of the packets that go over the wire now."""
        now, connection = self._clock(), self._connection
        self._room = min(PACKETS_S, self._room + (now - self._filled_at) * PACKETS_S)
        self._filled_at = now
        count = min(int(self._room), len(values)) if len(connection.unsent) <= UNSENT_BYTES else 0
        if count:
            self._room -= count
            forms = [self._form(value) for value in values[:count]]
            connection.unsent += protocol.tapped(Tapped(self._number, forms, self._missed))
            self._missed = 0
        self._missed += len(values) - count

    def _form(self, value: Any) -> bytes:
        try:
            form = orjson.dumps(self._hiding.excerpt(value))
        except Exception as error:  # nobody's packet is to fail because somebody looks
            return orjson.dumps({"value": f"<a packet that cannot be shown: {shown(error)}>"})
        if len(form) > PACKET_BYTES:
            return orjson.dumps({"value": f"<a packet whose values, shortened, have {len(form)} bytes: too many to be shown>"})
        return form

    def end(self) -> None:
        """Look no more."""
        self._tapping.remove(self._wire, self._look)


class Taps:
    """The taps of an instance. They end with the connection of their worker, and with the graph."""

    def __init__(self, runners: Mapping[str, Runner], send: Callable[[Connection, bytes], None], hiding: Hiding) -> None:
        self._runners = runners
        self._send = send
        self._hiding = hiding
        self._taps: dict[tuple[Connection, int], tuple[str, Tap]] = {}
        self._tappings: dict[str, Tapping] = {}

    def begin(self, connection: Connection, wanted: protocol.Tap) -> None:
        """Answer with the names of the wires, and show packets of the one that is wanted."""
        tapping = self._tapping_of(wanted.graph)
        wires = [] if tapping is None else list(tapping.wires)
        error = ""
        if tapping is not None and wanted.wire in tapping.wires:
            if sum(other is connection for other, _ in self._taps) >= MOST_TAPS:
                error = f"this instance shows {MOST_TAPS} wires already"
            else:
                tap = Tap(wanted.number, tapping, wanted.wire, connection, self._hiding, time.monotonic)
                self._taps[connection, wanted.number] = wanted.graph, tap
        self._send(connection, protocol.tapped(Tapped(wanted.number, [], 0, wires, error)))

    def end(self, connection: Connection, number: int) -> None:
        """Nobody looks any more."""
        found = self._taps.pop((connection, number), None)
        if found is not None:
            found[1].end()

    def drop(self, connection: Connection) -> None:
        """A worker is gone."""
        for key in [key for key in self._taps if key[0] is connection]:
            self.end(*key)

    def leave(self, graph: str) -> None:
        """A graph is torn down."""
        self._tappings.pop(graph, None)
        for key in [key for key, (own, _) in self._taps.items() if own == graph]:
            del self._taps[key]

    def _tapping_of(self, graph: str) -> Tapping | None:
        if graph not in self._tappings and (runner := self._runners.get(graph)) is not None:
            scheduler = runner.scheduler
            self._tappings[graph] = Tapping(scheduler.graph, scheduler.wires, scheduler.drivers)
        return self._tappings.get(graph)
