"""Tokens of texts, found word by word."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any, Final

#: A text in pieces: line breaks, and words with the spaces before them.
_PIECE: Final = re.compile(r"\n| +[^ \n]*|[^ \n]+")
#: Pieces are kept up to so many characters; with their tokens they take some 20 MB.
_MOST_CHARS: Final = 1 << 19


class WordTokens:
    """Numbers of the tokens of texts, by a tokenizer such as that of Llama 2: byte pairs over the whole text.

    It takes a text for one long word, so that nothing of it is known from earlier texts. But no token of it has a space behind
    another character, or a line break beside one: the tokens of a text are those of its words, one behind the other. PERF: half
    of the time of the tokenizer for the first texts, a quarter once most words are known.

    Several threads may use one object.
    """

    def __init__(self, encode: Callable[..., Any]) -> None:
        """``encode`` is that of the tokenizer."""
        self._encode = encode
        self._break: int = encode("\n", add_special_tokens=False).ids[-1]
        self._forget()

    def of(self, texts: Sequence[str]) -> Iterator[Iterator[int]]:
        """The tokens of each text."""
        # the tokenizer writes spaces as that character
        pieces = [_PIECE.findall(" " + text.replace("\u2581", " ")) for text in texts]
        if self._room < 0:
            self._forget()
        known = self._known  # the same until the end, whatever other threads do
        unknown = [*set(chain.from_iterable(pieces)).difference(known)]
        if unknown:
            said = "\n" + "\n".join(unknown)
            self._room -= len(said)
            ids = self._encode(said, add_special_tokens=False).ids
            start = 2  # behind the space that is put before each text, and the break
            for piece in unknown[:-1]:
                end = ids.index(self._break, start)
                known[piece] = tuple(ids[start:end])
                start = end + 1
            known[unknown[-1]] = tuple(ids[start:])
        for some in pieces:
            yield chain.from_iterable(map(known.__getitem__, some))

    def _forget(self) -> None:
        self._known: dict[str, tuple[int, ...]] = {"\n": (self._break,)}
        self._room = _MOST_CHARS
