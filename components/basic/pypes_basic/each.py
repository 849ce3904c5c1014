"""Each: the items of a list as parts of their document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pypes import Example, Help, Operator, Packet, Parameters, Reject


class Each(Operator):
    """Make a part of each item of a list in ``field``; ``Gather`` puts them together again.

    An item that is an object becomes the fields of its part, anything else becomes the field ``item``; fields of the document
    listed in ``keep`` go along. Parts are called by their place from 1 on, ``KIND=2``, or by the value that objects have under
    ``place``, so that they keep their names when others come between; two of the same name are an error. The document itself goes
    to ``document``, unchanged. A value that is no list is the only item; a document without the field has none. Deletions go to
    both outputs. The same document makes the same parts in each run; where there are fewer now, publishers of whole documents
    remove the others.
    """

    icon = "list-tree"
    tags = ("parts", "lists")
    example = Example(
        takes=Packet({"title": "Emma", "people": [{"name": "Knightley"}, {"name": "Elton"}]}, {"id": "emma", "route": "books"}),
        gives={
            "out": [
                Packet({"name": "Knightley", "title": "Emma"}, {"part": "person=1"}),
                Packet({"name": "Elton", "title": "Emma"}, {"part": "person=2"}),
            ],
            "document": Packet({"title": "Emma", "people": [{"name": "Knightley"}, {"name": "Elton"}]}, {"id": "emma"}),
        },
        params={"field": "people", "kind": "person", "keep": ["title"]},
    )

    outputs: ClassVar[Mapping[str, str]] = {"out": "A part for each item", "document": "The document itself"}

    class Params(Parameters):
        field: Annotated[str, Help("Field with the list.", min_length=1)]
        kind: Annotated[str, Help("The word by which parts are called.", pattern=r"^[a-z][a-z0-9_]*$")] = "item"
        item: Annotated[str, Help("Field for items that are no objects.", min_length=1)] = "item"
        place: Annotated[str, Help("Member of objects by which parts are called; empty: their number.")] = ""
        keep: Annotated[list[str], Help("Fields of the document that each part gets.")] = []
        max_kept_bytes: Annotated[int, Help("Bytes of kept fields that all parts of a document may have together.", ge=1)] = (
            256 * 1024 * 1024
        )

    def process(self, packet: Packet) -> Packet | None:
        if packet.is_deletion:
            self.send("document", packet.clone())
            return packet
        kept = {name: packet.get(name) for name in self.params.keep if packet.has(name)}
        several = {name for name in kept if packet.is_multivalued(name)}
        items = _items(packet, self.params.field)
        kept_bytes = Packet.from_document({**kept}).size_bytes()
        if kept and kept_bytes * len(items) > self.params.max_kept_bytes:
            raise Reject(
                f"{', '.join(kept)} (keep) have {kept_bytes} bytes in each part, in {len(items)} more than max_kept_bytes "
                f"({self.params.max_kept_bytes}) together; keep less, or raise it",
                "each.too_large",
            )
        places = [self._place(number, item) for number, item in enumerate(items, 1)]
        if len({*map(str, places)}) < len(places):
            twice = next(place for place in places if [*map(str, places)].count(str(place)) > 1)
            raise Reject(f"two items of field {self.params.field!r} are called {twice!r} (place)", "each.twice")
        for place, item in zip(places, items, strict=True):
            part = packet.derive(self.params.kind, place, {})
            for name, value in kept.items():
                part.set(name, value, multi=name in several)
            for name, value in (item if isinstance(item, dict) else {self.params.item: item}).items():
                part.set(name, value, multi=isinstance(value, list))
            self.send("out", part)
        self.send("document", packet)
        return None

    def _place(self, number: int, item: Any) -> int | str:
        name = self.params.place
        if not name:
            return number
        place = item.get(name) if isinstance(item, dict) else None
        if isinstance(place, bool) or not isinstance(place, (int, str)) or place == "":
            raise Reject(
                f"item {number} of field {self.params.field!r} has no {name!r} that is text or a number", "each.no_place"
            )
        return place


def _items(packet: Packet, field: str) -> list[Any]:
    if not packet.has(field):
        return []
    found = packet.get(field)
    return found if isinstance(found, list) else [found]
