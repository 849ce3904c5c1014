"""Plain text: without characters that are no text, which formats and damage leave in it."""

from __future__ import annotations

import re
from typing import Final

#: Controls but for tab and line feed, and halves of pairs of UTF-16, which no encoding of text takes.
_NO_TEXT: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_EMPTY_LINES: Final = re.compile(r"\n[^\S\n]*\n\s*")


def plain_text(text: str) -> str:
    """The text with lines that end with a line feed, and without characters that are none."""
    if _NO_TEXT.search(text) is None:  # PERF: as mostly
        return text
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x0b", "\n").replace("\x0c", "\n")
    return _NO_TEXT.sub("", text)


def plain_line(text: str) -> str:
    """The text in one line with single spaces."""
    return " ".join(plain_text(text).split())


def paragraphs_of(text: str) -> list[str]:
    """The stretches of a text between empty lines."""
    return _EMPTY_LINES.split(text)


def whole(text: str | None, default: int = 0) -> int:
    """The whole number that a text is, if it has up to nine digits; more are made to take time, and Python refuses them."""
    return int(text) if text and len(text) < 10 and text.isdecimal() else default


def as_list(text: str) -> list[str]:
    """Several values that were written as one, with commas or semicolons between them."""
    return [value for part in re.split("[,;\n]", text) if (value := plain_line(part))]
