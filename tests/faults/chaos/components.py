"""What the node under test loads (``--load``): a filter that some documents are poison to, and a publisher to a destination."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from pypes import Packet, Parameters, Publisher, Transformer
from pypes.testing.destination import Link


def _hang() -> None:
    threading.Event().wait()


def _spin() -> None:
    while True:
        pass


def _fail() -> None:
    raise ValueError("this document is poison")


def _grow() -> None:
    held = []
    while True:
        held.append(b"x" * (1 << 24))


POISONS: Mapping[str, Callable[[], Any]] = MappingProxyType(
    {
        "raise": _fail,
        "segfault": lambda: ctypes.string_at(0),
        "abort": os.abort,
        "hang": _hang,
        "spin": _spin,
        "grow": _grow,
    }
)


class Poisonable(Transformer):
    """Do what a document says in its field ``poison``."""

    def process(self, packet: Packet) -> Packet:
        poison = packet.get("poison")
        if poison is not None:
            POISONS[poison]()
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
