"""Naming: gives a packet that a component made, and did not name, the document and the place of the one it was made of."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from pypes.core.identified import Identified
from pypes.core.identity import id_of
from pypes.errors import BadId

#: Metadata that say which document it is, beside its id.
_ORIGIN: Final = ("route", "receipt", "origin", "index", "run", "requestmethod")
#: Metadata that say where in it.
_PLACE: Final = ("id", "document", "part", "made")
#: Metadata that name a packet.
NAMING: Final = frozenset({*_ORIGIN, *_PLACE})


def is_named(packet: Identified) -> bool:
    """True if a packet says of which delivery or document it is."""
    meta = packet._meta
    return meta is not None and ("receipt" in meta or "document" in meta)


def can_name(packet: Identified) -> bool:
    """True if packets made of this one can be named after it."""
    return is_named(packet) or packet.part != "" or _id_of(packet) is not None


def name_after(packet: Identified, parent: Identified, number: int, depth: int | None = None) -> None:
    """Name a packet that is the ``number``-th, from 1, of those that one component made of ``parent``.

    The first keeps its place, the second gets ``~2``, and so on. Where several components do so one after the other, each counts
    for itself: of a packet that was the first of one, the next makes ``~1~2``. With an id of its own in its metadata, a packet
    is another document of the same version.

    ``depth`` says how many components did so before, where ``parent`` has been counted on meanwhile (see :func:`depth_of`).
    """
    given = parent._meta or {}
    meta = packet._own_meta()
    for name in _ORIGIN:
        if name in given:
            meta.setdefault(name, given[name])
    if "id" in meta:
        return
    made = depth_of(parent) if depth is None else depth
    meta["made"] = made + 1
    part = parent.part
    if number > 1:
        named = part.rpartition("/")[2].count("~")
        part += "~1" * (made - named) + f"~{number}"
    document = _document_of(parent)
    if document is None:
        # what has neither a document nor an id is known by its version and its place
        if part and _id_of(packet) is None:
            meta["part"] = part
    elif not part:
        meta["id"] = document
    else:
        meta["document"], meta["part"] = document, part
        with suppress(BadId):  # document and place say as much
            meta["id"] = id_of(f"{document}/{part}")


def rename_after(packet: Identified, parent: Identified, number: int, depth: int) -> None:
    """Give a packet that :func:`name_after` has named another number."""
    meta = packet._own_meta()
    for name in _PLACE:
        meta.pop(name, None)
    name_after(packet, parent, number, depth)


def goes_on(packet: Identified, depth: int) -> None:
    """Note of a packet that it goes on beside others that were made of it: what the next component makes has other names."""
    packet._own_meta()["made"] = depth + 1


def depth_of(packet: Identified) -> int:
    """Number of components, one after the other, that made this packet without naming it."""
    made = (packet._meta or {}).get("made")
    return made if type(made) is int else 0


def is_at_place(packet: Identified, parent: Identified) -> bool:
    """True for a clone of ``parent``, and for what says that it is the same part."""
    ours, theirs = packet._meta, parent._meta
    if not ours or not theirs or (id := ours.get("id")) is None or id != theirs.get("id"):
        return False
    return bool(ours.get("part") == theirs.get("part") and ours.get("document") == theirs.get("document"))


def _document_of(packet: Identified) -> str | None:
    try:
        document = packet.document
    except BadId:
        return None
    return None if document is None else document.id


def _id_of(packet: Identified) -> str | None:
    try:
        return packet.id
    except BadId:
        return None
