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


def two(packet: Packet) -> list[Packet]:
    return [packet.derive("part", n, {"title": f"{packet.get('title')} {n}"}) for n in range(2)]
