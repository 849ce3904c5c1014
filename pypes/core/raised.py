"""Raised: what an exception of component code means for the packet, read once, where it enters."""

from __future__ import annotations

import math
import re
import signal
import threading
from datetime import timedelta
from enum import Enum
from typing import Any, Final, NamedTuple

from pypes.core.shown import Clean, shown
from pypes.errors import BadId, Reject, Retry, Unreachable

#: The longest wait that a component may ask for with ``Retry``, in seconds.
RETRY_LONGEST_S: Final = 86_400.0

_CODE = re.compile(r"[!-~]{1,100}")


class Raised(NamedTuple):
    """An exception as plain values: all of them are what they are declared to be, whatever the component put there."""

    #: ``Reject``, ``Retry`` or ``Unreachable``, whose subclass it is; empty for all others.
    steers: str
    code: str
    reason: str
    #: Least wait before the next try, in seconds, from 0 to ``RETRY_LONGEST_S``; ``None`` if it asks for none.
    delay_s: float | None = None

    @classmethod
    def of(cls, error: BaseException, clean: Clean = str) -> Raised:
        """Read an exception; never raises. ``clean`` takes secrets out of its text."""
        if isinstance(error, Retry):
            steers = "Unreachable" if isinstance(error, Unreachable) else "Retry"
            return cls(steers, "retry.exhausted", _reason(error, clean) or "retry requested", seconds(_of(error, "delay_s")))
        if isinstance(error, Reject):
            return cls("Reject", code_of(_of(error, "code"), clean), _reason(error, clean) or "rejected without a reason")
        if isinstance(error, BadId):  # the packet's own, or that of a part made of it
            return cls("", BadId.code, shown(error.message, clean))
        return cls("", "component.raised", shown(error, clean))


def is_interruption(error: BaseException) -> bool:
    """True if the user interrupts the program with Ctrl-C, as far as anybody can tell.

    Where the program has taken the signal for itself, as an instance does, ``KeyboardInterrupt`` is an exception like any other.
    """
    if not isinstance(error, KeyboardInterrupt) or threading.current_thread() is not threading.main_thread():
        return False
    return signal.getsignal(signal.SIGINT) is signal.default_int_handler


def _reason(error: BaseException, clean: Clean) -> str:
    """The reason that was given, else the exception that this one was raised from."""
    reason = _of(error, "reason")
    given = "" if reason is None else shown(reason, clean)
    return given if given or error.__cause__ is None else shown(error.__cause__, clean)


def _of(error: BaseException, name: str) -> Any:
    """An attribute, ``None`` if it cannot be had: subclasses need not have called ``__init__``."""
    try:
        return getattr(error, name, None)
    except Exception:
        return None


def seconds(value: Any) -> float:
    """A valid wait in seconds: a value that is no number, or no possible wait, becomes 0."""
    try:
        found = value.total_seconds() if isinstance(value, timedelta) else float(value)
    except OverflowError:
        return RETRY_LONGEST_S if value > 0 else 0.0
    except Exception:
        return 0.0
    return 0.0 if math.isnan(found) else min(max(found, 0.0), RETRY_LONGEST_S)


def code_of(value: Any, clean: Clean = str) -> str:
    """A code that can be kept and searched for: printable ASCII without blanks, and without secrets; else ``rejected``."""
    text = shown(value.value if isinstance(value, Enum) else value) if isinstance(value, str | int | Enum) else ""
    return text if _CODE.fullmatch(text) and clean(text) == text else "rejected"
