"""The process of a pool worker, as its keeper sees it: started, watched, reaped."""

from __future__ import annotations

import logging
import os
import pickle
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pypes.core.limits import MIB
from pypes.errors import ComponentError
from pypes.placement import pool_frames
from pypes.placement.channel import SLICE_S, Broken, PassingChannel, Patience
from pypes.placement.executor import Make
from pypes.placement.progress import InHand, Progress
from pypes.placement.retold import Told, heard
from pypes.placement.spawned import Died, Spawned, socketpair


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bounds of a pool worker, and the interpreter that runs it."""

    #: Address space of the process.
    max_bytes: int | None = None
    #: Time for one item.
    timeout_s: float | None = None
    #: Interpreter in which Pypes, and what the work imports, are installed; this one, if empty.
    python: str = ""
    #: Places to import from besides those of the interpreter; those of this process, if it is the same interpreter.
    paths: Sequence[str] | None = None

    @property
    def slice_s(self) -> float:
        """Time between two looks at the item in hand."""
        return SLICE_S if self.timeout_s is None else min(SLICE_S, self.timeout_s / 4)


NO_BOUNDS = Bounds()

#: Codes of the two ways in which a pool worker ends.
TIMEOUT, KILLED = "pool.timeout", "pool.killed"


class Loss(NamedTuple):
    """The end of a pool worker: the cause, with a stable code, and the item that it had in hand."""

    reason: str
    code: str
    in_hand: InHand | None


def order_of(make: Make, bounds: Bounds) -> bytes:
    """The order for pool workers, which is the same for all of one executor. Raises ``ComponentError``."""
    import cloudpickle

    try:
        work = cloudpickle.dumps(make, 5)
    except Exception as error:
        raise ComponentError(f"the work cannot be sent to a process: {error}", code="pool.work") from error
    return pickle.dumps(tuple(pool_frames.Order(work, bounds.max_bytes, logging.getLogger().level)), 5)


class PoolProcess(Spawned):
    """A pool worker from its start to its end; ``number`` is one that no other of its keeper has."""

    def __init__(self, number: int, order: bytes, bounds: Bounds) -> None:
        is_own = bounds.python in ("", sys.executable)
        paths = bounds.paths if bounds.paths is not None else None if is_own else ()
        super().__init__("pypes.placement.pool_worker", bounds.python or sys.executable, paths)
        self.number = number
        self._order = order
        self._bounds = bounds
        self._channel = PassingChannel(self.sock, sys.maxsize)
        self._progress, self._progress_fd = Progress.create()
        self._users = 0
        #: Items that it had begun when it was last looked at, and the time that is left for the last of them.
        self._begun = 0
        self._left_s = 0.0
        self._is_late = False

    def wait_ready(self, timeout_s: float | None) -> None:
        try:
            failure = self._set_up(None if timeout_s is None else Patience(timeout_s, lambda: self.is_stopped))
        except ConnectionError as error:
            raise self.died() from error
        finally:
            os.close(self._progress_fd)
        if failure is not None:
            raise failure if isinstance(failure, Exception) else ComponentError(f"set-up ended with {failure!r}")

    def _set_up(self, patience: Patience | None) -> BaseException | None:
        """Give it its work; the error of its set-up, if there is one."""
        self._channel.pass_on(pool_frames.ORDER, self._order, self._progress_fd)
        while (frame := self._channel.read(patience)) is not None:
            kind, payload = frame
            if kind == pool_frames.READY:
                return None
            if kind == pool_frames.FAILED:
                return heard(Told(*pickle.loads(payload)))
            if kind != pool_frames.LOG:
                raise Broken(f"an unexpected frame of kind {kind}")
            pool_frames.log_line(payload)
        raise self.died()

    def connect(self) -> tuple[int, socket.socket]:
        """Number and socket of a new user. Raises ``OSError`` if it has died."""
        self._users += 1
        ours, theirs = socketpair()
        with theirs:
            try:
                self._channel.pass_on(pool_frames.USER, self._users.to_bytes(2, "little"), theirs.fileno())
            except OSError:
                ours.close()
                raise
        return self._users, ours

    @property
    def is_busy(self) -> bool:
        """True while it has an item in hand."""
        return self._progress.in_hand is not None

    def watch(self, passed_s: float) -> None:
        """Look at the item in hand after ``passed_s`` seconds, and kill the process if it takes too long."""
        assert self._bounds.timeout_s is not None
        begun = self._progress.begun
        if not begun or begun != self._begun:
            self._begun, self._left_s = begun, self._bounds.timeout_s
        elif not self.is_stopped:  # nobody is to blame for a pause
            self._left_s -= passed_s
            if self._left_s <= 0 and not self._is_late:
                self._is_late = True
                self.kill()

    def lost(self) -> Loss:
        """Reap it, and tell the cause of its end."""
        died = self.died()
        self.reap()
        if self._is_late:
            return Loss(f"not done after {self._bounds.timeout_s:g} s", TIMEOUT, self._progress.in_hand)
        return Loss(str(died), KILLED, self._progress.in_hand)

    def cause(self, status: int) -> Died:
        if status == pool_frames.EXHAUSTED:
            return Died(f"ran out of memory: it may have {(self._bounds.max_bytes or 0) // MIB} MiB")
        return super().cause(status)
