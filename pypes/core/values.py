"""The values of a packet's fields: how they are kept, copied and measured."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from typing import Any, BinaryIO, Final, Self

#: Types whose values never change, so that any number of packets may share them.
PLAIN: Final = frozenset([str, int, float, bool, type(None), bytes])


class Body(ABC):
    """A large binary value that is read only when asked for, such as a spool file. Never changes."""

    size: int

    @abstractmethod
    def open(self) -> BinaryIO:
        """A fresh binary stream over the value, to be closed by the caller. Blocks like a file."""

    @abstractmethod
    def read(self) -> bytes:
        """The whole value in memory."""

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


# What a packet keeps for a field, its *entry*, is the value itself where there is one, a list for a field said to be
# multi-valued (as parsed JSON has it, so that a document need not be walked), or one of the two classes below.


class One:
    """A list that is one value."""

    __slots__ = ("value",)

    def __init__(self, value: list[Any]) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, One) and self.value == other.value

    __hash__ = None  # type: ignore[assignment]


class Several(list[Any]):
    """Values that came together by ``append`` and were never said to be multi-valued: one left is single again."""

    __slots__ = ()


def values_of(value: Any) -> list[Any]:
    """The values behind an entry of the fields; the list of a multi-valued field is the entry itself."""
    if type(value) is list:
        return value
    if type(value) is Several:
        return list(value)
    return [value.value if type(value) is One else value]


def pack(value: Any) -> Any:
    """The entry for a list of values that was not said to be multi-valued; anything else is one value already."""
    if type(value) is not list and type(value) is not Several:
        return value
    if len(value) != 1:
        return Several(value)
    return One(value[0]) if type(value[0]) is list else value[0]


def loaded(value: Any) -> Any:
    """The bytes of a :class:`Body`; anything else as it is."""
    return value.read() if isinstance(value, Body) else value


def deep(value: Any) -> Any:
    """A deep copy, quick for what JSON is made of."""
    kind = type(value)
    if kind in PLAIN:
        return value
    if kind is dict:
        return {key: item if type(item) in PLAIN else deep(item) for key, item in value.items()}
    if kind is list:
        return [item if type(item) in PLAIN else deep(item) for item in value]
    if kind is Several:
        return Several(map(deep, value))
    if kind is One:
        return One(deep(value.value))
    return copy.deepcopy(value)


def size_of(value: Any) -> int:
    """A cheap estimate of a value's size in memory, in bytes."""
    if isinstance(value, (str, bytes, bytearray)):
        return len(value) + 64
    if isinstance(value, (list, tuple)):
        return 64 + sum(map(size_of, value))
    if isinstance(value, dict):
        return 128 + sum(map(size_of, value)) + sum(map(size_of, value.values()))
    return 64 + (size_of(value.value) if type(value) is One else 0)
