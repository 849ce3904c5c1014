"""The drawing of a graph, as JSON: reading places and comments with everything that is wrong named."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from pypes.graph.model import Comment

#: The longest comment, in characters: longer texts are documents of their own.
MAX_COMMENT_CHARS: Final = 10_000

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


def read_layout(obj: Mapping[str, Any], add: Callable[[str, str], None]) -> dict[str, tuple[float, float]]:
    """The places of filters; ``add(path, message)`` is told what is wrong with each of them."""
    layout: dict[str, tuple[float, float]] = {}
    for name, value in obj.items():
        if (place := _pair(value)) is not None:
            layout[name] = place
        else:
            add(f"layout.{name}", "must be a place: [x, y]")
    return layout


def read_comments(obj: Mapping[str, Any], add: Callable[[str, str], None]) -> dict[str, Comment]:
    """The comments by their names; ``add(path, message)`` is told what is wrong with each of them."""
    comments: dict[str, Comment] = {}
    for name, value in obj.items():
        path = f"comments.{name}"
        if not _NAME.fullmatch(name):
            add(path, "is no name for a comment; use 1 to 64 letters, digits, - and _")
        if not isinstance(value, Mapping):
            add(path, 'must be an object: {"text": TEXT, "at": [x, y]}')
            continue
        for key in value.keys() - {"text", "at", "size"}:
            add(f"{path}.{key}", "unknown key; a comment has text, at, size")
        text, at, size = value.get("text"), _pair(value.get("at")), _pair(value.get("size"))
        if not isinstance(text, str):
            add(f"{path}.text", "must be text")
        elif len(text) > MAX_COMMENT_CHARS:
            add(f"{path}.text", f"has {len(text)} characters, {MAX_COMMENT_CHARS} are the most; shorten it")
        if at is None:
            add(f"{path}.at", "must be a place: [x, y]")
        if value.get("size") is not None and (size is None or min(size) <= 0):
            add(f"{path}.size", "must be a width and a height: [w, h]")
        if isinstance(text, str) and at is not None:
            comments[name] = Comment(text, at, size)
    return comments


def _pair(value: Any) -> tuple[float, float] | None:
    if isinstance(value, list) and len(value) == 2 and all(type(x) in (int, float) and math.isfinite(x) for x in value):
        return value[0], value[1]
    return None
