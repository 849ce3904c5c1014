"""Lengths of texts: in characters, in tokens of a tokenizer, or in tokens as estimated."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from math import ceil
from typing import Any, Protocol

from pypes.errors import ComponentError

#: Bytes of UTF-8 that make a token, in the estimate. Tokenizers of today make 4 to 5 of English and 2.5 to 3.5 of other scripts.
BYTES_PER_TOKEN = 4


class Length(Protocol):
    """Measures texts. The length of a text that is put together is near the sum of its parts."""

    #: The length of a character of white space between two parts.
    of_gap: float

    @abstractmethod
    def of(self, text: str) -> int: ...


class Characters(Length):
    of_gap = 1

    def of(self, text: str) -> int:
        return len(text)


class EstimatedTokens(Length):
    of_gap = 1 / BYTES_PER_TOKEN

    def of(self, text: str) -> int:
        return ceil(len(text.encode("utf-8", "surrogatepass")) / BYTES_PER_TOKEN)


class Tokens(Length):
    """Counts what a tokenizer in the form of the library ``tokenizers`` (``tokenizer.json``) makes of a text."""

    of_gap = 1 / BYTES_PER_TOKEN

    def __init__(self, path: str) -> None:
        """Raises ``ComponentError`` for a file that is none, and if the library is not there."""
        try:
            from tokenizers import Tokenizer
        except ImportError as error:
            raise ComponentError(
                "parameter tokenizer needs the library tokenizers, not installed here; run pip install 'pypes-text[tokens]'",
                code="component.missing_library",
            ) from error
        try:
            tokenizer: Any = Tokenizer.from_file(path)
        except Exception as error:  # the library raises nothing more special
            raise ComponentError(f"{path} is no tokenizer: {error}", code="chunk.tokenizer") from error
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._encode: Callable[..., Any] = tokenizer.encode

    def of(self, text: str) -> int:
        return len(self._encode(text, add_special_tokens=False))
