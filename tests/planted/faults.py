"""The faults, each planted for real, and the words by which what is shown must name it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.disks import small_disk

if TYPE_CHECKING:
    from tests.planted.node import Shown

#: Size of the file system of the data, if it is to become full.
DISK_BYTES = 48 << 20
#: Memory of an instance of the node whose memory grows.
MEMORY = "288MiB"


@dataclass(frozen=True)
class Fault:
    """A fault: the graph and the filter that it is in, as far as it is in one, and words that name it."""

    name: str
    graph: str
    filter: str
    words: tuple[str, ...]
    settings: tuple[tuple[str, str], ...] = ()

    def is_named(self, concern: Mapping[str, Any]) -> bool:
        """True if something that needs a look is this fault, with its graph and filter."""
        return concern["graph"] == self.graph and concern["filter"] == self.filter and self.has_words(concern["text"])

    def has_words(self, text: str) -> bool:
        """True if the words that name it are in a text."""
        return all(word in text for word in self.words)

    def plant(self, node: Shown) -> None:
        """Have it happen from now on."""
        node.planted.write_text(self.name)
        if self.name == "destination":
            node.close_warehouse()
        elif self.name == "disk":
            fill(node.base / "data")

    def disk(self, folder: Path) -> AbstractContextManager[None]:
        """A small file system for the data of a node, if the fault takes one."""
        return small_disk(folder, DISK_BYTES) if self.name == "disk" else nullcontext()


def fill(folder: Path) -> None:
    """Take all the room of a file system."""
    with (folder / "ballast").open("ab", buffering=0) as file:
        for size in (1 << 20, 4096):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                os.fsync(file.fileno())


#: Nothing is wrong.
NONE = Fault("none", "", "", ())

FAULTS = {
    each.name: each
    for each in (
        Fault("slow", "letters", "language", ("letters", "language", "ms")),
        Fault("destination", "orders", "warehouse", ("orders", "warehouse", "refused")),
        Fault("poison", "invoices", "parse", ("invoices", "parse", "SIGABRT")),
        Fault("disk", "", "", ("disk", "full")),
        Fault("starving", "tickets", "embed", ("tickets", "embed", "models", "scans")),
        Fault("memory", "letters", "threads", ("memory", "letters"), (("PYPES_SERVER_MAX_MEMORY_BYTES", MEMORY),)),
    )
}
