"""{{cookiecutter.component}}: what it reads, in one sentence."""

from __future__ import annotations

from io import TextIOWrapper
from typing import Annotated, ClassVar

from pypes.component import Adapter, Example
from pypes.component.parameters import Help, Parameters
from pypes.packet import Packet


class {{cookiecutter.component}}(Adapter):
    """Make a part of every line that has text. (Replace this by what yours does: it is shown in the catalogue.)"""

    icon = "file"
    tags = ("format", "text")
    #: Shown in the catalogue, and run as a test by ComponentSuite.
    example = Example(
        takes=Packet({"data": b"one\n\ntwo\n"}),
        gives=[Packet({"text": "one"}, {"part": "line=1"}), Packet({"text": "two"}, {"part": "line=3"})],
    )

    #: Media types of the documents that a graph hands to this adapter; ``text/*`` takes all that no other adapter names.
    accepts: ClassVar[tuple[str, ...]] = ("text/x-{{cookiecutter.module}}",)

    class Params(Parameters):
        field: Annotated[str, Help("Field that takes the line.", min_length=1)] = "text"

    def process(self, packet: Packet) -> Packet | None:
        """Send a part for each line; a deletion passes as it is, or what was published stays; so does a packet without bytes."""
        if packet.is_deletion or not packet.has("data"):
            return packet
        # a stream: the document may be larger than memory
        with packet.open("data") as body, TextIOWrapper(body, encoding="utf-8", errors="replace") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    self.send("out", packet.derive("line", number, {self.params.field: line.strip()}))
        return None
