"""One thread: the use of something by the thread alone that used it first, and not from within."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pypes.errors import ComponentError


class OneThread:
    """Used by one thread, which has it until it leaves."""

    def __init__(self) -> None:
        self._work = threading.Lock()
        #: The thread that has used it, once one has.
        self._thread: threading.Thread | None = None

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """While it is used. Raises ``ComponentError`` (``pipeline.busy``) from within, and from other threads."""
        if not self._work.acquire(blocking=False):
            raise at_work()
        try:
            self._enter_thread()
            yield
        finally:
            self._work.release()

    def check_idle(self) -> None:
        """Raise ``ComponentError`` if this is asked from within."""
        if self._work.locked():
            raise at_work()

    def leave_thread(self) -> None:
        """Let another thread go on, while nothing is in flight; called in the one that it was used in."""
        self._thread = None

    def _enter_thread(self) -> None:
        thread = threading.current_thread()
        if self._thread is None:
            self._thread = thread
        elif self._thread is not thread:
            raise ComponentError(
                f"the pipeline has run in the thread {self._thread.name} and belongs to it; make another one for this thread",
                code="pipeline.busy",
            )


def at_work() -> ComponentError:
    """The error of whoever uses a pipeline that is at work."""
    return ComponentError(
        "the pipeline is at work, so its components, observers and other threads can neither push, trigger nor close it; "
        "do that after push or trigger has returned, or use a second pipeline",
        code="pipeline.busy",
    )
