"""The names of documents, as an intake keeps them for the receipt."""

from __future__ import annotations

from collections.abc import Sequence

from pypes.errors import BadId
from pypes.packet import Packet


def id_in(packet: Packet) -> str | None:
    """The id of a document; ``None`` also where it cannot be one, which publishers will tell."""
    try:
        return packet.id
    except BadId:
        return None


def keep_files(files: dict[int, str], packets: Sequence[Packet], number: int, room: int) -> int:
    """Put the names of files of packets into ``files``, the first under ``number``; returns the room left, in characters.

    Once there is none, no more are kept.
    """
    for at, packet in enumerate(packets, number):
        file = packet.get_meta("filename")
        if room > 0 and type(file) is str and file:
            files[at] = file
            room -= len(file)
    return room
