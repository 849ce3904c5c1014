"""Text of what component code made, safe to keep and to send: of bounded length, without surrogates, and never an exception."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

#: Characters that are kept of a reason, and of a traceback.
REASON_CHARS: Final = 4_000
TRACE_CHARS: Final = 64_000

#: Takes out of a text what must not be read in it, secrets. It has to come before the cut, or half of one would be left there.
Clean = Callable[[str], str]

#: The folder of the code of Pypes; that of components lies elsewhere.
_OURS: Final = f"{Path(__file__).parent.parent}{os.sep}"

#: Of a text that is longer, beginning and end are cleaned that are so many times as long as what is kept of them.
_CLEANED: Final = 4


def shown(value: Any, clean: Clean = str, *, named: bool = True) -> str:
    """``str(value)``, or what can be said instead if that raises. An exception is shown with its class, if ``named``."""
    try:
        text = str(value)
        if named and isinstance(value, BaseException):
            text = f"{type(value).__name__}: {text}" if text else type(value).__name__
    except BaseException as error:  # whatever it is, the value is to blame, and only its text is missing
        text = f"<{_name(value)}, and {_name(error)} in its text>"
    return bounded(text, REASON_CHARS, clean)


def trace_of(error: BaseException, clean: Clean = str) -> str:
    """The traceback of an exception, with its causes; see :func:`own_trace`."""
    try:
        text = own_trace(error)
    except BaseException as another:
        text = f"<no traceback: {_name(another)} while it was written>\n{_name(error)}\n"
    return bounded(text, TRACE_CHARS, clean)


def own_trace(error: BaseException) -> str:
    """The traceback of an exception and of its causes, each without the frames of Pypes that lead to those of a component.

    One whose frames are all of Pypes stays whole: that is a fault of ours.
    """
    whole = traceback.TracebackException.from_exception(error)
    links: list[traceback.TracebackException | None] = [whole]
    while links:
        link = links.pop()
        if link is None:
            continue
        first = next((place for place, frame in enumerate(link.stack) if not frame.filename.startswith(_OURS)), 0)
        del link.stack[:first]
        links += (link.__cause__, link.__context__, *(link.exceptions or ()))
    return "".join(whole.format())


def bounded(text: str, most: int, clean: Clean = str) -> str:
    """A plain ``str`` that can be encoded; of a long one the beginning and the end."""
    text = str.__str__(text)
    size, half = len(text), most // 2
    if size > 2 * _CLEANED * most:
        begin, end = clean(text[: _CLEANED * most]), clean(text[-_CLEANED * most :])
        text = _cut(begin, end, half, size - most)
    else:
        text = clean(text)
        if (left_out := len(text) - most) > 0:
            text = _cut(text, text, half, left_out)
    return text.encode("utf-8", "backslashreplace").decode()


def _cut(begin: str, end: str, half: int, left_out: int) -> str:
    return f"{begin[:half]} [… {left_out} characters …] {end[-half:]}"


def _name(value: Any) -> str:
    return str(type.__getattribute__(type(value), "__name__"))
