"""Questions to indexes whose vectors a server makes (``EmbedRemote``): their vectors come from there as well."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final

from pypes.errors import ComponentError, Unreachable
from pypes_text.openai_client import OpenAIClient, Refused, TooMany
from pypes_text.vector_cache import as_kept

#: Environment variables: address of the server, up to the version, its key, and the dimensions to ask for.
URL: Final = "PYPES_EMBEDDINGS_URL"
KEY: Final = "PYPES_EMBEDDINGS_KEY"
DIMENSIONS: Final = "PYPES_EMBEDDINGS_DIMENSIONS"

#: Somebody waits for the answer, and words alone give one, too.
TIMEOUT_S: Final = 10.0


def embedder_for(model: str) -> Callable[[list[str]], list[list[float]]] | None:
    """A function that has the server at ``$PYPES_EMBEDDINGS_URL`` embed questions by a model; ``None`` if there is none.

    The server is asked for any model, so this embedder is to be the last that is asked. Raises ``ComponentError`` for an address
    or a number that is none.
    """
    url, key, dimensions = (os.environ.get(name, "").strip() for name in (URL, KEY, DIMENSIONS))
    if not url:
        return None
    if dimensions and not (dimensions.isascii() and dimensions.isdigit() and int(dimensions)):
        raise ComponentError(f"{DIMENSIONS} must be a whole number of dimensions, not {dimensions!r}", code="embed.dimensions")
    request: dict[str, Any] = {"model": model, **({"dimensions": int(dimensions)} if dimensions else {})}
    try:
        client = OpenAIClient(url, key, TIMEOUT_S)
    except ComponentError as error:
        raise ComponentError(f"{URL}: {error.message}", code=error.code) from error

    def embed(texts: list[str]) -> list[list[float]]:
        try:
            return _vectors(client.post("embeddings", {**request, "input": texts}).body.get("data"), len(texts))
        except (Refused, TooMany, Unreachable) as error:  # servers repeat keys that they refuse
            reason = str(error)
            raise ComponentError(reason.replace(key, f"${{{KEY}}}") if key else reason, code="embed.remote") from None

    return embed


def _vectors(data: Any, count: int) -> list[list[float]]:
    """The vectors of an answer in the order of the texts. Raises ``Refused``."""
    items = [item for item in data if isinstance(item, dict)] if isinstance(data, list) else []
    places = [item.get("index", place) for place, item in enumerate(items)]
    try:
        vectors = {place: as_kept(item["embedding"]) for place, item in zip(places, items, strict=True)}
        return [vectors[place] for place in range(count)]
    except (KeyError, TypeError, OverflowError) as error:
        raise Refused("the server gave no vector of numbers for the question") from error
