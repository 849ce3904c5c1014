"""Embedders: who makes the vector of a question.

Vectors can only be compared with those that the same model has made. Distributions with a model say so by an entry point of the
group ``pypes.embedders``: a function that takes the name of a model, as embedders put it into the metadata of a vector, and
returns what makes vectors of texts with it, or ``None`` if the model is none of theirs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Final

from pypes_search.vectors import Space

GROUP: Final = "pypes.embedders"

#: Makes the vectors of texts.
Embedder = Callable[[list[str]], list[list[float]]]


class Embedders:
    """The embedders that are installed; a model is loaded when it is first needed."""

    def __init__(self) -> None:
        self._made: dict[str, Embedder | None] = {}

    def __call__(self, text: str, space: Space) -> tuple[Sequence[float] | None, str]:
        """The vector of a text for a space; or none, and the reason for it."""
        model = space.model
        if not model:
            return None, "the index does not say which model made its vectors"
        try:
            if model not in self._made:
                self._made[model] = embedder_for(model)
            embed = self._made[model]
            if embed is None:
                return None, (
                    f"no embedder for model {model} is known here; if a server makes its vectors (EmbedRemote), say which: "
                    "PYPES_EMBEDDINGS_URL"
                )
            (vector,) = embed([text])
            length = math.hypot(*vector)
        except Exception as error:  # whatever a model runs into: the words are still there
            return None, f"the embedder for model {model} failed: {error or type(error).__name__}"
        if len(vector) != space.dimensions:
            return None, f"model {model} makes {len(vector)} numbers here, and vectors of the index have {space.dimensions}"
        if not 0 < length < math.inf:
            return None, f"the embedder for model {model} failed: it gave zeros alone, or numbers that are not finite"
        return vector, ""


def embedder_for(model: str) -> Embedder | None:
    """The embedder of a model, as an installed distribution gives it; ``None`` if none knows the model."""
    for entry in sorted(metadata.entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value)):
        make: Callable[[str], Embedder | None] = entry.load()
        found = make(model)
        if found is not None:
            return found
    return None
