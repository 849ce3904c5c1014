"""Guard: calls the hooks of an observer, and switches one off that raises."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from inspect import getmembers, isawaitable, iscoroutine, isfunction, isgenerator
from typing import Any

from pypes.observe.observer import Observer

log = logging.getLogger(__name__)


class _Guarded(Observer):
    """An observer whose hooks never raise, but for what interrupts the program.

    A hook that the observer does not override stays the empty one of the base class.
    """

    def __init__(self, observer: Observer) -> None:
        for name, empty in getmembers(Observer, isfunction):
            if not name.startswith("_") and getattr(type(observer), name) is not empty:
                setattr(self, name, self._guard(observer, name))

    def _guard(self, observer: Observer, name: str) -> Callable[..., None]:
        hook = getattr(observer, name)

        def guarded_hook(*args: Any) -> None:
            try:
                result = hook(*args)
                if result is not None:
                    _check(result)
            except Exception:
                self.__dict__.clear()  # the empty hooks of the base class are left
                log.exception("%s raised in %s and is switched off", type(observer).__name__, name)

        return guarded_hook


class _Together(_Guarded):
    """Several guarded observers, each of which is switched off by itself."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        for name, _ in getmembers(Observer, isfunction):
            if not name.startswith("_"):
                setattr(self, name, self._each(observers, name))

    def _each(self, observers: Sequence[Observer], name: str) -> Callable[..., None]:
        def call_each(*args: Any) -> None:
            for observer in observers:
                getattr(observer, name)(*args)

        return call_each


def _check(result: Any) -> None:
    """Raise ``TypeError`` if a hook has not run yet."""
    if iscoroutine(result):
        result.close()  # or Python warns that it was never awaited
    elif not (isgenerator(result) or isawaitable(result)):
        return
    raise TypeError(f"the hook returned a {type(result).__name__}: it is called as an ordinary function, so define it with def")


def guarded(observer: Observer | None) -> Observer | None:
    """An observer as whoever calls its hooks keeps it: it is switched off, with a line in the log, if a hook raises."""
    return observer if observer is None or isinstance(observer, _Guarded) else _Guarded(observer)


def together(*observers: Observer | None) -> Observer | None:
    """All of these as one observer; ``None`` if there are none."""
    known = [each for each in map(guarded, observers) if each is not None]
    return _Together(known) if len(known) > 1 else known[0] if known else None
