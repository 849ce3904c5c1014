"""The names of documents, as an intake keeps them for the receipt."""

from __future__ import annotations

from collections.abc import Sequence

from pypes.core.identified import ids_of
from pypes.errors import BadId
from pypes.packet import Packet


def id_in(packet: Packet) -> str | None:
    """The id of a document; ``None`` also where it cannot be one, which publishers will tell."""
    try:
        return packet.id
    except BadId:
        return None


def keep_ids(ids: dict[int, str], packets: Sequence[Packet], number: int, base: int, room: int) -> int:
    """Put the ids of packets into ``ids``, the first under ``number``; returns the room left for its delivery, in characters.

    Once there is none, no ids of the delivery, which begins at ``base``, are kept.
    """
    if room < 0:
        return room
    found = {at: id for at, id in enumerate(ids_of(packets), number) if id is not None}
    room -= sum(map(len, found.values()))
    if room >= 0:
        ids.update(found)
    else:
        for at in range(base, number):
            ids.pop(at, None)
    return room


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
