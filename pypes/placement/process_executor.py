"""Process executor: runs work in processes, each of which is set up once, watched, and replaced when it is lost."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from pypes.core.watched import watched_thread
from pypes.errors import Reject, Unreachable
from pypes.placement import parcels, pool_frames
from pypes.placement.channel import Broken, PassingChannel
from pypes.placement.executor import ExecutorClosed, ExecutorFull, Make, Outcome
from pypes.placement.keeper import Keeper, LocalKeeper
from pypes.placement.pool_process import NO_BOUNDS, Bounds
from pypes.placement.progress import MOST_ITEMS
from pypes.placement.retold import Told, heard
from pypes.placement.strides import Part, Seat, Stride, Strides

#: Time after which it is asked again for a pool worker, if its keeper does not say.
AGAIN_S = 1.0


def processes(make: Make, width: int, bounds: Bounds = NO_BOUNDS, name: str = "pool") -> ProcessExecutor:
    """An executor with ``width`` processes of its own. Raises ``ComponentError`` for work that cannot be sent to a process."""
    return ProcessExecutor(LocalKeeper(make, width, bounds, name))


class ProcessExecutor:
    """Runs strides in the processes of a keeper; see ``Executor``.

    A pool worker that dies, is killed or takes too long is reaped first. Then the items of its stride that it had not finished
    run one at a time in another one: an item that ends a pool worker twice, or was late, has failed, and the others have not.
    What it had not begun runs again as it was. An item may so be run twice; it has one outcome.
    """

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self.width = keeper.width
        #: Two for each pool worker: it need not wait for the next one.
        self.capacity = 2 * keeper.width
        self._lock = threading.Lock()
        self._strides = Strides(keeper.width)
        self._threads: list[threading.Thread] = []
        self._closed = threading.Event()
        self._closed.set()

    def setup(self) -> None:
        self._keeper.setup()
        self._strides = Strides(self.width)
        self._closed.clear()
        for seat in self._strides.seats:
            self._threads.append(watched_thread(self._serving(seat), f"pypes-seat-{seat.number}", self._fail_all))

    def submit(self, items: Sequence[Any]) -> Future[list[Outcome]]:
        if len(items) > MOST_ITEMS:
            raise ValueError(f"a stride has {MOST_ITEMS} items at most")
        with self._lock:
            if self._closed.is_set():
                raise ExecutorClosed("the executor is closed")
            if not items:
                return _nothing()
            if len(self._strides.open) >= self.capacity:
                raise ExecutorFull(f"{self.capacity} strides are out")
            stride = self._strides.add(items)
            seat = self._strides.idlest()
        if seat is not None:
            self._send_next(seat)
        return stride.future

    def close(self) -> None:
        with self._lock:
            self._closed.set()
            channels = [seat.channel for seat in self._strides.seats if seat.channel is not None]
        self._keeper.close()
        for channel in channels:
            with contextlib.suppress(OSError):
                channel.sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._threads.clear()
        self._fail_all()

    # -- one thread for each seat -------------------------------------------------------------------------

    def _serving(self, seat: Seat) -> Callable[[], None]:
        return lambda: self._serve(seat)

    def _serve(self, seat: Seat) -> None:
        """Read the answers of one pool worker after the other."""
        while not self._closed.is_set():
            try:
                connection = self._keeper.connect(seat.number)
            except Unreachable as error:
                with self._lock:
                    done = [] if self._closed.is_set() else self._strides.unreachable(seat, error)
                _tell(done)
                self._closed.wait(error.delay_s if isinstance(error.delay_s, float) and error.delay_s else AGAIN_S)
                continue
            channel = PassingChannel(connection.sock, sys.maxsize)
            with self._lock:
                if self._closed.is_set():
                    channel.close()
                    return
                seat.channel, seat.depth = channel, 1
            try:
                self._send_next(seat)
                self._read(seat, channel)
            finally:
                with self._lock:
                    seat.channel = None
                channel.close()
            if not self._closed.is_set():
                loss = self._keeper.lost(connection)
                with self._lock:
                    done = self._strides.lost(seat, loss, connection.user)
                    others = self._strides.seats
                _tell(done)
                for other in others:  # what it had not begun need not wait for the next one
                    self._send_next(other)

    def _read(self, seat: Seat, channel: PassingChannel) -> None:
        """Take answers until the pool worker is gone."""
        with contextlib.suppress(OSError, Broken):
            while (frame := channel.read()) is not None:
                kind, payload = frame
                if kind == pool_frames.LOG:
                    pool_frames.log_line(payload)
                    continue
                number, answers = parcels.opened(channel, payload)
                self._settle(seat, number, [(entry.at, _outcome(entry.kind, answer)) for entry, answer in answers])
                self._send_next(seat)

    # -- sending, in any thread ---------------------------------------------------------------------------

    def _send_next(self, seat: Seat) -> None:
        while True:
            with self._lock:
                found = self._strides.next_for(seat)
                channel = seat.channel
            if found is None or channel is None:
                return
            self._send(seat, channel, *found)

    def _send(self, seat: Seat, channel: PassingChannel, number: int, part: Part) -> None:
        values: list[tuple[int, int, parcels.Spoken]] = []
        failed: list[tuple[int, Outcome]] = []
        for index in part.unfinished:
            try:
                values.append((index, 0, parcels.spoken(part.stride.items[index])))
            except Exception as error:
                failed.append((index, _unspeakable(error)))
        try:
            parcel = parcels.packed(number, values) if values else None
        except (OSError, MemoryError) as error:
            failed += [(index, _unspeakable(error)) for index, _, _ in values]
            parcel = None
        if failed:
            self._settle(seat, number, failed)
        # if the pool worker has died, whoever reads from it finds out
        if parcel is not None:
            with contextlib.suppress(OSError), seat.sending:
                parcel.send(channel, pool_frames.STRIDE)

    def _settle(self, seat: Seat, number: int, outcomes: Sequence[tuple[int, Outcome]]) -> None:
        with self._lock:
            done = self._strides.settle(seat, number, outcomes)
        if done is not None:
            _tell([done])

    def _fail_all(self) -> None:
        """The end, in order or by a bug of ours: nothing is waited for any more."""
        with self._lock:
            self._closed.set()
            left, self._strides = self._strides.open, Strides(self.width)
        for stride in left:
            stride.future.set_exception(ExecutorClosed("the executor was closed"))


def _nothing() -> Future[list[Outcome]]:
    future: Future[list[Outcome]] = Future()
    future.set_result([])
    return future


def _outcome(kind: int, answer: parcels.Spoken) -> Outcome:
    try:
        value = parcels.loaded(answer)
        return Outcome(value) if kind == pool_frames.DONE else Outcome(None, heard(Told(*value)))
    except Exception as error:
        return Outcome(None, Reject(f"the result cannot be read here: {type(error).__name__}: {error}", "pool.value"))


def _unspeakable(error: Exception) -> Outcome:
    refusal = Reject(f"the item cannot be sent to a process: {error}", "pool.value")
    refusal.__cause__ = error
    return Outcome(None, refusal)


def _tell(strides: Sequence[Stride]) -> None:
    for stride in strides:
        stride.future.set_result([outcome for outcome in stride.outcomes if outcome is not None])
