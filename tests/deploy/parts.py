"""Components that the node under record loads (``--load``): a filter that does what documents say, and a publisher."""

from __future__ import annotations

import ctypes
import os
import time
from pathlib import Path
from typing import Any

from pypes import Packet, Parameters, Publisher, Reject, Retry, Source, Transformer
from pypes.testing.destination import Link


class Work(Transformer):
    """Does what a document says.

    It is ``busy`` for seconds, or has something done ``aside`` for seconds; keeps as many MiB as ``keep`` says, and has as many
    files open as ``open`` says; counts what is ``counted``; fails (``fail``), once (``again``), or crashes (``crash``).
    """

    class Params(Parameters):
        away: str = ""

    params: Params

    def setup(self) -> None:
        if self.params.away and Path(self.params.away).exists():
            raise RuntimeError("the model is away")
        self._kept: list[Any] = []
        self._seen: set[Any] = set()

    def process(self, packet: Packet) -> Packet:
        time.sleep(packet.get("busy", 0))
        self._kept += [b"x" * (1 << 20) for _ in range(packet.get("keep", 0))]
        self._kept += [os.open("/dev/null", os.O_RDONLY) for _ in range(packet.get("open", 0))]
        if packet.get("aside"):
            self.offload(time.sleep, packet.get("aside"))
        if packet.get("counted"):
            self.count("things", packet.get("counted"))
        if packet.get("again") and packet.get("n") not in self._seen:
            self._seen.add(packet.get("n"))
            raise Retry(0.1, "not yet")
        if packet.get("fail"):
            raise Reject("the document is not as it should be")
        if packet.get("crash"):
            ctypes.string_at(0)
        return packet


class Feed(Source):
    """Fetches a document, and then finds its server gone, as long as a file is there."""

    class Params(Parameters):
        away: str = ""

    params: Params

    def fetch(self, cursor: Any) -> Any:
        yield [Packet({"n": 0})], (cursor or 0) + 1
        if Path(self.params.away).exists():
            raise ConnectionRefusedError("nobody listens")


class Send(Publisher):
    """Hands documents to the destination of the record."""

    class Params(Parameters):
        to: str = ""

    params: Params

    def setup(self) -> None:
        self._link = Link(self.params.to, timeout_s=5.0)
        self._waiting: list[Any] = []

    def process(self, packet: Packet) -> None:
        self._waiting.append(packet.get("n"))

    def commit(self) -> None:
        self._link.publish(self._waiting)
        self._waiting = []

    def abort(self) -> None:
        self._waiting = []
