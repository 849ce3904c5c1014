"""Lines of a text that is read in blocks, none of them longer than what memory is meant for."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from typing import BinaryIO, Final

from pypes_basic.undefined import STRICT

BLOCK_BYTES: Final = 64 * 1024


class RowTooLongError(Exception):
    """A row is longer than the bound."""


def blocks_of_lines(body: BinaryIO, codec: str, max_chars: int) -> Iterator[list[str]]:
    """Yield the lines of a text, with their breaks as they are, those that end in one block together; no list is empty.

    Raises :class:`RowTooLongError` for a line that spans blocks and has more than ``max_chars``: a text need not have line
    breaks at all, and a line is gathered in memory.
    """
    decoder = codecs.getincrementaldecoder(codec)(STRICT)
    # the beginning of a line that has not ended
    begun: list[str] = []
    begun_chars = 0
    held = ""
    data = b"\n"
    while data:
        data = body.read(BLOCK_BYTES)
        text = held + decoder.decode(data, final=not data)
        # half a line break may be what the next block goes on with
        held = "\r" if data and text.endswith("\r") else ""
        lines = io.StringIO(text[: len(text) - len(held)], newline="").readlines()
        if not lines:
            continue
        if begun:
            begun_chars += len(lines[0])
            if begun_chars > max_chars:
                raise RowTooLongError
            begun.append(lines[0])
            if lines[0][-1] not in "\r\n" and len(lines) == 1:
                continue
            lines[0] = "".join(begun)
            begun, begun_chars = [], 0
        if lines[-1][-1] not in "\r\n":
            begun = [lines.pop()]
            begun_chars = len(begun[0])
        if lines:
            yield lines
    if begun:
        yield ["".join(begun)]
