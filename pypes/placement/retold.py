"""Retold errors: an exception of one process as another one raises it."""

from __future__ import annotations

import pickle
from types import FunctionType
from typing import Any, NamedTuple

from pypes.core.shown import REASON_CHARS, TRACE_CHARS, bounded, shown, trace_of
from pypes.placement import by_value


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
    return Told(bounded(type(error).__name__, REASON_CHARS), shown(error, named=False), trace_of(error), _in_bytes(error))


def _in_bytes(error: BaseException) -> bytes | None:
    """The exception in the first form of which it can be made again."""
    for form in (_by_name, by_value.dumps):
        try:
            pickled = form(_Parts(error) if _has_own_init(type(error)) else error)
            if pickled is not None and type(pickle.loads(pickled)) is type(error):
                return pickled
        except BaseException:  # whatever the code of its class raises
            continue
    return None


def _by_name(value: Any) -> bytes | None:
    pickled = pickle.dumps(value, 5)
    # a class of the main program would be looked for in the main program of the other process
    return None if b"__main__" in pickled else pickled


def _has_own_init(kind: type[BaseException]) -> bool:
    """True if pickle would call an ``__init__`` of Python, with ``args`` that may not be those which it takes."""
    return (
        isinstance(kind.__init__, FunctionType)
        and all(getattr(kind, name) is getattr(BaseException, name) for name in ("__reduce_ex__", "__reduce__", "__setstate__"))
        and not any(vars(base).get("__slots__") for base in kind.__mro__)
    )


class _Parts:
    """Stands for an exception that is made again without the ``__init__`` of its class."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __reduce__(self) -> Any:
        return _put_together, (type(self._error), self._error.args, vars(self._error))


def _put_together(kind: type[BaseException], args: tuple[Any, ...], attributes: dict[str, Any]) -> BaseException:
    made = kind.__new__(kind, *args)
    of_python: Any = next(base for base in kind.__mro__ if base.__module__ == "builtins")
    of_python.__init__(made, *args)
    vars(made).update(attributes)
    return made


def heard(error: Told) -> BaseException:
    """The exception that was told of; in a class of the same name, if it could not travel itself."""
    found: Any = None
    if error.pickled is not None:
        try:
            found = pickle.loads(error.pickled)
        except (Exception, SystemExit):  # the module is known over there only, or the code of the class raises here
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
