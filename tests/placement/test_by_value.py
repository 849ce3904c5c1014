"""Values whose classes no module has travel whole, buffers apart, and leave classes that are known as they are."""

from __future__ import annotations

import enum
import pickle
from typing import Any

from pypes.placement.by_value import dumps


def test_a_known_class_stays_as_it_is() -> None:
    class Note:
        count = 1

    class Kind(enum.Enum):
        NEW = 1

    data = dumps((Note(), Kind.NEW))
    Note.count = 2
    Kind.said = "hello"  # type: ignore[attr-defined]
    note, kind = pickle.loads(data)
    assert (type(note), kind, Note.count, Kind.said) == (Note, Kind.NEW, 2, "hello")  # type: ignore[attr-defined]


def test_buffers_stay_inside_or_apart_as_is_asked() -> None:
    def held(*buffers: Any) -> Any:
        return lambda: buffers

    small, large = bytearray(b"small"), bytearray(b"large" * 100)
    apart: list[pickle.PickleBuffer] = []

    def stays_inside(buffer: pickle.PickleBuffer) -> bool:
        if buffer.raw().nbytes < 100:
            return True
        apart.append(buffer)
        return False

    data = dumps(held(*map(pickle.PickleBuffer, (small, large))), stays_inside)
    assert (len(apart), b"large" in data) == (1, False)
    inside, outside = pickle.loads(data, buffers=apart)()
    assert (inside, type(inside), bytes(outside)) == (small, bytearray, bytes(large))
    large[0] = ord("L")
    assert bytes(outside).startswith(b"Large")
