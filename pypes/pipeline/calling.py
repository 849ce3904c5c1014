"""Calling: the ways in which a function is called with what a filter is given, and its results are taken."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Set
from itertools import islice
from typing import Any, Final

from pypes.errors import ComponentError
from pypes.pipeline.items import Done

#: Results of one item that a generator function may make where they are kept until it has ended.
MOST_RESULTS: Final = 1_000_000


class Collected:
    """Calls a generator function, and has all of its results."""

    def __init__(self, function: Callable[[Any], Iterator[Any]]) -> None:
        self._function = function

    def __call__(self, value: Any) -> list[Any]:
        """Raises ``ComponentError`` (``pipeline.endless``) for more than :data:`MOST_RESULTS`."""
        found = [*islice(self.each(value), MOST_RESULTS + 1)]
        if len(found) > MOST_RESULTS:
            raise ComponentError(
                f"it made more than {MOST_RESULTS:,} results of one item, which are kept until it has ended: "
                "give what it makes to run() as the items, or less to it",
                code="pipeline.endless",
            )
        return found

    def each(self, value: Any) -> Iterator[Any]:
        """The results, as they are made."""
        return self._function(value)


class Produced:
    """Calls a function that returns ``count`` results of an item or, with ``repeat``, one that counts so many times."""

    def __init__(self, function: Callable[[Any], Any], count: int, *, repeat: bool) -> None:
        self._function = function
        self._count = count
        self._repeat = repeat

    def __call__(self, value: Any) -> Any:
        result = self._function(value)
        if result is None or type(result) is Done:
            return result
        if self._repeat:
            return [result] * self._count
        found = [*result]
        if len(found) != self._count:
            raise ValueError(f"it returned {len(found)} results, not {self._count} as produces= says")
        return found


class ByName:
    """Calls a function with the values of its parameters."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, values: Mapping[str, Any]) -> Any:
        return self._function(**values)


def same(value: Any) -> Any:
    """The value."""
    return value


def parameters_of(function: Callable[..., Any]) -> tuple[str, ...]:
    """The names of the parameters that a value may come by; of one that cannot say (some of C), only ``in`` is known."""
    try:
        found = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return ()
    return tuple(each.name for each in found if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY))


def is_join(function: Callable[..., Any], ports: Set[str]) -> bool:
    """True for a function to whose ports wires lead by the names of its parameters; one that has a single one gets the value."""
    return ports != {"in"} and not (len(ports) == 1 and len(parameters_of(function)) == 1)


def name_of(function: Callable[..., Any]) -> str:
    """The name of a function, in lower case where it is an object of a class; a word that a port may follow."""
    name = getattr(function, "__name__", None) or type(function).__name__.lower()
    return "function" if name == "<lambda>" else str(name)
