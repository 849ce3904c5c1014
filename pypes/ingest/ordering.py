"""Order keys: which documents of an ordered graph must not overtake one another.

A key is 32 bits of a document's id. Documents that share one, whatever their ids and routes, are kept in order without need,
which costs nothing but parallelism. A delivery carries the keys of all its documents, packed; one with very many is in order
with everything.

A key makes documents wait, and does nothing else to them. Which document a newer one has made void is told by the identity
alone: live deliveries carry those of their documents beside the keys.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple
from zlib import crc32

from pypes.core.identity import Identity

#: Packed keys of a delivery that must not run beside any other of its graph.
EVERY = b"*"

#: A delivery with more keys than this is in order with everything: what waits holds its keys in memory.
MAX_KEYS = 4096

#: The same for the ids of its documents, in characters.
MAX_ID_CHARS = 1 << 18


class Fresh(NamedTuple):
    """A live document that was taken while bulk deliveries of its graph waited; ``commit`` is the key of its commit.

    Without ``identity`` it stands in a store that an earlier release wrote, which knew its order key only.
    """

    graph: str
    key: int
    commit: int
    identity: Identity | None = None


class Overtaken(NamedTuple):
    """Of which documents newer ones were taken: identities, and the order keys of those whose identity is not known."""

    identities: tuple[Identity, ...] = ()
    keys: tuple[int, ...] = ()


def key_of(id: str) -> int:
    """The order key of a document's id."""
    return crc32(id.encode())


def pack_keys(keys: Iterable[int]) -> bytes:
    """Keys of a delivery as ``Header.keys`` holds them: each once, ascending, four bytes each; or :data:`EVERY`."""
    unique = sorted(set(keys))
    return EVERY if len(unique) > MAX_KEYS else struct.pack(f">{len(unique)}I", *unique)


def fresh_of(graph: str, keys: bytes, identities: Iterable[Identity], commit: int) -> list[Fresh]:
    """The documents of a live delivery; none if it is in order with everything."""
    if keys == EVERY:
        return []
    found = [Fresh(graph, key_of(identity.id), commit, identity) for identity in identities]
    return found or [Fresh(graph, key, commit) for key in unpack_keys(keys)]


def unpack_keys(packed: bytes) -> tuple[int, ...]:
    """Inverse of :func:`pack_keys`; not for :data:`EVERY`."""
    return struct.unpack(f">{len(packed) // 4}I", packed)
