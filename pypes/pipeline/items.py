"""Items: what goes through a pipeline, one result for each or a record of why there is none."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import NoneType
from typing import Any, Final, Protocol

from pypes.core.raised import Raised


class Done:
    """Returned by a function: ``value`` passes over the filters that are left, and comes out of the pipeline."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        return f"Done({self.value!r})"


@dataclass(slots=True, eq=False)
class Failed:
    """Stands for an item that failed: the ``value`` that the filter ``node`` was given, the very exception, and where it arose.

    The traceback is text, because a traceback keeps what its frames hold in memory. ``positions`` are those of the items among
    the items of the run: one, unless the value was made of several.
    """

    value: Any
    node: str
    error: BaseException
    traceback: str = field(repr=False, default="")
    positions: tuple[int, ...] = ()
    #: The kind of failure as in dead letters of a node, and the exception in one line.
    code: str = ""
    reason: str = ""

    def __post_init__(self) -> None:
        if not self.code:
            raised = Raised.of(self.error)
            self.code, self.reason = raised.code, raised.reason


def failed(value: Any, node: str, error: BaseException) -> Failed:
    """The record of an exception, without the frame of whoever caught it."""
    trace = error.__traceback__
    inner = trace.tb_next if trace is not None and trace.tb_next is not None else trace
    return Failed(value, node, error, "".join(traceback.format_exception(type(error), error, inner)))


#: Results of these types do not simply go on: nothing was made of the item, it is done, or has failed.
SPECIAL: Final = frozenset({NoneType, Done, Failed})
#: Values of these types pass over the filters that are left.
PASSING: Final = frozenset({Done, Failed})


#: The place of an item among those of a run; one of several results that were made of it has its own number after that.
Position = int | tuple[int, ...]


def item_of(at: Position) -> int:
    """The item that a position is of."""
    return at[0] if isinstance(at, tuple) else at


class Cancellable(Protocol):
    """Items of which nobody wants the results any more once ``is_cancelled`` is True."""

    is_cancelled: bool


class Bundle:
    """Items that go through a graph as one packet: ``values``, and beside each the position of its item.

    An item of which nothing was made has no value, one of which several were made has several, one after the other.
    ``is_marked``: some of the values are :class:`Done` or :class:`Failed`, and are handed on as they are. ``batch`` is what it
    was made of.
    """

    __slots__ = ("batch", "is_marked", "positions", "values")

    def __init__(self, positions: Sequence[Position], values: list[Any], *, is_marked: bool = False) -> None:
        self.positions = positions
        self.values = values
        self.is_marked = is_marked
        self.batch: Cancellable | None = None

    @classmethod
    def of(cls, pairs: Sequence[tuple[Position, Any]], *, is_marked: bool = False) -> Bundle:
        """The bundle of values, each beside its position."""
        return cls([at for at, _ in pairs], [value for _, value in pairs], is_marked=is_marked)
