"""An executor over an engine that knows of neither items nor work: it has actors, which call a function and return its result.

That is all that engines for many machines have in common. Here the actors are processes of :mod:`concurrent.futures`.
"""

from __future__ import annotations

import multiprocessing
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any, NamedTuple

import cloudpickle

from pypes.placement.executor import ExecutorClosed, ExecutorFull, Listener, Make, Outcome, Runner, Work

# -- in an actor ----------------------------------------------------------------------------------------------

_work: Work
_runner: Runner


class Heard:
    """Keeps what is sent over the items of a stride: an engine has no way back but the result."""

    def __init__(self) -> None:
        self.parts: list[tuple[int, Any]] = []

    def part(self, at: int, value: Any, size: int) -> None:
        self.parts.append((at, value))

    def outcome(self, at: int, outcome: Outcome) -> None: ...


def set_up(order: bytes) -> None:
    global _work, _runner
    _work = cloudpickle.loads(order)()
    _runner = Runner(_work)
    try:
        _work.setup()
    except BaseException:
        _work.close()
        raise


def run(stride: bytes) -> bytes:
    items, is_heard, together = cloudpickle.loads(stride)
    heard = Heard() if is_heard else None
    found = [outcome._replace(parts=[*outcome.parts]) for outcome in _runner.run(items, heard, together=together)]
    return bytes(cloudpickle.dumps((found, heard.parts if heard else [])))


def tear_down() -> None:
    _work.close()


# -- here -----------------------------------------------------------------------------------------------------


class Stride(NamedTuple):
    order: bytes
    listener: Listener | None
    future: Future[list[Outcome]]


class EngineExecutor:
    """See :class:`pypes.placement.executor.Executor`; each actor has one stride, and others wait here."""

    def __init__(self, make: Make, width: int) -> None:
        self.width, self.capacity = width, 2 * width
        self._order = cloudpickle.dumps(make)
        self._lock = threading.Lock()
        self._actors: list[ProcessPoolExecutor] = []
        self._idle: list[ProcessPoolExecutor] = []
        self._waiting: deque[Stride] = deque()
        self._open: set[Future[list[Outcome]]] = set()

    def setup(self) -> None:
        context = multiprocessing.get_context("spawn")
        actors = [ProcessPoolExecutor(1, context) for _ in range(self.width)]
        calls = [actor.submit(set_up, self._order) for actor in actors]
        failures = [error for call in calls if (error := call.exception()) is not None]
        if failures:
            for actor in actors:
                actor.shutdown()
            raise failures[0]
        with self._lock:
            self._actors, self._idle = actors, [*actors]

    def submit(self, items: Sequence[Any], listener: Listener | None = None, *, together: bool = False) -> Future[list[Outcome]]:
        stride = Stride(cloudpickle.dumps(([*items], listener is not None, together)), listener, Future())
        with self._lock:
            if not self._actors:
                raise ExecutorClosed("the executor is closed")
            if len(self._open) >= self.capacity:
                raise ExecutorFull(f"{self.capacity} strides are out")
            self._open.add(stride.future)
            self._waiting.append(stride)
        self._send()
        return stride.future

    def _send(self) -> None:
        with self._lock:
            if not (self._idle and self._waiting):
                return
            actor, stride = self._idle.pop(), self._waiting.popleft()
        call = actor.submit(run, stride.order)
        call.add_done_callback(lambda call: self._done(actor, stride, call))

    def _done(self, actor: ProcessPoolExecutor, stride: Stride, call: Future[bytes]) -> None:
        """In a thread of the actor's own."""
        outcomes, parts = cloudpickle.loads(call.result())
        with self._lock:
            is_open = stride.future in self._open
            if is_open:
                self._idle.append(actor)
        if not is_open:
            return
        self._send()
        if stride.listener is not None:
            for at, outcome in enumerate(outcomes):
                for where, value in parts:
                    if where == at:
                        stride.listener.part(at, value, 0)
                stride.listener.outcome(at, outcome)
        with self._lock:
            is_open = stride.future in self._open
            self._open.discard(stride.future)
        if is_open:
            stride.future.set_result(outcomes)

    def close(self) -> None:
        with self._lock:
            actors, self._actors, self._idle = self._actors, [], []
            left, self._open = self._open, set()
            self._waiting.clear()
        for future in left:
            future.set_exception(ExecutorClosed("the executor was closed"))
        for actor in actors:
            actor.submit(tear_down)
        for actor in actors:
            actor.shutdown()
