"""Split: every packet to two outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pypes import Example, Operator, Packet


class Split(Operator):
    """Send every packet to ``out`` and a clone of it to ``out2``; what one branch changes, the other does not see."""

    icon = "split"
    tags = ("branches",)
    example = Example(
        takes=Packet({"title": "Ada"}),
        gives={"out": Packet({"title": "Ada"}), "out2": Packet({"title": "Ada"})},
    )

    outputs: ClassVar[Mapping[str, str]] = {"out": "The packet", "out2": "Its clone"}

    def process(self, packet: Packet) -> Packet:
        self.send("out2", packet.clone())
        return packet
