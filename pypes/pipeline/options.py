"""Options: single values that a user gives to a pipeline or a node, checked before anything is made of them.

Nothing is taken for something else: neither ``"no"`` for true, nor ``True`` for a number, nor ``0`` for nothing said.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable
from typing import Any, Final

from pypes.errors import InvalidGraph, InvalidInput

#: Seconds for which one can wait, three centuries at the least: more is more than locks take.
MOST_S: Final = threading.TIMEOUT_MAX


def wrong(name: str, asked: str, value: Any, code: str) -> InvalidGraph:
    """The error of an option that has another value than was asked for."""
    return InvalidGraph(f"{name} must be {asked}, not {value!r}", code=code)


def check_flag(name: str, value: Any, code: str) -> None:
    """Raise :class:`InvalidGraph` for what is neither true nor false."""
    if type(value) is not bool:
        raise wrong(name, "True or False", value, code)


def check_count(name: str, value: Any, code: str, *, most: int | None = None) -> None:
    """Raise :class:`InvalidGraph` for what is no whole number from 1 on."""
    if type(value) is not int or value < 1 or (most is not None and value > most):
        raise wrong(name, "a whole number from 1 on" if most is None else f"a whole number from 1 to {most}", value, code)


def seconds(value: Any) -> float | None:
    """A time that can be waited for, more than none; ``None`` for anything else."""
    return value if type(value) in (int, float) and 0 < value <= MOST_S else None


def check_wait(timeout_s: Any) -> None:
    """Raise ``InvalidInput`` (``pipeline.timeout_s``) for what is no time to wait; a negative one is over, as in Python."""
    if timeout_s is None or (type(timeout_s) in (int, float) and not math.isnan(timeout_s) and timeout_s <= MOST_S):
        return
    text = f"timeout_s must be a number of seconds, or None to wait without an end, not {timeout_s!r}"
    raise InvalidInput(text, code="pipeline.timeout_s")


def check_called(name: str, value: Any, what: str) -> None:
    """Raise ``InvalidInput`` (``pipeline.no_function``) for what cannot be called; ``what`` it is called with."""
    if not callable(value):
        raise InvalidInput(f"{name} must be a function, which is called with {what}, not {value!r}", code="pipeline.no_function")


def check_instance(name: str, value: Any, kind: type) -> None:
    """Raise :class:`InvalidGraph` for what is no object of a class, unless it is ``None``."""
    if value is not None and not isinstance(value, kind):
        raise wrong(name, f"an object of {kind.__module__}.{kind.__qualname__}", value, f"pipeline.{name}")


def checked_names(name: str, value: Any) -> tuple[Any, ...]:
    """The names of a list. Raises :class:`InvalidGraph` for what is none."""
    if isinstance(value, str):
        raise InvalidGraph(f"{name} is a list of names, such as [{value!r}]", code=f"pipeline.{name}")
    if isinstance(value, bytes) or not isinstance(value, Iterable):
        raise wrong(name, "a list of names", value, f"pipeline.{name}")
    return tuple(value)
