"""The origin of a shard that came from another node: in a slot of this one, it keeps what it was, for its receipts have that."""

from __future__ import annotations

from pathlib import Path

import msgspec

from pypes.core.durable import write_whole
from pypes.errors import StoreError

#: Name of the file with it, in the folder of the shard.
ORIGIN = "origin"


class Origin(msgspec.Struct, frozen=True):
    """The node and the shard that are in the ids of a shard's receipts.

    ``name`` is that of the node in its fleet; ``at`` is when the shard came, in the time of the node that it came to.
    """

    node: int
    shard: int
    name: str = ""
    at: float = 0.0

    def write(self, folder: Path) -> None:
        """Keep it in the folder of the shard, durably on return. Blocks."""
        write_whole(folder / ORIGIN, msgspec.json.encode(self))


def read_origin(folder: Path) -> Origin | None:
    """The origin of the shard in a folder, ``None`` if it is of this node. Raises :class:`StoreError` if it is damaged."""
    path = folder / ORIGIN
    try:
        return msgspec.json.decode(path.read_bytes(), type=Origin)
    except FileNotFoundError:
        return None
    except ValueError as error:  # of msgspec, or of the text in it
        raise StoreError(
            f"the file that tells which node the shard came from cannot be read: {error}; put back a copy",
            code="store.damaged",
            where=str(path),
        ) from error
