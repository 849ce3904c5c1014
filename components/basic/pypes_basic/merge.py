"""Merge: join the packets of two inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pypes import Example, Operator, Packet


class Merge(Operator):
    """Join the packets of two inputs pair by pair: where both have a field, the second input's values win.

    Metadata is merged likewise. Only packets of one document are paired; what is left over of it on one input passes unchanged.
    """

    icon = "merge"
    tags = ("branches",)
    example = Example(
        takes={"in": Packet({"title": "Ada", "age": 36}), "in2": Packet({"age": 37})},
        gives=Packet({"title": "Ada", "age": 37}),
    )

    inputs: ClassVar[Mapping[str, str]] = {"in": "First input", "in2": "Second input: its values win"}

    def run(self) -> None:
        while True:
            first = self.receive("in")
            second = self.receive("in2")
            if first is None and second is None:
                self.yield_ctrl()
            elif first is None or second is None:
                self.send("out", second if first is None else first)
            else:
                first.merge(second, metas=True)
                self.send("out", first)
