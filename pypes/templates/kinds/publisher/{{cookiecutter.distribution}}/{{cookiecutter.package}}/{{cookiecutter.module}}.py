"""{{cookiecutter.component}}: where it publishes to, in one sentence."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

from pypes import Unreachable
from pypes.component import Example, Publisher
from pypes.component.parameters import Help, Parameters
from pypes.packet import Packet


class {{cookiecutter.component}}(Publisher):
    """Append a field of every document to a file. (Replace this by what yours does: it is shown in the catalogue.)"""

    icon = "list"
    tags = ("files",)
    #: Shown in the catalogue, and run as a test by ComponentSuite.
    example = Example(takes=Packet({"title": "Ada"}), params={"path": "titles.txt"}, leaves={"titles.txt": '"Ada"\n'})

    class Params(Parameters):
        path: Annotated[str, Help("File to append to, from the data directory if relative.", path=True, min_length=1)]
        field: Annotated[str, Help("Field to write.", min_length=1)] = "title"

    def setup(self) -> None:
        """Open clients and connections here: it runs once per process."""
        self._waiting: list[str] = []
        self._file = Path(self.data_dir, self.params.path).open("a", encoding="utf-8")

    def process(self, packet: Packet) -> None:
        """Collect. What cannot be published for its own sake raises here, and becomes a dead letter."""
        if packet.is_deletion:
            return  # a real destination removes the document of packet.identity
        value = packet.get(self.params.field)
        if not isinstance(value, str | int | float | bool | None):
            raise ValueError(f"field {self.params.field} is no single value")
        self._waiting.append(json.dumps(value) + "\n")

    def commit(self) -> None:
        """Write what was collected, once for the whole turn. When this returns, it counts as published."""
        lines, self._waiting = self._waiting, []
        try:
            self._file.write("".join(lines))
            self._file.flush()
            if self.durability == "always":
                os.fsync(self._file.fileno())
        except OSError as error:
            # nothing is wrong with the packets: the publisher rests, and is given them again
            raise Unreachable(str(error)) from error

    def teardown(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()
