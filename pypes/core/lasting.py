"""Imports at the start of a process, out of sight of the garbage collector."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def lasting() -> Iterator[None]:
    """Keep all that there is at the end of the block: the collector looks at none of it, meanwhile or afterwards.

    PERF: hundreds of modules make objects by the ten thousand, all of which last; to look through them again and again takes
    a tenth to a fifth of the time of an import.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
