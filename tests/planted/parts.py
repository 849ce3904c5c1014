"""Components of the node: each works as it should until the file that ``PYPES_PLANTED`` names says what is wrong with it."""

from __future__ import annotations

import os
import time
from pathlib import Path

from pypes import Packet, Transformer

_FILE = Path(os.environ["PYPES_PLANTED"])
#: Seconds between two looks at the file.
_LOOK_S = 0.2


class Plant:
    """The name of the fault that is planted, or nothing."""

    def __init__(self) -> None:
        self._name = ""
        self._at = -_LOOK_S

    def is_(self, name: str) -> bool:
        """True if this fault is planted."""
        now = time.monotonic()
        if now - self._at >= _LOOK_S:
            self._at = now
            self._name = _FILE.read_text() if _FILE.exists() else ""
        return self._name == name


class OrderPrices(Transformer):
    """Adds up what an order costs."""

    def process(self, packet: Packet) -> Packet:
        packet.set("total", sum(packet.get("prices", [])))
        return packet


class LetterLanguage(Transformer):
    """Guesses the language of a letter, which takes four milliseconds."""

    def setup(self) -> None:
        self._plant = Plant()

    def process(self, packet: Packet) -> Packet:
        time.sleep(0.2 if self._plant.is_("slow") else 0.004)
        packet.set("language", "en")
        return packet


class LetterThreads(Transformer):
    """Finds the letters that belong together, by what it remembers of the last ones."""

    def setup(self) -> None:
        self._plant = Plant()
        self._seen: list[bytes] = []

    def process(self, packet: Packet) -> Packet:
        if self._plant.is_("memory"):
            self._seen.append(os.urandom(256 << 10))
        return packet


class InvoiceParser(Transformer):
    """Reads an invoice; some are made so that its parser dies of them."""

    def process(self, packet: Packet) -> Packet:
        if packet.get("layout") == "nested":
            os.abort()
        if packet.get("layout") == "empty":
            raise ValueError("an invoice without lines")
        return packet


class TextVector(Transformer):
    """Makes a vector of a text, in the pool that has the model."""

    def setup(self) -> None:
        self._plant = Plant()

    def process(self, packet: Packet) -> Packet:
        time.sleep(2.0 if packet.get("pages") and self._plant.is_("starving") else 0.002)
        return packet
