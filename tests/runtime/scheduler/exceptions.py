"""Exceptions that mean something to the machinery around a component, or that cannot be told like others.

Needs nothing of the tests, so that a load file may have it as it is.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from greenlet import GreenletExit

from pypes import Reject


class NativePanic(BaseException):
    """As libraries in native code raise it."""


class NoText(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


class ExitsInText(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)


class NoInit(Reject):
    def __init__(self) -> None:
        pass


class OddReason(Reject):
    @property
    def reason(self) -> Any:
        raise RuntimeError("no reason")

    @reason.setter
    def reason(self, value: Any) -> None:
        pass


class FalseError(Exception):
    def __bool__(self) -> bool:
        return False


def _raise(error: BaseException) -> Any:
    raise error


def _ring() -> Any:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    raise first


def _caused() -> Any:
    try:
        raise FalseError
    except FalseError as error:
        raise ValueError("of another") from error


#: What is done for each; all of them raise.
RAISING: dict[str, Callable[[], Any]] = {
    "StopIteration": lambda: next(iter(())),
    "StopAsyncIteration": lambda: _raise(StopAsyncIteration()),
    "GeneratorExit": lambda: _raise(GeneratorExit()),
    "SystemExit": lambda: _raise(SystemExit(0)),
    "KeyboardInterrupt": lambda: _raise(KeyboardInterrupt()),
    "GreenletExit": lambda: _raise(GreenletExit()),
    "CancelledError": lambda: _raise(asyncio.CancelledError()),
    "NativePanic": lambda: _raise(NativePanic("panicked")),
    "BaseException": lambda: _raise(BaseException("base")),
    "ExceptionGroup": lambda: _raise(ExceptionGroup("two", [ValueError(1), TypeError(2)])),
    "BaseExceptionGroup": lambda: _raise(BaseExceptionGroup("two", [KeyboardInterrupt(), TypeError(2)])),
    "NoText": lambda: _raise(NoText()),
    "ExitsInText": lambda: _raise(ExitsInText()),
    "huge": lambda: _raise(ValueError("x" * 10_000_000)),
    "surrogates": lambda: _raise(ValueError("half \ud800 of one")),
    "ring": _ring,
    "caused": _caused,
    "no-init": lambda: _raise(NoInit()),
    "odd-reason": lambda: _raise(OddReason("why")),
}
