"""Words of the index, where SQLite's tokenizer would take more or less for one.

SQLite's tokenizer takes a run of letters for one word, which in Chinese, Japanese, Thai and their like is a whole sentence. In
what is indexed, and in what is asked for, each of their letters therefore stands alone. Several of them in a query are a phrase,
so a word is found wherever it stands.

Soft hyphens and their like stand within words, and part them for the tokenizer: they are left out of both.
"""

from __future__ import annotations

import re
from typing import Final

from pypes_basic.line_breaks import unbroken

#: Between letters that are to be words of their own: invisible, and no letter to the tokenizer.
GAP: Final = "\u200b"

#: Thai and Lao, Burmese, Khmer, kana, ideographs. Korean has spaces.
_LETTERS: Final = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3040-\u30ff\u3100-\u312f\u31a0-\u31ff"
    "\u3400-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
)
_ANY: Final = re.compile(f"[{_LETTERS}]")
_SEAM: Final = re.compile(rf"(?<=[{_LETTERS}])(?=[\w{_LETTERS}])|(?<=\w)(?=[{_LETTERS}])")


def parted(text: str) -> str | None:
    """The text with a gap at each seam, and unbroken; ``None`` if that is the text itself, as mostly."""
    if text.isascii():
        return None
    whole = unbroken(text)
    if _ANY.search(whole) is None:
        return whole if whole != text else None
    return _SEAM.sub(GAP, whole)


def joined(text: str) -> str:
    """Inverse of :func:`parted`, for text with marks of a hit in it."""
    return text.replace(GAP, "")
