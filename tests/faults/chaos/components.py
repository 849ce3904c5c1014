"""What the node under test loads (``--load``): a filter that some documents are poison to, two branches, and a publisher."""

from __future__ import annotations

import ctypes
import math
import os
import threading
import zlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import greenlet

from pypes import Filter, Packet, Parameters, Publisher, Transformer
from pypes.errors import Reject, Retry, Unreachable
from pypes.testing.destination import Link


def _hang() -> None:
    threading.Event().wait()


def _spin() -> None:
    while True:
        pass


def _grow() -> None:
    held = []
    while True:
        held.append(b"x" * (1 << 24))


class Unspeakable(Exception):
    """Cannot be told."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


class Foreign(BaseException):
    """As native libraries derive theirs."""


#: Exceptions that mean something to Python or to the machinery, and those that are made in an odd way; none steers anything.
RAISED: Mapping[str, Callable[[], BaseException]] = MappingProxyType(
    {
        "raise": lambda: ValueError("this document is poison"),
        "stop": StopIteration,
        "stop async": StopAsyncIteration,
        "generator exit": GeneratorExit,
        "system exit": lambda: SystemExit(3),
        "interrupt": KeyboardInterrupt,
        "greenlet exit": greenlet.GreenletExit,
        "group": lambda: ExceptionGroup("several", [ValueError("one"), StopIteration(2)]),
        "foreign": Foreign,
        "unspeakable": Unspeakable,
        "surrogate": lambda: ValueError("\ud800"),
        "huge": lambda: ValueError("x" * (8 << 20)),
        "retry": lambda: Retry(0.0, "again"),
        "retry text": lambda: _made(Retry, "the service is down"),
        "retry nothing": lambda: _made(Retry, None),
        "retry nan": lambda: Retry(math.nan),
        "retry never": lambda: Retry(-math.inf),
        "unreachable": lambda: _made(Unreachable, "nobody answers for this one"),
        "refused": lambda: ConnectionRefusedError("nobody listens for this one"),
        "reject error": lambda: _made(Reject, ValueError("an object")),
        "reject nothing": lambda: _made(Reject, None),
    }
)


#: Poisons that cost the instance its life, or are ended with it.
KILLERS = ("segfault", "abort", "hang", "spin", "grow")


def _made(kind: Callable[..., BaseException], argument: object) -> BaseException:
    return kind(argument)


def _raising(name: str) -> Callable[[], Any]:
    def throw() -> None:
        raise RAISED[name]()

    return throw


POISONS: Mapping[str, Callable[[], Any]] = MappingProxyType(
    {
        **{name: _raising(name) for name in RAISED},
        "list": lambda: [Packet({"serial": "never"})],
        "generator": lambda: (packet for packet in [Packet({"serial": "never"})]),
        "segfault": lambda: ctypes.string_at(0),
        "abort": os.abort,
        "hang": _hang,
        "spin": _spin,
        "grow": _grow,
    }
)


class Poisonable(Transformer):
    """Do what a document says in its field ``poison``."""

    def process(self, packet: Packet) -> Any:
        poison = packet.get("poison")
        return POISONS[poison]() if poison else packet


class Half(Filter):
    """One branch before a join: writes down whose half it is, and leaves every third out."""

    def process(self, packet: Packet) -> Packet | None:
        serial = str(packet.get("serial"))
        packet.set("half", serial)
        return packet if zlib.crc32(serial.encode()) % 3 else None


class Paired(Transformer):
    """Behind the join: a document that has another one's half is published under a serial that nobody posted."""

    def process(self, packet: Packet) -> Packet:
        serial = str(packet.get("serial"))
        half = packet.get("half")
        if half != (serial if zlib.crc32(serial.encode()) % 3 else None):
            packet.set("serial", f"{serial} with the half of {half}")
        return packet


class Deliver(Publisher):
    """Hand documents to the destination of the test; what it took counts as published."""

    class Params(Parameters):
        address: str = ""

    def setup(self) -> None:
        self._link = Link(self.params.address)
        self._waiting: list[dict[str, Any]] = []

    def process(self, packet: Packet) -> None:
        receipt = packet.get_meta("receipt")
        if packet.is_deletion:
            self._waiting.append({"id": packet.get_meta("id"), "receipt": receipt, "serial": None})
        else:
            self._waiting.append({"id": packet.get("id"), "receipt": receipt, "serial": packet.get("serial")})

    def commit(self) -> None:
        documents, self._waiting = self._waiting, []
        if documents:
            self.offload(self._link.publish, documents)

    def teardown(self) -> None:
        self._link.close()
