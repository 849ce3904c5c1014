"""Encoding: attributes, the resource and times as OTLP has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from pypes import __version__

#: The kind of a field whose length stands before it.
_BY_LENGTH: Final = 2

Attributes = Mapping[str, str | int | float | None]


def attributes_of(given: Attributes) -> list[KeyValue]:
    """Attributes by name, without those that are ``None``."""
    return [KeyValue(key=name, value=_value(value)) for name, value in given.items() if value is not None]


def _value(value: str | int | float) -> AnyValue:
    if isinstance(value, str):
        return AnyValue(string_value=value)
    return AnyValue(int_value=value) if isinstance(value, int) else AnyValue(double_value=value)


def resource_of(given: Mapping[str, str]) -> Resource:
    """The node as the source of what is sent."""
    return Resource(attributes=attributes_of(given))


def scope() -> InstrumentationScope:
    return InstrumentationScope(name="pypes", version=__version__)


def nanoseconds(seconds: float) -> int:
    """A time of OTLP, of seconds since 1970."""
    return int(seconds * 1e6) * 1000


def embedded(field: int, message: bytes) -> bytes:
    """An encoded message as a field of another one, whose number is 15 at most; fields stand one after another."""
    head = bytearray([field << 3 | _BY_LENGTH])
    size = len(message)
    while size > 0x7F:
        head.append(size & 0x7F | 0x80)
        size >>= 7
    head.append(size)
    return bytes(head) + message
