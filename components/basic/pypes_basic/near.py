"""Near duplicates: texts with nearly the same words, by MinHash and bands of it (rensa, an extra)."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Final

from pypes.component import Changes, Store
from pypes_basic.duplicates import Document

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
    """The store has ``s`` and the name → signature, and ``b``, the number and hash of a band → name."""

    def __init__(self, similarity: float) -> None:
        self._least = similarity * NUMBERS

    def first(self, store: Store, documents: Sequence[Document]) -> list[str]:
        """As that of :class:`pypes_basic.duplicates.Judge`, document by document."""
        return [self._first(store, name, content) for name, content in documents]

    def _first(self, store: Store, name: str, content: bytes) -> str:
        signature = _signature(content.decode("utf-8", "surrogatepass"))
        bands = [*_bands(signature)] if signature else []
        mine = f"s{name}"
        seen: dict[str, bytes] = {}

        def look(entries: Mapping[str, bytes]) -> Changes:
            seen.clear()
            seen.update(entries)
            return Changes({})

        store.change([mine, *bands], look)
        others = {f"s{owner.decode('utf-8', 'surrogatepass')}" for key, owner in seen.items() if key != mine} - {mine}
        found = ""

        def decide(entries: Mapping[str, bytes]) -> Changes:
            nonlocal found
            changed: dict[str, bytes | None] = {}
            before = entries.get(mine)
            if before is not None and before != signature:
                changed |= dict.fromkeys((mine, *_bands(before)))
            if not signature:
                found = ""
                return Changes(changed)
            alike = [(self._alike(signature, entries[key]), key[1:]) for key in others if key in entries]
            nearest = max((each for each in alike if each[0] >= self._least), default=None)
            found = nearest[1] if nearest is not None else name
            if nearest is None:
                changed |= {mine: signature, **dict.fromkeys(bands, name.encode("utf-8", "surrogatepass"))}
            return Changes(changed)

        store.change([mine, *others], decide)
        return found

    @staticmethod
    def _alike(one: bytes, other: bytes) -> int:
        """Equal numbers of two signatures."""
        if len(other) != _FORM.size:
            return 0
        return sum(a == b for a, b in zip(_FORM.unpack(one), _FORM.unpack(other), strict=True))


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
