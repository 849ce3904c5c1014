"""Dataflow: the way in which programs ran graphs with the original Pypes, on several processors."""

from __future__ import annotations

import atexit
import contextlib
import logging
import sys
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial
from types import TracebackType
from typing import Any, Final, NamedTuple

from pypes.core.interruptible import interruptible
from pypes.core.origin import Origin
from pypes.core.raised import Raised
from pypes.core.shown import shown
from pypes.core.watched import watched_thread
from pypes.errors import ComponentError, InvalidComponent, InvalidGraph, Problem
from pypes.pipeline.copies import CopyMaker, Failed, Folded, fault_of_files, fault_of_travel
from pypes.pipeline.original_graph import OriginalGraph, Read, read
from pypes.placement.executor import ExecutorClosed, Outcome
from pypes.placement.keeper import Connection, LocalKeeper
from pypes.placement.pool_process import ItemLost, Loss
from pypes.placement.process_executor import ProcessExecutor

log = logging.getLogger(__name__)

#: Data that may be under way. :meth:`Dataflow.send` waits for room.
MOST_UNDER_WAY: Final = 1000
#: Dead letters that are kept.
DEAD_LETTERS: Final = 10_000
#: Code of what was under way when the dataflow was ended.
INTERRUPTED: Final = "dataflow.interrupted"


class DeadLetter(NamedTuple):
    """Data that was sent and failed, as it was sent, and one failure. ``filter`` is empty where the process was at fault."""

    data: Any
    filter: str
    code: str
    error: str
    traceback: str


class Dataflow:
    """Copies of a graph of components, each in a process of its own; data that is sent goes to one of them.

    ``graph`` has the form of the original: ``{reader: {printer: ("out", "in")}}``. Data goes to the components that no wire
    leads to; of its copies each is run until all that was made of the data is done, and then takes the next. ``n`` is the number
    of copies. The components are copied as they are when the dataflow is made, which waits until all processes are ready.

    An exception in a component costs the data that it raised over: it is logged, and kept in :attr:`dead_letters` with the
    reason. A process that dies is replaced, which the log tells as well. What it had in hand is run again by itself; what ends a
    process twice becomes a dead letter. So data may be run twice, and none is lost.

    Use it as a context manager, or call :meth:`close`. A program that ends without either finishes first what was sent;
    an interruption from the keyboard ends the processes at once. :meth:`send` may be called from several threads.

    Raises ``InvalidGraph`` with all problems of the graph, ``InvalidComponent`` for a component that cannot be sent to a process,
    and ``ComponentError`` if one cannot be set up.
    """

    def __init__(self, graph: OriginalGraph, n: int = 1) -> None:
        if not isinstance(n, int) or n < 1:
            raise InvalidGraph(
                "the dataflow cannot be built", problems=[Problem("n", f"{n!r} is no number of copies", "graph.form")]
            )
        found = read(graph)
        self._executor = ProcessExecutor(_keeper(found, n))
        #: The latest data that failed, the oldest first, with one entry for each failure.
        self.dead_letters: deque[DeadLetter] = deque(maxlen=DEAD_LETTERS)
        #: Number of failures so far, those included that :attr:`dead_letters` has forgotten.
        self.failures = 0
        self._changed = threading.Condition()
        self._waiting: deque[Any] = deque()
        #: Number of data that the executor has.
        self._handed = 0
        self._takes_data = True
        self._is_ended = False
        self._ending = threading.Lock()
        self._origin = Origin()
        self._executor.setup()
        self._thread = watched_thread(self._hand_over, "pypes-dataflow", self._give_up_waiting)
        atexit.register(self._at_exit)

    def send(self, data: Any) -> None:
        """Send data to the next copy that is free. Returns at once, but waits while 1,000 data are under way.

        Raises ``ComponentError``: ``dataflow.closed`` after :meth:`close`, ``pipeline.forked`` in a process that is a fork of the
        one where it was made.
        """
        self._origin.check("the dataflow")
        with self._changed:
            interruptible(partial(self._changed.wait_for, lambda: self._under_way < MOST_UNDER_WAY or not self._takes_data))
            if not self._takes_data:
                raise ComponentError("the dataflow is closed; make another one", code="dataflow.closed")
            self._waiting.append(data)
            self._changed.notify_all()

    def close(self) -> None:
        """Wait until all that was sent is done, then end the processes. An interruption meanwhile ends them at once.

        Does nothing if it is closed already, and in a process that is a fork of the one where it was made.
        """
        if not self._origin.is_here:
            return
        try:
            with self._changed:
                self._takes_data = False
                self._changed.notify_all()
                interruptible(partial(self._changed.wait_for, lambda: not self._under_way))
        finally:
            self._end()

    def __enter__(self) -> Dataflow:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None or issubclass(kind, Exception):
            self.close()
        else:
            self._end()

    def _at_exit(self) -> None:
        if not self._origin.is_here:
            return
        if getattr(sys, "last_type", None) is KeyboardInterrupt:
            self._end()
            return
        with contextlib.suppress(KeyboardInterrupt):  # it has ended by then, which the log says
            self.close()

    def _end(self) -> None:
        """End the processes, and what is under way with them."""
        if not self._origin.is_here:
            return
        with self._ending:
            if self._is_ended:
                return
            with self._changed:
                self._takes_data, self._is_ended = False, True
                left = self._under_way
                self._changed.notify_all()
            if left:
                log.error("the dataflow was interrupted: %d of what was sent is not done, see dead_letters", left)
            self._executor.close()
            self._thread.join()
            self._give_up_waiting()
            atexit.unregister(self._at_exit)

    # -- the way of data ----------------------------------------------------------------------------------

    @property
    def _under_way(self) -> int:
        return len(self._waiting) + self._handed

    def _hand_over(self) -> None:
        """Hand data to the executor as it has room, in a thread: one that brings answers must never wait for this.

        One by one: of several that are handed over together, those that are done would run again if the process died.
        """
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_ended or (self._waiting and self._handed < self._executor.capacity))
                if self._is_ended:
                    return
                data = self._waiting.popleft()
                self._handed += 1
            try:
                future = self._executor.submit([data])
            except Exception as error:  # it was closed, or has a bug
                self._settle(data, Outcome(None, error))
            else:
                future.add_done_callback(partial(self._done, data))

    def _done(self, data: Any, future: Future[list[Outcome]]) -> None:
        error = future.exception()
        self._settle(data, future.result()[0] if error is None else Outcome(None, error))

    def _settle(self, data: Any, outcome: Outcome) -> None:
        letters = _letters(data, outcome)
        for letter in letters:
            if letter.code != INTERRUPTED or not self._is_ended:  # else one line is for all
                log.error("what was sent failed in %s: %s\n%s", letter.filter or "its process", letter.error, letter.traceback)
        with self._changed:
            self._note(letters)
            self._handed -= 1
            self._changed.notify_all()

    def _note(self, letters: Sequence[DeadLetter]) -> None:
        self.dead_letters.extend(letters)
        self.failures += len(letters)

    def _give_up_waiting(self) -> None:
        """Give up what no process was handed."""
        with self._changed:
            self._takes_data = False
            self._note([letter for data in self._waiting for letter in _letters(data, _NOT_BEGUN)])
            self._waiting.clear()
            self._changed.notify_all()


