"""Signals that a process leaves to its owner, which decides how it ends. What it starts ends by them as anywhere."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

#: Signals that a terminal, or a service manager, sends to all processes of a group.
LEFT: Final = (signal.SIGINT, signal.SIGTERM)

#: Of a thread that forks, the signals that it held back before.
_forking = threading.local()


def leave_to_owner() -> None:
    """Outlive :data:`LEFT` from here on, in this process alone. To be called in its main thread.

    They are handled, by nothing, instead of being ignored: a program inherits what is ignored, and nobody could end it by them.
    Python goes on with a call that they interrupt, and so does the kernel where it can, for native code.
    """
    for number in LEFT:
        signal.signal(number, _outlive)
        signal.siginterrupt(number, False)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, LEFT)
    os.register_at_fork(before=_hold_back, after_in_parent=_let_come, after_in_child=_end_as_ever)


@contextmanager
def held_back() -> Iterator[None]:
    """A process that is started meanwhile gets :data:`LEFT` no sooner than it calls :func:`leave_to_owner`."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, LEFT)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def interrupts_later() -> Iterator[None]:
    """Ctrl-C in the meantime is handled at the end: what is begun here is known to whoever has to end it.

    A process that is started in the meantime is not affected.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    came: list[int] = []
    signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if came:
            signal.raise_signal(signal.SIGINT)


def _outlive(number: int, frame: Any) -> None:
    pass


def _hold_back() -> None:
    _forking.before = signal.pthread_sigmask(signal.SIG_BLOCK, LEFT)


def _let_come() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _forking.before)


def _end_as_ever() -> None:
    for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)):
        if signal.getsignal(number) is _outlive:
            signal.signal(number, usual)
    _let_come()
