"""Pype: the buffer between two ports, as the original Pypes had it.

Unit tests of components of then connect one by hand (``component.connect_input("in", pype)``). Within a graph, Pypes has wires of
its own, which are bounded and know of which documents their packets were made.
"""

from __future__ import annotations

from collections import deque
from typing import Any


class Pype:
    """A buffer without bounds: first in, first out."""

    def __init__(self) -> None:
        self._buffer: deque[Any] = deque()

    def send(self, data: Any) -> None:
        self._buffer.append(data)

    def recv(self) -> Any:
        """Take the data that were sent first; ``None`` if there are none."""
        return self._buffer.popleft() if self._buffer else None

    @property
    def size(self) -> int:
        """Number of data in it."""
        return len(self._buffer)

    def get_buffer_size(self) -> int:
        """The same as :attr:`size`."""
        return len(self._buffer)
