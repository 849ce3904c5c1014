"""Limits of a graph as JSON: reading them with everything that is wrong named."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from pypes.core.graph_limits import GraphLimits, table
from pypes.core.limits import table as node_table
from pypes.core.sizes import size_of

#: Largest limit: more has no room in a store.
_MOST: Final = 2**63 - 1


def read_limits(obj: Mapping[str, Any], add: Callable[[str, str], None]) -> GraphLimits:
    """The limits in a JSON object; ``add(path, message)`` is told what is wrong with each of them."""
    known = [limit.name for limit in table()]
    read: dict[str, Any] = {}
    for name, value in obj.items():
        path = f"limits.{name}"
        if name not in known:
            add(path, _unknown(name, known))
            continue
        try:
            read[name] = _value(name, value)
        except ValueError as error:
            add(path, str(error))
    return GraphLimits(**read)


def _unknown(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {near[0]}?" if near else f"a graph may have {', '.join(known)}"
    if name in [limit.name for limit in node_table()]:
        return f"is a limit of the whole node, not of a graph; set it in [limits] of pypes.ini. {hint[0].upper()}{hint[1:]}"
    return f"unknown limit; {hint}"


def _value(name: str, value: Any) -> float:
    """The value of a limit; raises ``ValueError`` with a sentence."""
    if name.endswith("_s"):
        if type(value) not in (int, float) or not math.isfinite(value) or value <= 0:
            raise ValueError("must be a number of seconds greater than zero")
        return float(value)
    rule = "must be a whole number greater than zero"
    number = value
    if name.endswith("_bytes"):
        rule = 'must be a size greater than zero, such as 1048576 or "64MiB"'
        if isinstance(value, str):
            try:
                number = size_of(value)
            except ValueError:
                raise ValueError(rule) from None
            if number != int(number):
                raise ValueError(f"must be a whole number of bytes, not {number:g}")
            number = int(number)
    if type(number) is not int or number <= 0:
        raise ValueError(rule)
    if number > _MOST:
        raise ValueError(f"must be at most {_MOST}")
    return number
