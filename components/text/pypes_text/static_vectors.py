"""Static vectors: the mean of vectors of the words, which a small table has."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from pypes import Reject
from pypes.errors import ComponentError

MODEL: Final = "wordllama-l2-supercat-256"
_WEIGHTS: Final = "weights/l2_supercat_256.safetensors"
_TOKENIZER: Final = "tokenizers/l2_supercat_tokenizer_config.json"


class StaticVectors:
    """The table and the tokenizer that the distribution ``wordllama`` (MIT licence) brings along: 32,000 words, 256 dimensions.

    They are read from its files. Its own code is not imported: it sets up logging for the whole process, and looks for the files
    in a folder where they are not, to download them then. Several threads may use one object.
    """

    name = MODEL

    def __init__(self) -> None:
        """Raises ``ComponentError`` if the files are not where they are expected."""
        import numpy
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        spec = find_spec("wordllama")
        folder = Path(spec.origin).parent if spec and spec.origin else Path()
        try:
            tables = load_file(folder / _WEIGHTS)
            tokenizer: Any = Tokenizer.from_file(str(folder / _TOKENIZER))
        except Exception as error:  # neither library raises anything more special
            raise ComponentError(
                f"the distribution wordllama has no weights in {folder}: {error}; run pip install 'pypes-text[static]'",
                code="embed.model",
            ) from error
        self._numpy: Any = numpy
        self._table: Any = tables["embedding.weight"]
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._encode: Any = tokenizer.encode_batch_fast

    def embed(self, texts: Sequence[str], dims: int) -> list[list[float]]:
        """Vectors of length 1, in numbers of six digits: the first of the dimensions, which say most.

        Raises ``Reject`` for a text without a word.
        """
        np = self._numpy
        vectors: list[list[float]] = []
        for text, found in zip(texts, self._encode([*texts], add_special_tokens=False), strict=True):
            # each word once, so that memory does not grow with the text
            words, counts = np.unique(np.asarray(found.ids, dtype=np.int64), return_counts=True)
            total = counts.astype(np.float32) @ self._table[words, :dims].astype(np.float32)
            length = float(np.linalg.norm(total))
            if not length:
                raise Reject(f"no word of the text has a vector: {text[:40]!r}", "embed.no_words")
            vectors.append(np.round((total / length).astype(np.float64), 6).tolist())
        return vectors
