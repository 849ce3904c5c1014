"""Text: plain text of any character set into field ``text``."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pypes import Adapter, Example, Help, Packet, Parameters
from pypes_basic.charset import decode
from pypes_basic.passing import passes
from pypes_basic.whole import read_whole


class Text(Adapter):
    """Decode text into one field: byte order mark, then the declared character set, UTF-8, and a guess.

    What was found is left in the packet's metadata: ``charset``, and where there is something to say ``charset_declared`` (a
    label that does not mean it), ``charset_guessed`` and ``replaced_characters`` (how many became U+FFFD).
    """

    icon = "file"
    tags = ("format", "text")
    example = Example(
        takes=Packet({"data": b"caf\xe9"}, {"charset": "latin1"}),
        gives=Packet({"text": "café"}, {"charset": "windows-1252"}),
    )

    accepts: ClassVar[tuple[str, ...]] = ("text/*",)

    class Params(Parameters):
        field: Annotated[str, Help("Field that takes the text.", min_length=1)] = "text"
        max_bytes: Annotated[int, Help("Longer documents are rejected: a text is one value and held in memory.", ge=1)] = (
            64 * 1024 * 1024
        )

    def process(self, packet: Packet) -> Packet:
        if passes(packet):
            return packet
        data = read_whole(packet, self.params.max_bytes, "text.too_large")
        text, found = decode(data, packet.get_meta("charset"))
        packet.delete("data")
        packet.set(self.params.field, text)
        for name, value in found.metadata.items():
            packet.set_meta(name, value)
        return packet
