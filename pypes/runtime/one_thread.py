"""One thread: the use of something by the thread alone that used it first, and not from within."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager

from pypes.errors import ComponentError


class OneThread:
    """Used by one thread, which has it until it leaves."""

    def __init__(self) -> None:
        self._use = _Use()

    def at_work(self) -> AbstractContextManager[None]:
        """While it is used. Raises ``ComponentError`` (``pipeline.busy``) from within, and from other threads."""
        return self._use

    def check_idle(self) -> None:
        """Raise ``ComponentError`` if this is asked from within."""
        if self._use.lock.locked():
            raise at_work()

    def leave_thread(self) -> None:
        """Let another thread go on, while nothing is in flight; called in the one that it was used in."""
        self._use.thread = None


class _Use(AbstractContextManager[None]):
    """The uses of something, one after the other. PERF: an object for all of them, since there are several for each item."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        #: The thread that has used it, once one has.
        self.thread: threading.Thread | None = None

    def __enter__(self) -> None:
        if not self.lock.acquire(blocking=False):
            raise at_work()
        thread = threading.current_thread()
        if self.thread is None:
            self.thread = thread
        elif self.thread is not thread:
            self.lock.release()
            raise ComponentError(
                f"the pipeline has run in the thread {self.thread.name} and belongs to it; make another one for this thread",
                code="pipeline.busy",
            )

    def __exit__(self, *raised: object) -> None:
        self.lock.release()


def at_work() -> ComponentError:
    """The error of whoever uses a pipeline that is at work."""
    return ComponentError(
        "the pipeline is at work, so its components, observers and other threads can neither push, trigger nor close it; "
        "do that after push or trigger has returned, or use a second pipeline",
        code="pipeline.busy",
    )
