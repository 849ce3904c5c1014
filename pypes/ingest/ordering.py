"""Order keys: which documents of an ordered graph must not overtake one another.

A key is 32 bits of a document's id. Two ids that share one are kept in order without need, which costs nothing but
parallelism. A delivery carries the keys of all its documents, packed; one with very many is in order with everything.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from zlib import crc32

#: Packed keys of a delivery that must not run beside any other of its graph.
EVERY = b"*"

#: A delivery with more keys than this is in order with everything: what waits holds its keys in memory.
MAX_KEYS = 4096


def key_of(id: str) -> int:
    """The order key of a document's id."""
    return crc32(id.encode())


def pack_keys(keys: Iterable[int]) -> bytes:
    """Keys of a delivery as ``Header.keys`` holds them: each once, ascending, four bytes each; or :data:`EVERY`."""
    unique = sorted(set(keys))
    return EVERY if len(unique) > MAX_KEYS else struct.pack(f">{len(unique)}I", *unique)


def unpack_keys(packed: bytes) -> tuple[int, ...]:
    """Inverse of :func:`pack_keys`; not for :data:`EVERY`."""
    return struct.unpack(f">{len(packed) // 4}I", packed)
