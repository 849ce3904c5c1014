"""Gather: parts of a document as a list in one of its fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pypes import Example, Help, Operator, Packet, Parameters


class Gather(Operator):
    """Put the parts that ``Each`` made of a document back into it, when all of them have come.

    Wire ``document`` of ``Each`` to ``in``, and the last filter behind its ``out`` to ``parts``: of each document, ``field``
    becomes the list of what is left of its parts, in the order in which they were made: an object of their fields each, or with
    ``item`` the value of that field. Parts that a filter dropped, or failed on, are missing (the latter are dead letters); where
    none is left, the list is empty. Parts without a document in ``in`` are dropped. Deletions pass.
    """

    icon = "list-collapse"
    tags = ("parts", "lists")
    example = Example(
        takes={"in": Packet({"title": "Emma", "people": ["K", "E"]}), "parts": [Packet({"name": "K"}), Packet({"name": "E"})]},
        gives=Packet.from_document({"title": "Emma", "people": ["K", "E"]}),
        params={"field": "people", "item": "name"},
    )

    inputs: ClassVar[Mapping[str, str]] = {"in": "Documents", "parts": "Their parts"}

    class Params(Parameters):
        field: Annotated[str, Help("Field for the list.", min_length=1)]
        item: Annotated[str, Help("Field whose value is the item; empty: an object of all fields.")] = ""

    def run(self) -> None:
        while True:
            # a turn has one document
            parts = [part for part in self.receive_all("parts") if not part.is_deletion]
            for document in self.receive_all("in"):
                if not document.is_deletion:
                    document.set(self.params.field, [self._item(part) for part in parts], multi=True)
                self.send("out", document)
            self.yield_ctrl()

    def _item(self, part: Packet) -> Any:
        if self.params.item:
            return part.get(self.params.item)
        return {name: part.get(name) for name in part.get_attribute_names()}
