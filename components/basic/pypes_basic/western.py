"""Telling short texts of western Europe (windows-1252) from those in other character sets, by how their words look."""

from __future__ import annotations

import re
from typing import Final

#: With more bytes beyond ASCII than this, a guess by the frequency of letters is sound by itself.
FEW_BYTES: Final = 64

#: Signs that people write at the edge of words (money, quotes, superscripts …), and those that stand within them as well
#: (apostrophe, dashes, ellipsis, middle dot, hard blank, soft hyphen).
_AT_EDGES: Final = "€£§°±µ¿¡“”„•™©®²³¹½¼¾×´¢¥†‡‰‹›«»"  # noqa: RUF001
_WITHIN: Final = "’‘–—…·\xa0\xad"  # noqa: RUF001
_LETTER: Final = r"[^\W\d_]"
_SIGN_IN_WORD: Final = re.compile(f"{_LETTER}[{_AT_EDGES}]{_LETTER}")
_WORDS: Final = re.compile(f"{_LETTER}+")


def is_western(data: bytes) -> bool:
    """True for bytes that read well as windows-1252: few beyond ASCII, and these are letters and signs where people write them.

    Words are of ASCII but for a letter here and there. In texts of other alphabets, whole words are beyond it.
    """
    text = data.decode("cp1252", "replace")
    beyond = [letter for letter in text if not letter.isascii()]
    if len(beyond) > FEW_BYTES or not all(letter.isalpha() or letter in _AT_EDGES or letter in _WITHIN for letter in beyond):
        return False
    if _SIGN_IN_WORD.search(text):
        return False
    words = [word for word in _WORDS.findall(text) if not word.isascii()]
    mixed = [word for word in words if len(word) == 1 or 2 * sum(map(str.isascii, word)) >= len(word)]
    return 3 * len(mixed) >= 2 * len(words)
