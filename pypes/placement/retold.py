"""Retold errors: an exception of one process as another one raises it."""

from __future__ import annotations

import pickle
from typing import Any, NamedTuple

from pypes.core.shown import REASON_CHARS, TRACE_CHARS, bounded, shown, trace_of


class InChild(Exception):
    """Carries the traceback of the child into that of the process that raises its error again."""

    def __init__(self, trace: str) -> None:
        super().__init__(trace)

    def __str__(self) -> str:
        return f"\n{self.args[0].rstrip()}"


class Told(NamedTuple):
    """An exception on its way to a process that trusts this one."""

    type: str
    message: str
    traceback: str
    #: The exception itself, if it can travel.
    pickled: bytes | None


def told(error: BaseException) -> Told:
    """Everything that can be said of an exception; never raises, whatever the class of it does."""
    pickled: bytes | None = None
    try:
        pickled = pickle.dumps(error)
        if type(pickle.loads(pickled)) is not type(error) or b"__main__" in pickled:
            pickled = None
    except BaseException:  # it stays here, and is told of
        pickled = None
    return Told(bounded(type(error).__name__, REASON_CHARS), shown(error, named=False), trace_of(error), pickled)


def heard(error: Told) -> BaseException:
    """The exception that was told of; in a class of the same name, if it could not travel itself."""
    found: Any = None
    if error.pickled is not None:
        try:
            found = pickle.loads(error.pickled)
        except Exception:  # the module is known over there only
            found = None
    if not isinstance(found, BaseException):
        found = like(error.type, error.message)
    again: BaseException = found
    again.__cause__ = InChild(bounded(error.traceback, TRACE_CHARS))
    return again


def like(name: str, message: str) -> Exception:
    """An exception in a class of this name, as far as it is one."""
    # a child that is not trusted is not trusted with the name of a class either
    kind = name if name.isidentifier() and len(name) <= 200 else "Exception"
    made: Exception = type(kind, (Exception,), {"__module__": "isolated"})(message)
    return made
