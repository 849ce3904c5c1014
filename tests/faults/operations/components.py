"""Components that the node under test loads (``--load``): a chunker, and a filter that refuses what has not been mended."""

from __future__ import annotations

import re
import time
import zlib
from pathlib import Path
from typing import Annotated, Final

from pypes import Filter, Help, Packet, Parameters, Reject, Transformer

#: How long a packet takes that takes long.
SLOW_S: Final = 0.03


class Chunks(Transformer):
    """Make a part of every ``size`` words of a text; what is no text goes on as it is."""

    class Params(Parameters):
        size: Annotated[int, Help("Words of a chunk.", ge=1)] = 3
        declared: Annotated[bool, Help("Name the chunks; else the runtime does.")] = True

    def process(self, packet: Packet) -> None:
        if packet.is_deletion:
            self.send("out", packet)
            return
        words, size = packet.get("text", "").split(), self.params.size
        for number, begin in enumerate(range(0, len(words), size)):
            fields = {"text": " ".join(words[begin : begin + size])}
            self.send("out", packet.derive("chunk", number, fields) if self.params.declared else Packet(fields))


class Mended(Filter):
    """Refuse packets whose text has ``MARK-TOKEN`` as long as there is no file TOKEN in the folder of what was mended."""

    class Params(Parameters):
        folder: Annotated[str, Help("Folder of the mended tokens.", path=True)]
        mark: Annotated[str, Help("Word before the token.")] = "poison"
        slow: Annotated[int, Help("One packet of so many takes a moment; 0: none.", ge=0)] = 0

    def setup(self) -> None:
        self._token = re.compile(rf"\b{self.params.mark}-(\w+)")

    def process(self, packet: Packet) -> Packet:
        text = packet.get("text", "")
        if self.params.slow and zlib.crc32(text.encode()) % self.params.slow == 0:
            # two versions in flight: the older one may be overtaken
            self.offload(time.sleep, SLOW_S)
        found = self._token.search(text)
        if found is not None and not Path(self.params.folder, found[1]).exists():
            raise Reject(f"{found[0]} is not mended", code="test.poison")
        return packet


class MendedMany(Mended):
    """The same for batches of several deliveries: a batch with one that is refused is tried again packet by packet."""

    def process_batch(self, packets: list[Packet]) -> list[Packet]:
        return [self.process(packet) for packet in packets]
