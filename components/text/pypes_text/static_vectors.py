"""Static vectors: the mean of vectors of the words, which a small table has.

:func:`embedder_for` is registered under the entry point group ``pypes.embedders``, so that questions to an index are embedded as
its documents were.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from pypes import Reject
from pypes.errors import ComponentError
from pypes_text.word_tokens import WordTokens

INSTALL: Final = "pip install 'pypes-text[static]'"
#: Dimensions that the table has.
DIMS: Final = 256
#: In front of the number of dimensions: vectors can only be compared with those of as many.
_MODEL: Final = "wordllama-l2-supercat-"
_WEIGHTS: Final = "weights/l2_supercat_256.safetensors"
_TOKENIZER: Final = "tokenizers/l2_supercat_tokenizer_config.json"


def model_of(dims: int) -> str:
    """The name of the model that makes vectors of so many dimensions."""
    return f"{_MODEL}{dims}"


def embedder_for(model: str) -> Callable[[list[str]], list[list[float]]] | None:
    """A function that makes the vectors of a model, for the questions to an index; ``None`` if the model is not one of these.

    Reads the table, 0.2 s. Raises ``ComponentError`` if what it needs is not installed.
    """
    for dims in range(1, DIMS + 1):
        if model == model_of(dims):
            return partial(StaticVectors().embed, dims=dims)
    return None


#: Texts of as many tokens are added up by their different tokens.
_MANY: Final = 4096


class StaticVectors:
    """The table and the tokenizer that the distribution ``wordllama`` (MIT licence) brings along: 32,000 words, 256 dimensions.

    They are read from its files. Its own code is not imported: it sets up logging for the whole process, and looks for the files
    in a folder where they are not, to download them then. Several threads may use one object.
    """

    def __init__(self) -> None:
        """Raises ``ComponentError`` if the libraries or the files are not where they are expected."""
        try:
            import numpy
            from safetensors.numpy import load_file
            from tokenizers import Tokenizer
        except ImportError as error:
            raise ComponentError(f"{error}: {INSTALL}", code="embed.model") from error
        spec = find_spec("wordllama")
        if spec is None or spec.origin is None:
            raise ComponentError(f"wordllama, which has the table of words, is not installed: {INSTALL}", code="embed.model")
        folder = Path(spec.origin).parent
        try:
            tables = load_file(folder / _WEIGHTS)
            tokenizer: Any = Tokenizer.from_file(str(folder / _TOKENIZER))
        except Exception as error:  # neither library raises anything more special
            raise ComponentError(
                f"the distribution wordllama has no weights in {folder}: {error}; {INSTALL}", code="embed.model"
            ) from error
        self._numpy: Any = numpy
        # PERF: in the form in which numbers are added up; it takes 32 MB, twice as much as in the file
        self._table: Any = tables["embedding.weight"].astype(numpy.float32)
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokens = WordTokens(tokenizer.encode)

    def embed(self, texts: Sequence[str], dims: int) -> list[list[float]]:
        """Vectors of length 1, in numbers of six digits: the first of the dimensions, which say most.

        Raises ``Reject`` for a text without a word.
        """
        np = self._numpy
        vectors: list[list[float]] = []
        # half of a character, as JSON may have it, is no text for the tokenizer
        said = [text if text.isascii() else text.encode("utf-8", "replace").decode() for text in texts]
        for text, found in zip(texts, self._tokens.of(said), strict=True):
            ids = np.fromiter(found, dtype=np.intp)
            if len(ids) < _MANY:
                total = self._table.take(ids, axis=0).sum(axis=0)[:dims]
            else:
                # each token once, so that memory does not grow with the text
                tokens, counts = np.unique(ids, return_counts=True)
                total = counts.astype(np.float32) @ self._table[tokens, :dims]
            length = float(np.linalg.norm(total))
            if not length:
                raise Reject(f"no word of the text has a vector: {text[:40]!r}", "embed.no_words")
            vectors.append(np.round((total / length).astype(np.float64), 6).tolist())
        return vectors
