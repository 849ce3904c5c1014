"""DeleteField: remove fields."""

from __future__ import annotations

from typing import Annotated, Any

from pypes import Example, Help, Packet, Parameters, Transformer


class DeleteField(Transformer):
    """Delete fields with all their values and metadata."""

    icon = "eraser"
    tags = ("fields",)
    example = Example(
        takes=Packet({"title": "Ada", "draft": True}),
        gives=Packet({"title": "Ada"}),
        params={"fields": ["draft"]},
    )

    class Params(Parameters):
        fields: Annotated[list[str], Help("Fields to delete; those that are not there are passed over.")] = []

    def setup(self) -> None:
        self.reconfigure(self.params)

    def reconfigure(self, params: Any) -> None:
        self._fields = params.fields

    def process(self, packet: Packet) -> Packet:
        for name in self._fields:
            packet.delete(name)
        return packet
