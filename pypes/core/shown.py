"""Text of what component code made, safe to keep and to send: of bounded length, without surrogates, and never an exception."""

from __future__ import annotations

import traceback
from typing import Any, Final

#: Characters that are kept of a reason, and of a traceback.
REASON_CHARS: Final = 4_000
TRACE_CHARS: Final = 64_000


def shown(value: Any, *, named: bool = True) -> str:
    """``str(value)``, or what can be said instead if that raises. An exception is shown with its class, if ``named``."""
    try:
        text = str(value)
        if named and isinstance(value, BaseException):
            text = f"{type(value).__name__}: {text}"
    except BaseException as error:  # whatever it is, the value is to blame, and only its text is missing
        text = f"<{_name(value)}, and {_name(error)} in its text>"
    return bounded(text, REASON_CHARS)


def trace_of(error: BaseException) -> str:
    """The traceback of an exception, with its causes."""
    try:
        text = "".join(traceback.format_exception(error))
    except BaseException as another:
        text = f"<no traceback: {_name(another)} while it was written>\n{_name(error)}\n"
    return bounded(text, TRACE_CHARS)


def bounded(text: str, most: int) -> str:
    """A plain ``str`` that can be encoded; of a long one the beginning and the end."""
    left_out = str.__len__(text) - most
    if left_out > 0:
        half = most // 2
        text = f"{str.__getitem__(text, slice(half))} [… {left_out} characters …] {str.__getitem__(text, slice(-half, None))}"
    return str.encode(text, "utf-8", "backslashreplace").decode()


def _name(value: Any) -> str:
    return str(type.__getattribute__(type(value), "__name__"))