_NOT_BEGUN: Final = Outcome(None, ExecutorClosed("the dataflow was ended before it was begun"))


def _letters(data: Any, outcome: Outcome) -> list[DeadLetter]:
    """The failures of data, of which an outcome tells."""
    error = outcome.error
    if error is None:
        failed: list[Failed] = outcome.value
        return [DeadLetter(data, *each) for each in failed]
    if isinstance(error, ItemLost):
        return [DeadLetter(data, "", error.code, f"it has ended its process twice: {error.loss.reason}", "")]
    if isinstance(error, ExecutorClosed):
        return [DeadLetter(data, "", INTERRUPTED, "the dataflow was ended before it was done", "")]
    return [DeadLetter(data, "", Raised.of(error).code, shown(error), "")]


class _Keeper(LocalKeeper):
    """The keeper of the processes, which tells of those that are lost."""

    def lost(self, connection: Connection, fault: str = "") -> Loss:
        loss = super().lost(connection, fault)
        log.warning("a process of the dataflow has ended: %s. What it had in hand runs again in another one", loss.reason)
        return loss


def _keeper(found: Read, n: int) -> LocalKeeper:
    """The keeper of n copies of a graph. Raises :class:`InvalidComponent` for a component that cannot travel."""
    for name, component in found.components.items():
        if fault := fault_of_files(component):
            raise InvalidComponent(fault, where=name)
    folded = {name: Folded(component) for name, component in found.components.items()}
    try:
        return _Keeper(CopyMaker(found.graph, folded, found.entries), n, name="dataflow", place="graph")
    except ComponentError as error:
        for name, component in found.components.items():
            if fault := fault_of_travel(component):
                raise InvalidComponent(fault, where=name) from error
        raise
