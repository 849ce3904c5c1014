"""Steps: functions in the form of PipeFrame, which return a record and whether it goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pypes.errors import InvalidInput
from pypes.pipeline.items import Done

#: Takes a record, and returns it changed, or another one, with False if it passes over the steps that are left.
Step = Callable[[Any], tuple[Any, bool]]


class Steps:
    """A function that leads a record through steps: returns it, or ``Done`` of it as soon as a step says ``False``.

    To go through one gives a function for each step: ``Pipeline(steps(f, g))`` has one filter, ``Pipeline(*steps(f, g))`` two.
    """

    def __init__(self, *functions: Step) -> None:
        """Raises ``InvalidInput`` if one of them is no function."""
        for function in functions:
            if not callable(function):
                raise InvalidInput(f"a step is a function that returns (record, go_on), not {function!r}", code="steps.form")
        self.functions = functions
        self.__name__ = _name_of(functions[0]) if len(functions) == 1 else "steps"

    def __call__(self, record: Any) -> Any:
        """Raises ``InvalidInput`` (``steps.form``) if a step does not return a record with a truth value."""
        for function in self.functions:
            returned = function(record)
            if not isinstance(returned, tuple | list) or len(returned) != 2:
                raise InvalidInput(
                    f"step {_name_of(function)} returned {type(returned).__name__}, not the record and True to go on or False",
                    code="steps.form",
                )
            record, goes_on = returned
            if not goes_on:
                return Done(record)
        return record

    def __iter__(self) -> Iterator[Steps]:
        return map(Steps, self.functions)

    def __repr__(self) -> str:
        return f"steps({', '.join(map(_name_of, self.functions))})"


def steps(*functions: Step) -> Steps:
    """A function of a pipeline made of functions in the form of PipeFrame: record → (record, whether it goes on).

    A record that does not go on passes over all filters that are left, and comes out of the pipeline. See :class:`Steps`.
    """
    return Steps(*functions)


def _name_of(function: object) -> str:
    return getattr(function, "__name__", None) or type(function).__name__
