"""Printed: what code of components prints, past the log, without secrets."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from pypes.core.shown import Clean


class CleanStream(io.TextIOWrapper):
    """A stream to the same file as ``stream``, through ``clean``. Bytes that are written to its ``buffer`` go out as they are."""

    def __init__(self, stream: TextIO, clean: Clean) -> None:
        # a file of its own: the other stream goes on, and closes the descriptor or not
        file = open(stream.fileno(), "wb", closefd=False)  # noqa: SIM115 - as long as the process
        super().__init__(file, encoding=stream.encoding, errors="backslashreplace", line_buffering=True)
        self._clean = clean

    def write(self, text: str) -> int:
        super().write(self._clean(text))
        return len(text)


def clean_prints(clean: Clean) -> None:
    """Have all that Python code of this process prints, tracebacks included, go through ``clean`` from now on.

    Programs that it starts, and code that is not Python, write past it.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        try:
            made = CleanStream(stream, clean)
            stream.flush()
        except (AttributeError, OSError, ValueError):  # it has none, or one without a file
            continue
        setattr(sys, name, made)


@contextmanager
def cleaned_prints(clean: Clean) -> Iterator[None]:
    """:func:`clean_prints` until the end of the block."""
    before = sys.stdout, sys.stderr
    clean_prints(clean)
    try:
        yield
    finally:
        for stream in {sys.stdout, sys.stderr} - {*before}:
            stream.flush()
        sys.stdout, sys.stderr = before
