"""The text of graphs and composites: JSON that is read strictly, and written with a line for each part."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from pypes.core import numbers
from pypes.errors import InvalidGraph, Problem

#: Digits and sign of the longest number of 64 bits.
_MAX_DIGITS: Final = 20


def parse(text: bytes | str) -> tuple[Any, list[Problem]]:
    """The JSON value in a text, and the keys that occur twice in an object of it. Raises :class:`InvalidGraph`."""
    repeated: list[str] = []

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        obj = dict(pairs)
        if len(obj) < len(pairs):
            repeated.extend(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
        return obj

    try:
        decoded = text.decode("utf-8-sig") if isinstance(text, bytes) else text
        obj = json.loads(decoded, object_pairs_hook=unique, parse_constant=_no_constant, parse_int=_integer)
        json.dumps(obj, ensure_ascii=False).encode()  # half a surrogate pair could be read, but never stored
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InvalidGraph(f"the graph is not JSON: {error.msg}", code="graph.malformed", where=where) from error
    except UnicodeDecodeError as error:
        raise InvalidGraph("the graph is not UTF-8 text", code="graph.malformed", where=f"byte {error.start}") from error
    except RecursionError as error:
        raise InvalidGraph("the graph is nested too deep", code="graph.malformed") from error
    except ValueError as error:
        raise InvalidGraph(str(error), code="graph.malformed") from error
    # the JSON parser would silently keep the last one, and a filter would be gone
    return obj, [
        Problem(key, f"the key {key!r} occurs twice in one object; rename or remove one", "graph.form") for key in repeated
    ]


def as_text(obj: Mapping[str, Any]) -> str:
    """The text of a graph, or of a composite, in its canonical order."""
    lines = []
    for key, value in obj.items():
        if key in ("nodes", "layout", "comments", "pools") and value:
            items = ",\n".join(f"  {_line(name)}: {_line(item)}" for name, item in value.items())
            lines.append(f"{_line(key)}: {{\n{items}\n }}")
        elif key in ("wires", "tests") and value:
            items = ",\n".join(f"  {_line(item)}" for item in value)
            lines.append(f"{_line(key)}: [\n{items}\n ]")
        else:
            lines.append(f"{_line(key)}: {_line(value)}")
    return "{" + ",\n ".join(lines) + "}\n"


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True)


def _integer(text: str) -> int:
    number = int(text) if len(text) <= _MAX_DIGITS else 0
    if len(text) > _MAX_DIGITS or not numbers.fits(number):
        raise ValueError(f"the number {text[:_MAX_DIGITS]} has more than 64 bits; write it as a string")
    return number


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"the graph is not JSON: {name} is no JSON number; write it as a string or leave it out")
