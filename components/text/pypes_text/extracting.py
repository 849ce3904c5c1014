"""Extracting: what all components share that find values in a text and write them to a field."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from pypes import Extractor, Help, Packet, Parameters
from pypes_text.finding import Found

#: Finds of one text that are written, the first in it; a warning tells of others.
MOST_FINDS = 10_000

Source = Annotated[str, Help("Field to look at; each of its values, if it has several.", min_length=1)]


class Finder(Extractor):
    """Writes what :meth:`find` finds in the field ``field`` to the field ``target``, and sends the packet on.

    ``field`` holds one text or a list of them. ``target`` becomes a list: the values that it had, and behind them each value that
    was found, once, in the order of the text. Its metadata ``places`` has an entry for each of these values: a list of the places
    where it stands, each ``[start, end]`` in characters of the text. Of a list of texts, places are those in the first one; a
    value that stands in another one only, or was not found, has none (``[]``).

    Where nothing is found nothing is written. Packets without a text, and so deletions, pass as they are. The finds of a document
    that comes again are the same.
    """

    class Params(Parameters):
        field: Source = "text"
        target: str = ""

    def find(self, text: str) -> Iterable[Found]:
        """The finds in a text, in any order; several of one value are one value with several places."""
        raise NotImplementedError

    def process(self, packet: Packet) -> Packet:
        params: Any = self.params
        value = packet.get(params.field)
        texts = [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str)]
        places: dict[str, list[list[int]]] = {}
        for n, text in enumerate(texts):
            finds = sorted(self.find(text))
            if len(finds) > MOST_FINDS:
                self.log.warning("a text has more finds than are kept", extra={"field": params.field, "kept": MOST_FINDS})
            for found in finds[:MOST_FINDS]:
                at = places.setdefault(found.value, [])
                if n == 0:  # places of further values would be taken for places in the first
                    at.append([found.start, found.end])
        if places:
            self._write(packet, params.target, places)
        return packet

    def _write(self, packet: Packet, target: str, places: dict[str, list[list[int]]]) -> None:
        before = packet.get(target)
        former = [] if before is None else before if isinstance(before, list) else [before]
        values = [*former, *(value for value in places if value not in former)]
        packet.set(target, values, multi=True)
        packet.set_meta("places", [places.get(value, []) if isinstance(value, str) else [] for value in values], target)
