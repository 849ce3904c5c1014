"""Naming: deletions of documents that are fetched again and again, by the ids that ``pypes.core.file_names`` gives them."""

from __future__ import annotations

from pypes.packet import Packet


def deletion(id: str, **meta: str) -> Packet:
    """What asks publishers to delete the document of an id; ``meta`` says where it was, and of which media type.

    The type is that of the document: the adapters that took it take the deletion as well.
    """
    return Packet.from_document({}, {"requestmethod": "DELETE", "id": id, **meta})
