"""Interruption: Ctrl-C ends the command in time, whatever its components do meanwhile."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

#: Exit code of a command that was interrupted, as shells have it for SIGINT.
INTERRUPTED: Final = 130
#: Seconds that components are given to tear down after an interruption.
GRACE_S: Final = 0.5


@contextmanager
def ended_when_interrupted(last_words: Callable[[], None]) -> Iterator[None]:
    """Meanwhile SIGINT raises ``KeyboardInterrupt`` as ever, but :data:`GRACE_S` later the process ends, wherever it is.

    A component may be in native code, swallow the exception, or have threads for which Python would wait. ``last_words`` is
    called before that, in another thread. Code that keeps the interpreter's lock delays it. To be used in the main thread. If the
    block is left without an interruption, nothing is left of this.
    """
    told, tell = socket.socketpair()
    tell.setblocking(False)

    def watch() -> None:
        with told:
            while number := told.recv(1):
                if number[0] == signal.SIGINT:
                    break
            else:
                return
        threading.Event().wait(GRACE_S)
        try:
            last_words()
        finally:
            leave()

    before = signal.set_wakeup_fd(tell.fileno(), warn_on_full_buffer=False)
    thread = threading.Thread(target=watch, name="pypes-interruption", daemon=True)
    thread.start()
    try:
        yield
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # what ends must not be interrupted again
        raise
    finally:
        signal.set_wakeup_fd(before)
        tell.close()  # which ends the thread, unless it has read that there was an interruption


def leave() -> None:
    """End the process at once, as interrupted: threads that were left behind must not keep it."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(INTERRUPTED)
