"""Run: the items of a pipeline worked on in the background, by a thread that can be paused, resumed, stopped and waited for."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Literal

from pypes.core.interruptible import interruptible
from pypes.core.origin import Origin
from pypes.errors import Conflict
from pypes.pipeline.inflow import Inflow
from pypes.pipeline.options import check_wait
from pypes.pipeline.results import Flow, Results

State = Literal["running", "paused", "stopping", "done", "stopped", "failed"]

#: The calls that each state allows.
POSSIBLE: Final[dict[State, str]] = {
    "running": "pause, stop and wait",
    "paused": "resume, stop and wait",
    "stopping": "stop and wait",
    "done": "wait",
    "stopped": "wait",
    "failed": "wait",
}


class Gate(Inflow):
    """Items that come through only while it is open."""

    def __init__(self, inner: Inflow) -> None:
        self._inner = inner
        self._lock = threading.Lock()
        self.is_held = False

    @property
    def is_over(self) -> bool:  # type: ignore[override]
        return self._inner.is_over

    @property
    def error(self) -> BaseException | None:  # type: ignore[override]
        return self._inner.error

    @property
    def due(self) -> float | None:  # type: ignore[override]
        return None if self.is_held else self._inner.due

    def take(self, count: int) -> list[Any]:
        with self._lock:
            return [] if self.is_held else self._inner.take(count)

    def hold_back(self) -> None:
        with self._lock:
            self.is_held = True
            self._inner.hold_back()

    def go_on(self) -> None:
        """Let items through again; whoever waits for them must be woken."""
        self.is_held = False

    def close(self) -> None:
        self._inner.close()


class Run:
    """A run in the background, made by ``Pipeline.start``; a context manager, which waits for its end.

    ``state`` is ``running``, ``paused`` or, once :meth:`stop` was called, ``stopping``; at the end ``done``, ``stopped`` or,
    if an error was raised, ``failed``. ``count`` is the number of results so far. Methods may be called in any thread; those
    that the state does not allow raise ``Conflict`` (``pipeline.run_state``).

    Where the block of ``with`` is left by an exception, or while the run is paused and nobody would resume it, it is stopped.
    """

    def __init__(self, flow: Flow, results: Results, gate: Gate, to: Callable[[Any], object] | None) -> None:
        """The flow is given to the thread until the run has ended."""
        self._flow = flow
        self._results = results
        self._gate = gate
        self._to = to
        self._lock = threading.Lock()
        self._origin = Origin()
        self._ended = threading.Event()
        self._error: BaseException | None = None
        #: The error was raised to somebody.
        self._is_told = False
        self.state: State = "running"
        self.count = 0
        self._thread = threading.Thread(target=self._work, name="pypes-run", daemon=True)
        flow.lend(self._thread)
        try:
            self._thread.start()
        except BaseException:
            flow.give_back()
            raise

    @property
    def under_way(self) -> int:
        """Items that were taken and whose results have not come out; 0 some time after :meth:`pause`."""
        return self._results.under_way

    @property
    def has_ended(self) -> bool:
        return self._ended.is_set()

    def pause(self) -> None:
        """Take no more items from now on; what is under way is worked on, and its results come out. Does not wait for that.

        An iterator that is just bringing an item keeps its thread until it has brought it; the item is taken with :meth:`resume`.
        """
        self._origin.check("the run")
        with self._lock:
            self._check("pause", "running")
            self.state = "paused"
            self._gate.hold_back()
        self._flow.wake()

    def resume(self) -> None:
        """Take items again."""
        self._origin.check("the run")
        with self._lock:
            self._check("resume", "paused")
            self.state = "running"
            self._gate.go_on()
        self._flow.wake()

    def stop(self, timeout_s: float | None = None) -> None:
        """End the run, and wait until nothing of it works any more: functions that are being called return first.

        Items that wait are let go, and results that nobody was given. A run that has ended already stays as it is. Raises
        ``TimeoutError`` if that takes longer than ``timeout_s``; it ends all the same. In the thread of the run, such as in
        ``to``, it does not wait.
        """
        if not self._origin.is_here:  # its thread works in the process of which this one is a fork
            return
        with self._lock:
            if self.state in ("running", "paused"):
                self.state = "stopping"
                self._gate.close()
                self._results.interrupt()
        self._flow.wake()
        if threading.current_thread() is not self._thread:
            self._await_end(timeout_s)

    def wait(self, timeout_s: float | None = None) -> int:
        """Wait until the run has ended; returns the number of results.

        Raises the error that ended it, and ``TimeoutError`` if it has not ended within ``timeout_s``.
        """
        self._check_other_thread("wait")
        self._await_end(timeout_s)
        if self._error is not None:
            self._is_told = True
            raise self._error
        return self.count

    def close(self) -> None:
        """Stop it, and say in the log which error ended it, if nobody has asked. Not in its own thread."""
        self._check_other_thread("close")
        self.stop()
        if self._error is not None and not self._is_told:
            self._is_told = True
            log = logging.getLogger(__name__)
            log.error("a run in the background has failed, and nobody waited for it", exc_info=self._error)

    def __enter__(self) -> Run:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is not None or self.state == "paused":
            self.stop()
        if error is None:
            try:
                self.wait()
            except BaseException:
                self.stop()  # it was the wait that was interrupted
                raise

    def _check(self, call: str, needed: State) -> None:
        if self.state != needed:
            raise Conflict(
                f"{call}: the run is {self.state}, not {needed}; possible now: {POSSIBLE[self.state]}", code="pipeline.run_state"
            )

    def _check_other_thread(self, call: str) -> None:
        if threading.current_thread() is self._thread and not self.has_ended:
            raise Conflict(f"{call}: a run cannot wait for its own end, in its own thread", code="pipeline.run_state")

    def _await_end(self, timeout_s: float | None) -> None:
        check_wait(timeout_s)
        if not self.has_ended:
            self._origin.check("the run")
        if not interruptible(self._ended.wait, timeout_s):
            raise TimeoutError(f"the run is still {self.state} after {timeout_s} s, with {self.under_way} items under way")
        self._thread.join()

    # -- the thread ---------------------------------------------------------------------------------------

    def _work(self) -> None:
        """The life of the thread."""
        try:
            try:
                self._give_results()
            finally:
                self._results.close()
                self._flow.give_back()
        except BaseException as error:
            self._error = error
        with self._lock:
            self.state = "failed" if self._error is not None else "stopped" if self.state == "stopping" else "done"
        self._ended.set()

    def _give_results(self) -> None:
        to = self._to
        for result in self._results:
            if self.state == "stopping":
                return
            self.count += 1
            if to is not None:
                to(result)
