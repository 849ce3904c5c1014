"""The process of a pool worker, as its keeper sees it: started, watched, reaped."""

from __future__ import annotations

import logging
import math
import os
import pickle
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pypes.core.limits import MIB
from pypes.errors import ComponentError, Reject
from pypes.placement import parcels, pool_frames
from pypes.placement.channel import SLICE_S, Broken, PassingChannel, Patience
from pypes.placement.executor import Make
from pypes.placement.progress import InHand, Progress, SeenProgress
from pypes.placement.spawned import Died, Spawned, socketpair
from pypes.placement.speech import Speech


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bounds of a pool worker, and the interpreter that runs it."""

    #: Address space of the process.
    max_bytes: int | None = None
    #: Time for one item, in seconds; asked for item by item if it is callable. A process that is stopped from outside for so long
    #: is replaced as well, whether it has an item in hand or not. Without a bound both are waited for.
    timeout_s: float | Callable[[], float] | None = None
    #: Interpreter in which Pypes, and what the work imports, are installed; this one, if empty.
    python: str = ""
    #: Places to import from besides those of the interpreter; those of this process, if it is the same interpreter.
    paths: Sequence[str] | None = None

    @property
    def slice_s(self) -> float:
        """Time between two looks at the item in hand."""
        return min(SLICE_S, self.item_s / 4)

    @property
    def item_s(self) -> float:
        """Time for the next item; infinite if there is no bound."""
        if self.timeout_s is None:
            return math.inf
        return self.timeout_s() if callable(self.timeout_s) else self.timeout_s


NO_BOUNDS = Bounds()

#: Codes of the two ways in which a pool worker ends.
TIMEOUT, KILLED = "pool.timeout", "pool.killed"


class Loss(NamedTuple):
    """The end of a pool worker: the cause, with a stable code, and the item that it had in hand."""

    reason: str
    code: str
    in_hand: InHand | None
    #: Somebody else killed it.
    is_outside: bool = False


class ItemLost(Reject):
    """The error of an item that has ended its pool worker, or was late."""

    def __init__(self, loss: Loss) -> None:
        super().__init__(loss.reason, loss.code)
        self.loss = loss


class ItemLate(ItemLost, TimeoutError):
    """The error of an item that took too long."""


def lost(loss: Loss) -> ItemLost:
    """The error of the item that a pool worker had in hand."""
    return ItemLate(loss) if loss.code == TIMEOUT else ItemLost(loss)


def order_of(make: Make, speech: Speech, bounds: Bounds) -> bytes:
    """The order for pool workers, which is the same for all of one executor. Raises ``ComponentError``."""
    import cloudpickle

    try:
        work = cloudpickle.dumps(make, 5)
    except Exception as error:
        raise ComponentError(f"the work cannot be sent to a process: {error}", code="pool.work") from error
    order = pool_frames.Order(pickle.dumps(speech.there, 5), work, bounds.max_bytes, logging.getLogger().level)
    return pickle.dumps(tuple(order), 5)


class PoolProcess(Spawned):
    """A pool worker from its start to its end; ``number`` is one that no other of its keeper has."""

    def __init__(self, number: int, order: bytes, bounds: Bounds, speech: Speech, *, leads_group: bool = False) -> None:
        is_own = bounds.python in ("", sys.executable)
        paths = bounds.paths if bounds.paths is not None else None if is_own else ()
        super().__init__("pypes.placement.pool_worker", bounds.python or sys.executable, paths, leads_group=leads_group)
        self.number = number
        self._order = order
        self._bounds = bounds
        self._channel = PassingChannel(self.sock, sys.maxsize)
        self._speech = speech
        self._progress, self._progress_fd = Progress.create()
        #: Kept by its user, if what it tells itself is not believed.
        self.seen = None if speech.is_trusting else SeenProgress()
        self._users = 0
        self._connecting = threading.Lock()
        #: Items that it had begun when it was last looked at, and the time that is left for the last of them.
        self._begun = 0
        self._limit_s = self._left_s = 0.0
        self._stopped_s = 0.0
        #: The reason why it was killed here, and the code of that.
        self._given_up: tuple[str, str] | None = None

    def wait_ready(self, timeout_s: float | None) -> None:
        try:
            failure = self._set_up(None if timeout_s is None else Patience(timeout_s))
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
                _, values = parcels.opened(self._channel, payload)
                return self._speech.hear(next(values)[1])
            if kind != pool_frames.LOG:
                raise Broken(f"an unexpected frame of kind {kind}")
            pool_frames.log_line(payload)
        raise self.died()

    def connect(self) -> tuple[int, socket.socket]:
        """Number and socket of a new user. Raises ``OSError`` if it has died."""
        ours, theirs = socketpair()
        with theirs, self._connecting:
            self._users += 1
            try:
                self._channel.pass_on(pool_frames.USER, self._users.to_bytes(8, "little"), theirs.fileno())
            except OSError:
                ours.close()
                raise
            return self._users, ours

    @property
    def is_busy(self) -> bool:
        """True while it has an item in hand."""
        return bool((self.seen or self._progress).begun)

    def watch(self, passed_s: float) -> None:
        """Look at it after ``passed_s`` seconds, and kill it if its item takes too long, or if it is stopped for as long.

        No time passes for the item meanwhile: nobody is to blame for a pause. So the item runs again, as after any other end
        that came from outside.
        """
        if self._given_up is not None:
            return
        if self.is_stopped:
            self._stopped_s += passed_s
            limit_s = self._bounds.item_s
            if self._stopped_s >= limit_s:
                self._give_up(f"stopped from outside for {limit_s:g} s", KILLED)
            return
        self._stopped_s = 0.0
        progress = self.seen or self._progress
        begun = progress.begun
        if not begun or begun != self._begun:
            self._begun = begun
            self._limit_s = self._left_s = self._bounds.item_s
        elif not progress.is_waiting:
            self._left_s -= passed_s
            if self._left_s <= 0:
                self._give_up(f"not done after {self._limit_s:g} s", TIMEOUT)

    def _give_up(self, reason: str, code: str) -> None:
        self._given_up = reason, code
        self.kill()

    def lost(self, fault: str = "") -> Loss:
        """Reap it, and tell the cause of its end: that, or the ``fault`` for which it is killed now."""
        if fault:
            self.kill()
        died = self.died()
        self.reap()
        in_hand = None if self.seen else self._progress.in_hand
        if self._given_up is not None:
            reason, code = self._given_up
            return Loss(reason, code, in_hand, is_outside=code == KILLED)
        return Loss(fault or str(died), KILLED, in_hand, is_outside=died.is_outside and not fault)

    def cause(self, status: int) -> Died:
        if status == pool_frames.EXHAUSTED:
            return Died(f"ran out of memory: it may have {(self._bounds.max_bytes or 0) // MIB} MiB")
        return super().cause(status)
