"""Functions of packets and a component that is not installed, for graphs in tests."""

from __future__ import annotations

import os

from pypes import Packet, Parameters, Transformer


class Shout(Transformer):
    """Say a title louder."""

    class Params(Parameters):
        marks: int = 1

    def process(self, packet: Packet) -> Packet:
        packet.set("title", packet.get("title").upper() + "!" * self.params.marks)
        return packet


def greet(packet: Packet, word: str = "hello") -> Packet:
    packet.set("title", f"{word} {packet.get('title')}")
    packet.set("pid", os.getpid())
    return packet


def upper(packet: Packet) -> Packet:
    packet.set("upper", packet.get("title").upper())
    return packet


def length(packet: Packet) -> Packet | None:
    packet.set("length", len(packet.get("title")))
    return packet if packet.get("title") != "grace" else None


def both(left: Packet, right: Packet, word: str = "and") -> Packet:
    """A join of two branches."""
    left.set("title", f"{left.get('upper')} {word} {right.get('length')}")
    return left


def two(packet: Packet) -> list[Packet]:
    return [packet.derive("part", n, {"title": f"{packet.get('title')} {n}"}) for n in range(2)]
