"""Respawner: sees to it that there always is a process that is set up."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Generic, Protocol, TypeVar

from pypes.core.interruptible import interruptible
from pypes.core.shown import shown
from pypes.core.watched import watched_thread
from pypes.errors import ComponentError, Unreachable
from pypes.placement.channel import Broken
from pypes.placement.spawned import Died

log = logging.getLogger(__name__)

#: Setting up again must not take longer than this; between two tries that failed there is a back-off.
SETUP_S = 120.0
RETRY_FIRST_S, RETRY_MOST_S = 0.1, 30.0
#: A packet waits so long for a process to be set up again: it has done nothing wrong, and what waits presses back to the queue.
WAIT_S = 60.0


class Kept(Protocol):
    """The part of a process that concerns a respawner; see :class:`pypes.placement.spawned.Spawned`."""

    def wait_ready(self, timeout_s: float | None) -> None:
        """Block until it is set up. Raises what its set-up raised, :class:`Died` or ``TimeoutError``."""

    def kill(self) -> None: ...

    def end(self) -> None: ...

    def close(self) -> None: ...


P = TypeVar("P", bound=Kept)


class Respawner(Generic[P]):
    """Starts processes in a thread of its own, the next one as soon as one is given up.

    ``on_change()`` is called there when one cannot be set up again, and when one is at last.
    """

    def __init__(
        self,
        name: str,
        start: Callable[[], P],
        wait_s: float = WAIT_S,
        place: str = "filter",
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self._name = name
        self._place = f"{place} {name}"
        self._wait_s = wait_s
        self._start = start
        self._on_change = on_change
        self._changed = threading.Condition()
        self._process: P | None = None
        self._starting: P | None = None
        #: Processes that were killed and are yet to be reaped.
        self._given_up: list[P] = []
        self._failure: Exception | None = None
        self._was_ready = False
        self._tries = 0
        self._next_try = 0.0
        self._is_closed = False
        # the processes die with the thread that starts them: it lives as long as the respawner
        self._thread = self._start_thread()

    def _start_thread(self) -> threading.Thread:
        return watched_thread(self._run, f"pypes-isolated-{self._name}", self._restart)

    def _restart(self) -> None:
        """The thread has failed by a bug of ours: begin anew."""
        with self._changed:
            for process in (self._process, self._starting):
                if process is not None:
                    process.kill()
                    self._given_up.append(process)
            self._process = self._starting = None
            self._next_try = time.monotonic() + RETRY_FIRST_S
        self._thread = self._start_thread()

    def first(self) -> None:
        """Block until the first process is set up. Raises why it cannot be."""
        with self._changed:
            interruptible(partial(self._changed.wait_for, lambda: self._process or self._failure))
            if self._failure is not None:
                raise self._failure

    def take(self) -> P:
        """The process that is set up; blocks while there is none. Raises :class:`Unreachable` when that takes too long."""
        with self._changed:
            self._changed.wait_for(lambda: self._process or self._is_closed, self._wait_s)
            if self._process is not None and not self._is_closed:
                return self._process
            reason = f"the process of the component is not set up in {self._place}"
            if self._failure is not None:
                reason = f"the component cannot be set up again in {self._place}: {self.failure}"
            raise Unreachable(max(0.0, self._next_try - time.monotonic()), reason) from self._failure

    @property
    def current(self) -> P | None:
        """The process that is set up, ``None`` while there is none."""
        return self._process

    @property
    def failure(self) -> str:
        """The reason of the latest try to set one up again, while there is none; or empty."""
        failure = self._failure
        return "" if failure is None else shown(failure)

    def give_up(self, process: P) -> None:
        """Kill a process; the next one is started at once."""
        process.kill()
        with self._changed:
            if self._process is process:
                self._process = None
                self._given_up.append(process)
                self._changed.notify_all()

    def close(self, *, is_busy: bool) -> None:
        """End the process: in order, unless it is still busy with a packet. Blocks until nothing of it is left."""
        with self._changed:
            self._is_closed = True
            process = self._starting or (self._process if is_busy else None)
            if process is not None:
                process.kill()
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while not self._is_closed:
            self._set_up()
            self._reap()
            with self._changed:
                if self._process is None:
                    self._changed.wait_for(lambda: self._is_closed, max(0.0, self._next_try - time.monotonic()))
                else:
                    self._changed.wait_for(lambda: self._process is None or self._is_closed)
        if self._process is not None:
            self._process.end()
        self._reap()

    def _set_up(self) -> None:
        process: P | None = None
        failure: Exception | None = None
        try:
            process = self._start()
            with self._changed:
                self._starting = process
                if self._is_closed:
                    process.kill()
            process.wait_ready(SETUP_S if self._was_ready else None)
        except (TimeoutError, Died, Broken) as error:
            reason = f"not done after {SETUP_S:g} s" if isinstance(error, TimeoutError) else str(error)
            failure = ComponentError(f"{reason} at set-up", where=self._name)
            if process is not None:
                process.kill()
        except Exception as error:
            failure = error
        if failure is not None and process is not None:
            process.end()  # it tears down what was set up half-way
        with self._changed:
            before = self.failure
            self._starting = None
            if failure is None:
                self._process, self._failure, self._tries, self._was_ready = process, None, 0, True
            else:
                self._failure = failure
                if self._was_ready and not self._is_closed:
                    extra = {"place": self._place, "reason": self.failure, "tries": self._tries + 1}
                    log.warning("a process cannot be set up again; trying once more", extra=extra)
                self._next_try = time.monotonic() + min(RETRY_MOST_S, RETRY_FIRST_S * 2**self._tries)
                self._tries += 1
            self._changed.notify_all()
        if self._was_ready and self.failure != before:
            self._on_change()

    def _reap(self) -> None:
        while self._given_up:
            self._given_up.pop().close()
