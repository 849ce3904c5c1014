"""Collate: interleave the packets of two inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pypes import Example, Operator, Packet


class Collate(Operator):
    """Send the packets of two inputs on by turns, one from each, document by document; what is left over on one input follows."""

    icon = "layers"
    tags = ("branches",)
    example = Example(
        takes={"in": [Packet({"n": 1}), Packet({"n": 3}), Packet({"n": 4})], "in2": Packet({"n": 2})},
        gives=[Packet({"n": 1}), Packet({"n": 2}), Packet({"n": 3}), Packet({"n": 4})],
    )

    inputs: ClassVar[Mapping[str, str]] = {"in": "First input", "in2": "Second input"}

    def run(self) -> None:
        while True:
            first = self.receive("in")
            second = self.receive("in2")
            if first is not None:
                self.send("out", first)
            if second is not None:
                self.send("out", second)
            if first is None and second is None:
                self.yield_ctrl()
