"""DropDocument: leave out documents by what a field holds."""

from __future__ import annotations

from typing import Annotated, Any

from pypes import Example, Filter, Help, Packet, Parameters


class DropDocument(Filter):
    """Drop documents that have one of the given fields, or one of the given values in it.

    Deletions always pass: they say that a document has to go and carry no fields.
    """

    icon = "funnel"
    tags = ("documents",)
    example = Example(
        takes=[Packet({"title": "Ada", "state": "draft"}), Packet({"title": "Alan", "state": "final"})],
        gives=Packet({"title": "Alan", "state": "final"}),
        params={"fields": ["state"], "values": ["draft"]},
    )

    class Params(Parameters):
        fields: Annotated[list[str], Help("Fields to look at; while empty, everything passes.")] = []
        values: Annotated[list[str], Help("Values that lead to a drop, compared as text; empty: any value does.")] = []

    def setup(self) -> None:
        self.reconfigure(self.params)

    def reconfigure(self, params: Any) -> None:
        self._fields, self._values = params.fields, frozenset(params.values)

    def process(self, packet: Packet) -> Packet | None:
        return None if any(self._is_unwanted(packet, name) for name in self._fields) else packet

    def _is_unwanted(self, packet: Packet, name: str) -> bool:
        if packet.is_deletion or not packet.has(name):
            return False
        if not self._values:
            return True
        found: Any = packet.get(name)
        return any(str(one).strip() in self._values for one in (found if packet.is_multivalued(name) else [found]))
