"""Search for the part of a packet that an encoder refuses, so that an error can name the field."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pypes.packet import Packet


def culprit_of(value: Any, encode: Callable[[Any], object], errors: tuple[type[Exception], ...]) -> str:
    """``field 'when'`` or ``metadata 'owner'``: the first part of a packet for which ``encode`` raises one of ``errors``.

    Empty if ``value`` is no packet, or if each part by itself can be encoded. Costs an encoding per part: meant for what has
    failed already.
    """
    if not isinstance(value, Packet):
        return ""
    entries, meta, field_meta = value.parts()
    parts = [(f"field {name!r}", entry) for name, entry in entries.items()]
    parts += [(f"metadata {name!r}", entry) for name, entry in (meta or {}).items()]
    parts += [(f"metadata of field {name!r}", entry) for name, entry in (field_meta or {}).items()]
    for place, entry in parts:
        try:
            encode(entry)
        except errors:
            return place
    return ""
