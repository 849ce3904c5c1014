"""Vector cache: vectors that a model has made, by the model and the text, in a filter's store."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Mapping

from pypes.component import Changes
from pypes.component.store import Store

#: Numbers are kept in 32 bits, as models make them.
_FORM = "f"


class VectorCache:
    """Vectors of texts for one ``model``, a name that has whatever changes its vectors. Its methods block."""

    def __init__(self, store: Store, model: str) -> None:
        self._store = store
        self._model = model

    def key_of(self, text: str) -> str:
        digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=20, person=b"vector")
        return f"{self._model}/{digest.hexdigest()}"

    def find(self, keys: Iterable[str]) -> dict[str, list[float]]:
        """The vectors that are known; they are written anew, so that those go first that nobody has asked for the longest."""
        known: dict[str, list[float]] = {}

        def read(found: Mapping[str, bytes]) -> Changes:
            known.clear()
            for key, data in found.items():
                if data and len(data) % array(_FORM).itemsize == 0:
                    known[key] = as_kept(data)
            return Changes({key: found[key] for key in known})

        self._store.change([*keys], read)
        return known

    def put(self, vectors: Mapping[str, list[float]]) -> None:
        if vectors:
            entries = {key: array(_FORM, vector).tobytes() for key, vector in vectors.items()}
            self._store.change([], lambda _: Changes(entries))


def as_kept(vector: Iterable[float] | bytes) -> list[float]:
    """A vector as it comes back from the cache, so that it is the same whether it was cached or not.

    Raises ``TypeError`` and ``OverflowError`` for what are no numbers of 32 bits.
    """
    numbers: array[float] = array(_FORM, vector)
    return numbers.tolist()
