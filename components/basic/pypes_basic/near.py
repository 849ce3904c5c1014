"""Near duplicates: texts with nearly the same words, by MinHash and bands of it (rensa, an extra)."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from hashlib import blake2b
from typing import Final

from pypes_basic.duplicates import Document, Draft, marks_of

#: Numbers of a signature, and bands of them: texts that share a band are compared. At 0.5 of the shingles in common, seven in
#: eight pairs share one; at 0.7, all but one in 5,000.
NUMBERS: Final = 128
BANDS: Final = 32
ROWS: Final = NUMBERS // BANDS
#: Entries of a document in the store: its signature, and its bands.
ENTRIES: Final = BANDS + 1
SHINGLE_WORDS: Final = 3
_WORD: Final = re.compile(r"\w+")
_FORM: Final = struct.Struct(f"<{NUMBERS}I")


class Near:
    """The store has ``s`` and the name → stamp and signature, and ``b``, the number and hash of a band → name."""

    def __init__(self, similarity: float) -> None:
        self._least = similarity * NUMBERS

    def prepared(self, content: bytes) -> bytes:
        return _signature(content.decode("utf-8", "surrogatepass"))

    def keys(self, document: Document) -> list[str]:
        name, stamp, signature = document
        return [f"s{name}", *([*_bands(signature), *marks_of(name, stamp)] if signature else [])]

    def first(self, draft: Draft, document: Document) -> str:
        """As that of :class:`pypes_basic.duplicates.Judge`."""
        name, stamp, signature = document
        mine = f"s{name}"
        its, before = _parted(draft.get(mine))
        if before not in (b"", signature):
            for key in (mine, *_bands(before)):
                draft.put(key, None)
        if not signature:
            return ""
        bands = [*_bands(signature)]
        owners = sorted({(draft.get(band) or b"").decode("utf-8", "surrogatepass") for band in bands} - {"", name})
        found = [(owner, *_parted(draft.get(f"s{owner}"))) for owner in owners]
        alike = [(self._alike(signature, other), owner) for owner, made, other in found if not draft.is_void(owner, made)]
        nearest = max((each for each in alike if each[0] >= self._least), default=None)
        if nearest is not None:
            return nearest[1]
        if not draft.is_void(name, stamp):
            stamp = max(stamp, its) if before == signature else stamp
            draft.put(mine, stamp.encode() + b"\0" + signature)
            for band in bands:
                draft.put(band, name.encode("utf-8", "surrogatepass"))
        return name

    @staticmethod
    def _alike(one: bytes, other: bytes) -> int:
        """Equal numbers of two signatures."""
        if len(other) != _FORM.size:
            return 0
        return sum(a == b for a, b in zip(_FORM.unpack(one), _FORM.unpack(other), strict=True))


def _parted(entry: bytes | None) -> tuple[str, bytes]:
    """Stamp and signature of an entry; empty ones if there is none."""
    stamp, _, signature = (entry or b"").partition(b"\0")
    return stamp.decode("ascii", "replace"), signature


def _signature(text: str) -> bytes:
    """The signature of a text; empty for one without words."""
    import rensa

    words = _WORD.findall(text.casefold())
    if not words:
        return b""
    shingles = [" ".join(words[at : at + SHINGLE_WORDS]) for at in range(max(1, len(words) - SHINGLE_WORDS + 1))]
    made = rensa.RMinHash(num_perm=NUMBERS, seed=42)
    made.update(shingles)
    return _FORM.pack(*made.digest())


def _bands(signature: bytes) -> Iterator[str]:
    size = ROWS * 4
    for band in range(BANDS):
        digest = blake2b(signature[band * size : (band + 1) * size], digest_size=10)
        yield f"b{band}/{digest.hexdigest()}"
