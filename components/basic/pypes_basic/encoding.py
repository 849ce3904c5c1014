"""Encoding: packets as JSON, with a form for values that JSON has none for."""

from __future__ import annotations

import base64
from typing import Any

import orjson

from pypes import Packet


def encode(value: Any, option: int = 0) -> bytes:
    """A value as JSON: bytes in it as base64, anything else that JSON has no form for by its text.

    Raises ``orjson.JSONEncodeError``.
    """
    return orjson.dumps(value, default=_plain, option=option | orjson.OPT_NON_STR_KEYS)


def refused_field(packets: list[Packet]) -> str:
    """The first field that JSON refuses, as the beginning of a sentence; empty if it is none."""
    for packet in packets:
        for name, values in packet:
            try:
                encode(values)
            except orjson.JSONEncodeError:
                return f"field {name!r}: "
    return ""


def _plain(value: Any) -> Any:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(value).decode()
    read = getattr(value, "read", None)
    return base64.b64encode(read()).decode() if callable(read) else str(value)
