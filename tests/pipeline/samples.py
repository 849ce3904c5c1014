"""Functions for pipelines in tests, in a module that pool workers can import."""

from __future__ import annotations

import threading
import time
from typing import Any

from pypes import Component, Packet


def add(value: int) -> int:
    return value + 1


def double(value: int) -> int:
    return value * 2


def odd(value: int) -> int | None:
    return value if value % 2 else None


def no_three(value: int) -> int:
    if value == 3:
        raise ValueError("three")
    return value


def same(value: Any) -> Any:
    return value


def pair(left: Any, right: Any) -> tuple[Any, Any]:
    return left, right


#: Numbers that :class:`Waits` lets pass.
PASSED: set[int] = set()


class Waits(Component):
    """Works on a packet until its number is among those that pass."""

    __metatype__ = "FILTER"

    def process(self, packet: Packet) -> Packet:
        deadline = time.monotonic() + 20
        while packet["number"] not in PASSED and time.monotonic() < deadline:
            threading.Event().wait(0.001)
        return packet
