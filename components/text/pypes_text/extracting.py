"""Extracting: what all components share that find values in a text and write them to a field."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from pypes import Extractor, Help, Packet, Parameters
from pypes_text.finding import Found

#: Finds of one text, beyond which it is not looked further.
MOST_FINDS = 10_000

Source = Annotated[str, Help("Field to look at; each of its values, if it has several.", min_length=1)]


class Finder(Extractor):
    """Writes what :meth:`find` finds to the field ``target``: each value once, in their order, with its places.

    The places are metadata ``places`` of that field: for each value a list of ``[start, end]`` in the text, in characters.
    Nothing is written where nothing is found; values that the field has already stay.
    """

    class Params(Parameters):
        field: Source = "text"
        target: str = ""

    def find(self, text: str) -> Iterable[Found]:
        raise NotImplementedError

    def process(self, packet: Packet) -> Packet:
        params: Any = self.params
        value = packet.get(params.field)
        texts = [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str)]
        places: dict[str, list[list[int]]] = {}
        for n, text in enumerate(texts):
            for count, found in enumerate(sorted(self.find(text)), 1):
                at = places.setdefault(found.value, [])
                if n == 0:  # places of further values would be taken for places in the first
                    at.append([found.start, found.end])
                if count >= MOST_FINDS:
                    self.log.warning("a text has more finds than are kept", extra={"field": params.field, "kept": MOST_FINDS})
                    break
        if places:
            self._write(packet, params.target, places)
        return packet

    def _write(self, packet: Packet, target: str, places: dict[str, list[list[int]]]) -> None:
        before = packet.get(target)
        former = [] if before is None else before if isinstance(before, list) else [before]
        values = [*former, *(value for value in places if value not in former)]
        packet.set(target, values, multi=True)
        packet.set_meta("places", [places.get(value, []) if isinstance(value, str) else [] for value in values], target)
