"""Passages: the piece of a long text that says most of what a question asks for."""

from __future__ import annotations

import re
from typing import Final

#: Shorter words of a question say nothing of where to look.
LEAST_LETTERS: Final = 3
#: So many letters at the end of a word may differ: the endings of other forms.
ENDING: Final = 3
LEAST_STEM: Final = 4
#: Ahead of a sentence, or of a line that goes on with no sentence: texts of pages are broken anywhere.
_STARTS: Final = re.compile(r"(?:^|\n\s*\n|\n(?=\s*[^\sa-z])|[.!?]\s+)\s*(?=\S)")


def passage_of(text: str, question: str, chars: int) -> str:
    """At most about ``chars`` characters of a text, from the beginning of a sentence or line, with most words of a question.

    White space is single spaces. ``…`` stands where something is left out.
    """
    if len(text) <= chars:
        return " ".join(text.split())
    # a long word counts more: it is seldom one that stands everywhere
    places = [(found.start(), word) for word in _stems(question) for found in re.finditer(rf"\b{re.escape(word)}", text, re.I)]
    places.sort()
    best, start = 0, 0
    for begin in (found.end() for found in _STARTS.finditer(text)):
        said = sum(map(len, {word for at, word in places if begin <= at < begin + chars}))
        if said > best:
            best, start = said, begin
    cut = text[start : start + chars]
    end = start + len(cut)
    if end < len(text) and not text[end].isspace():
        cut = cut[: max(cut.rfind(" "), cut.rfind("\n")) + 1] or cut
    return f"{'… ' if start else ''}{' '.join(cut.split())}{' …' if end < len(text) else ''}"


def _stems(question: str) -> set[str]:
    words = {word.lower() for word in re.findall(r"\w+", question) if len(word) >= LEAST_LETTERS}
    return {word[: max(LEAST_STEM, len(word) - ENDING)] for word in words}
