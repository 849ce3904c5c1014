"""{{cookiecutter.component}}: what it fetches, in one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pypes.component import Example, Source
from pypes.component.parameters import Help, Parameters
from pypes.packet import Packet

#: Packets that are stored at once, with the cursor behind them.
BATCH = 200


class {{cookiecutter.component}}(Source):
    """Fetch the lines that were added to a file. (Replace this by what yours does: it is shown in the catalogue.)"""

    icon = "folder"
    tags = ("files",)
    #: Shown in the catalogue, and run as a test by ComponentSuite.
    example = Example(
        params={"path": "lines.txt"},
        files={"lines.txt": "one\ntwo\n"},
        gives=[Packet({"id": 0, "text": "one"}), Packet({"id": 4, "text": "two"})],
    )

    class Params(Parameters):
        path: Annotated[str, Help("File to read, from the data directory if relative.", path=True, min_length=1)]

    def fetch(self, cursor: Any) -> Iterator[tuple[list[Packet], Any]]:
        """Go on behind the cursor, which is what was yielded last; ``None`` at first."""
        at = cursor or 0
        with Path(self.data_dir, self.params.path).open("rb") as lines:
            lines.seek(at)
            packets: list[Packet] = []
            for line in lines:
                if not line.endswith(b"\n"):
                    break  # it is still being written
                # a stable id: what is fetched twice replaces itself
                packets.append(Packet({"id": at, "text": line.decode(errors="replace").rstrip("\n")}))
                at += len(line)
                if len(packets) == BATCH:
                    yield packets, at
                    packets = []
            if packets:
                yield packets, at
