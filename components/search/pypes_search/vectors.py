"""Vectors: how they come to be in an index, and stay as small and as near to one another as a search wants them.

A vector is packed into whole numbers from -127 to 127, one byte each, behind the factor that gives it length 1. A search compares
a question with all of them, so they lie in blocks: table ``vectors`` has the keys of some hundred rows and their vectors, one
behind the other. ``vector_places`` says in which block the vector of a row is; what a block has of other rows is dead. Rows that
are deleted or changed lose their place by triggers, so vectors come and go with the words, in the same transactions.

Each transaction writes a block of its own. Small ones, and those that are mostly dead, are merged from time to time.
"""

from __future__ import annotations

import math
import sqlite3
import struct
import sys
from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import orjson

from pypes.errors import StoreError
from pypes_search.bulk import Bulk
from pypes_search.row import One

#: A block has at most so many bytes of vectors. It is what a search reads at a time.
BLOCK_BYTES: Final = 512 * 1024
#: So many blocks may be less than half full before they are merged: a search reads them all, and a merge writes half a block.
MOST_SMALL: Final = 32
#: Longest vector that is taken.
MOST_DIMENSIONS: Final = 16_384

#: In front of the numbers: the factor of the vector.
FACTOR: Final = struct.Struct("<f")
#: PERF: 1.5 * 2**52 added to a number leaves no room for fractions: it is rounded, and its lowest byte is the whole number's.
_ROUNDING: Final = 6755399441055744.0
_LOWEST: Final = 0 if sys.byteorder == "little" else 7

_FIND: Final = Bulk(
    "WITH asked (place, id, route, part, version) AS (VALUES %s) SELECT json_group_array(json_array(a.place, d.key))"
    " FROM asked a CROSS JOIN documents d"
    " ON d.id = a.id AND d.route = a.route AND d.part = a.part AND d.version = a.version",
    4,
    has_places=True,
)
_PLACE: Final = (
    "INSERT INTO vector_places (key, block) SELECT value, ? FROM json_each(?) WHERE true"
    " ON CONFLICT (key) DO UPDATE SET block = excluded.block"
)
_LIVE: Final = "SELECT json_group_array(key) FROM vector_places WHERE block = ? AND key IN (SELECT value FROM json_each(?))"


class Space(NamedTuple):
    """The vectors that can be compared: of so many numbers, made by this model (empty: nobody said)."""

    dimensions: int
    model: str = ""


def pack(values: Sequence[float]) -> bytes | None:
    """A vector as it is stored; ``None`` if it is all zeros and points nowhere. Raises ``ValueError`` for what is no vector."""
    if not 0 < len(values) <= MOST_DIMENSIONS:
        raise ValueError(f"it has {len(values)} numbers; 1 to {MOST_DIMENSIONS} are possible")
    try:
        numbers = array("d", values)
    except TypeError:
        raise ValueError("it holds something other than numbers") from None
    except OverflowError:
        numbers = array("d", [math.inf])
    if not math.isfinite(math.hypot(*numbers)):
        raise ValueError("it holds a number that is not finite")
    most = max(max(values), -min(values))  # PERF: a list has its numbers as objects already
    if not most:
        return None
    factor = 127 / most
    if not math.isfinite(factor):  # so small that it cannot be told which way it points
        return None
    whole = array("d", [value * factor + _ROUNDING for value in values]).tobytes()[_LOWEST::8]
    return FACTOR.pack(1 / math.hypot(*array("b", whole))) + whole


def space_of(db: sqlite3.Connection) -> Space | None:
    """The space of the vectors in an index, ``None`` if it never had one."""
    found = dict(db.execute("SELECT name, value FROM settings WHERE name IN ('dimensions', 'model')").fetchall())
    return Space(found["dimensions"], found["model"]) if "dimensions" in found else None


def claim(db: sqlite3.Connection, space: Space) -> Space:
    """Make this the space of the vectors in an index, if it has none; returns the one that it has then."""
    known = space_of(db)
    if known is not None and (known.model or not space.model or known.dimensions != space.dimensions):
        return known
    db.executemany("INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)", space._asdict().items())
    return space


def put(db: sqlite3.Connection, vectors: Mapping[One, bytes | None], space: Space) -> None:
    """Store the vectors of rows that are in the index, in place of those they had; ``None`` for a row without one.

    Raises ``StoreError`` if the index has vectors of other dimensions: it was put in the place of another one.
    """
    known = claim(db, space)
    if known.dimensions != space.dimensions:
        raise StoreError(
            f"the index holds vectors of {known.dimensions} numbers, and {space.dimensions} were given", code="search.dimensions"
        )
    ones = list(vectors)
    found = [(key, vectors[ones[place]]) for place, (key,) in _FIND.ask(db, ones)]
    _write(db, [(key, packed) for key, packed in found if packed is not None])
    db.executemany("DELETE FROM vector_places WHERE key = ?", [(key,) for key, packed in found if packed is None])
    _merge(db, _per_block(space.dimensions) // 2)


def _per_block(dimensions: int) -> int:
    return max(2, BLOCK_BYTES // (FACTOR.size + dimensions))


def _write(db: sqlite3.Connection, vectors: Sequence[tuple[int, bytes]]) -> None:
    most = _per_block(len(vectors[0][1]) - FACTOR.size) if vectors else 1
    for start in range(0, len(vectors), most):
        keys, packed = zip(*vectors[start : start + most], strict=True)
        block = db.execute("INSERT INTO vector_blocks (live) VALUES (?)", (len(keys),)).lastrowid
        db.execute("INSERT INTO vectors (block, keys, packed) VALUES (?, ?, ?)", (block, _to_bytes(keys), b"".join(packed)))
        db.execute(_PLACE, (block, orjson.dumps(keys).decode()))


def _merge(db: sqlite3.Connection, half: int) -> None:
    """Put blocks that are less than half full together, once there are many of them."""
    small = [block for (block,) in db.execute("SELECT block FROM vector_blocks WHERE live < ? LIMIT ?", (half, MOST_SMALL + 1))]
    if len(small) <= MOST_SMALL:
        return
    kept: list[tuple[int, bytes]] = []
    for block in small:
        raw, packed = db.execute("SELECT keys, packed FROM vectors WHERE block = ?", (block,)).fetchone()
        keys = _from_bytes(raw)
        size = len(packed) // len(keys)
        live = set(orjson.loads(db.execute(_LIVE, (block, orjson.dumps(keys).decode())).fetchone()[0]))
        kept += [(key, packed[n * size : (n + 1) * size]) for n, key in enumerate(keys) if key in live]
    _write(db, kept)
    for table in ("vectors", "vector_blocks"):
        db.executemany(f"DELETE FROM {table} WHERE block = ?", [(block,) for block in small])


def _to_bytes(keys: Iterable[int]) -> bytes:
    numbers = array("q", keys)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def _from_bytes(raw: bytes) -> list[int]:
    numbers = array("q", raw)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tolist()
