"""Fingerprint: a hash of what a packet holds, the same for equal contents, another one as soon as a value or its type differs."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from pypes import Packet

_CHUNK_BYTES = 1 << 20


class _Hashed(msgspec.Struct, array_like=True):
    """Stands for a value that has no form of its own in the encoding: the name of its kind, and its content."""

    kind: str
    content: Any


def fingerprint(packet: Packet, fields: Collection[str] = (), omit: Collection[str] = (), meta: Collection[str] = ()) -> bytes:
    """16 bytes for the chosen fields of a packet (all while ``fields`` is empty, but none of ``omit``), and the chosen metadata.

    Fields count with their metadata, but for the filter that set them (``set_by``). Whether a field has several values or one
    that is a list makes a difference. Large bodies are read in pieces. Blocks while they are.
    """
    entries, metas, field_metas = packet.parts()
    names = [name for name in (fields or entries) if name in entries and name not in omit]
    content = (
        {name: _form(entries[name]) for name in names},
        _said(names, field_metas) if field_metas else {},
        {name: metas[name] for name in meta if name in metas} if metas else {},
    )
    # the keys of objects in one order, and types apart: 1, 1.0, true and "1" are encoded in ways of their own
    encoded = msgspec.msgpack.encode(content, enc_hook=_other, order="deterministic")
    return hashlib.blake2b(encoded, digest_size=16).digest()


def _said(names: Collection[str], field_metas: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The metadata of fields that say something of their values: another version of a filter may set the same ones."""
    found = {name: {key: value for key, value in field_metas.get(name, {}).items() if key != "set_by"} for name in names}
    return {name: metas for name, metas in found.items() if metas}


def _form(entry: Any) -> Any:
    """An entry of the fields; see :mod:`pypes.core.values` for the classes that are no values themselves."""
    return _other(entry) if isinstance(entry, list) and type(entry) is not list else entry


def _other(value: Any) -> Any:
    if hasattr(value, "open") and hasattr(value, "size"):  # a value that is larger than memory, perhaps
        digest = hashlib.blake2b(digest_size=16)
        with value.open() as stream:
            while piece := stream.read(_CHUNK_BYTES):
                digest.update(piece)
        return _Hashed("body", [value.size, digest.digest()])
    if isinstance(value, list):
        return _Hashed(type(value).__name__, [*value])
    if hasattr(value, "value"):  # a list that is one value
        return _Hashed(type(value).__name__, value.value)
    return _Hashed(type(value).__name__, repr(value))
