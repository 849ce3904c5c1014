"""Process executor: runs work in processes, each of which is set up once, watched, and replaced when it is lost."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any

from pypes.core.origin import Origin
from pypes.core.shown import shown
from pypes.core.watched import watched_thread
from pypes.errors import Reject, Unreachable
from pypes.placement import parcels, pool_frames
from pypes.placement.channel import Broken, PassingChannel
from pypes.placement.executor import ExecutorClosed, ExecutorFull, Listener, Make, Outcome, with_parts
from pypes.placement.gathered import Gathered
from pypes.placement.keeper import Keeper, LocalKeeper
from pypes.placement.parcels import Entry, Spoken
from pypes.placement.pool_process import NO_BOUNDS, Bounds
from pypes.placement.progress import MOST_ITEMS, Progress, SeenProgress
from pypes.placement.speech import Pickled, Speech
from pypes.placement.strides import Part, Seat, Strides

log = logging.getLogger(__name__)

#: Time after which it is asked again for a pool worker, if its keeper does not say.
AGAIN_S = 1.0


class ItemUnfit(Reject):
    """The error of an item that cannot travel to a process."""

    def __init__(self, error: Exception) -> None:
        super().__init__(f"the item cannot be sent to a process: {error}", pool_frames.VALUE)


def processes(make: Make, width: int, bounds: Bounds = NO_BOUNDS, name: str = "pool", folder: str = "") -> ProcessExecutor:
    """An executor with ``width`` processes of its own. Raises ``ComponentError`` for work that cannot be sent to a process."""
    return ProcessExecutor(LocalKeeper(make, width, bounds, name), folder=folder)


class ProcessExecutor:
    """Runs strides in the processes of a keeper; see ``Executor``.

    A pool worker that dies, is killed or takes too long is reaped first. Then the items of its stride that it had not finished
    run one at a time in another one: an item that ends a pool worker twice, or was late, has failed, and the others have not.
    Items that are run together have one end in common. What it had not begun runs again as it was. An item may so be run twice;
    it has one outcome.
    """

    def __init__(self, keeper: Keeper, speech: Speech | None = None, max_bytes: int = sys.maxsize, *, folder: str = "") -> None:
        """``speech`` is that of the pool workers; no answer has more than ``max_bytes``; ``folder`` is where files are made."""
        self._keeper = keeper
        self._folder = folder
        self._speech = speech or Pickled()
        self._max_bytes = max_bytes
        self.width = keeper.width
        #: Two for each pool worker: it need not wait for the next one.
        self.capacity = 2 * keeper.width
        self._lock = threading.Lock()
        self._strides = self._no_strides()
        self._threads: list[threading.Thread] = []
        self._closed = threading.Event()
        self._closed.set()
        self._origin = Origin()

    def setup(self) -> None:
        self._origin = Origin()
        self._keeper.setup()
        self._strides = self._no_strides()
        self._closed.clear()
        for seat in self._strides.seats:
            self._threads.append(watched_thread(self._serving(seat), f"pypes-seat-{seat.number}", self._fail_all))

    def _no_strides(self) -> Strides:
        return Strides(self.width, is_trusting=self._speech.is_trusting)

    def submit(self, items: Sequence[Any], listener: Listener | None = None, *, together: bool = False) -> Future[list[Outcome]]:
        if len(items) > MOST_ITEMS:
            raise ValueError(f"a stride has {MOST_ITEMS} items at most")
        self._origin.check("the executor")
        with self._lock:
            if self._closed.is_set():
                raise ExecutorClosed("the executor is closed")
            if not items:
                return _nothing()
            if len(self._strides.open) >= self.capacity:
                raise ExecutorFull(f"{self.capacity} strides are out")
            stride = self._strides.add(items, listener, together=together)
            seat = self._strides.idlest()
        if seat is not None:
            self._send_next(seat)
        return stride.future

    def close(self) -> None:
        if not self._origin.is_here:  # the pool workers, and what goes through the sockets, are not those of a fork
            for seat in self._strides.seats:
                if seat.channel is not None:
                    seat.channel.close()
            return
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
                    if not self._closed.is_set():
                        self._strides.unreachable(seat, error)
                self._tell()
                self._closed.wait(error.delay_s if isinstance(error.delay_s, float) and error.delay_s else AGAIN_S)
                continue
            channel = PassingChannel(connection.sock, self._max_bytes, takes_fds=self._speech.is_trusting)
            with self._lock:
                if self._closed.is_set():
                    channel.close()
                    return
                seat.channel, seat.depth, seat.is_fresh, seat.seen = channel, 1, True, connection.seen
                seat.progress = None
            fault = ""
            try:
                self._send_next(seat)
                self._read(seat, channel)
            except Broken as error:
                fault = f"the process sent an invalid answer ({error})"
            except Exception as error:  # there was no memory for it, say: that is no reason to stop reading answers
                log.error("an answer of a pool worker cannot be read", exc_info=error)
                fault = f"the answer of the process cannot be read ({type(error).__name__})"
            finally:
                with self._lock:
                    seat.channel = None
                channel.close()
            if not self._closed.is_set():
                loss = self._keeper.lost(connection, fault)
                with self._lock:
                    self._strides.lost(seat, loss, connection.user)
                    others = self._strides.seats
                self._tell()
                for other in others:  # what it had not begun need not wait for the next one
                    self._send_next(other)

    def _read(self, seat: Seat, channel: PassingChannel) -> None:
        """Take answers until the pool worker is gone. Raises :class:`Broken`."""
        is_untold = False
        with contextlib.suppress(OSError):
            while (frame := channel.read()) is not None:
                kind, payload = frame
                if kind == pool_frames.LOG:
                    pool_frames.log_line(payload)
                elif kind == pool_frames.PROGRESS:
                    seat.progress = _mapped_progress(channel)
                else:
                    number, answers = parcels.opened(channel, payload)
                    self._answered(seat, number, answers)
                    is_untold = True
                # PERF: together, whatever stands behind them: reading on would wait while there is something to tell
                if is_untold and not channel.has_frame:
                    self._tell()
                    self._send_next(seat)
                    is_untold = False

    def _answered(self, seat: Seat, number: int, answers: Iterable[tuple[Entry, Spoken]]) -> None:
        part = seat.out.get(number)
        if part is None:
            raise Broken(f"an answer to stride {number}, which is not out")
        stride = part.stride
        outcomes: list[tuple[int, Outcome]] = []
        for entry, answer in answers:
            if entry.at not in part.indices:
                raise Broken(f"an answer to item {entry.at}, which is not out")
            memo = part.memos.get(entry.at, [])
            if entry.kind == pool_frames.VOID:
                part.gathered.pop(entry.at, None)
            elif entry.kind != pool_frames.PART:
                outcome = self._outcome(entry.kind, answer, memo)
                gathered = part.gathered.pop(entry.at, None) if part.gathered else None
                outcomes.append((entry.at, outcome if gathered is None else with_parts(outcome, gathered)))
            elif stride.listener is None:
                if entry.at not in part.gathered:
                    part.gathered[entry.at] = Gathered(self._folder, self._understanding(memo))
                part.gathered[entry.at].add(answer)
            else:
                stride.sent.add(entry.at)
                self._settle(seat, number, outcomes)  # of those before it
                with _waiting(seat.seen):
                    stride.listener.part(entry.at, self._speech.understand(answer, memo), answer.size)
        if outcomes:
            seat.is_fresh = False
            with self._lock:
                self._strides.settle(seat, number, outcomes)

    def _understanding(self, memo: list[Any]) -> Callable[[Spoken], Any]:
        def understand(value: Spoken) -> Any:
            try:
                return self._speech.understand(value, memo)
            except Exception as error:
                raise _unreadable(error) from error

        return understand

    def _outcome(self, kind: int, answer: Spoken, memo: list[Any]) -> Outcome:
        try:
            if kind != pool_frames.DONE:
                return Outcome(None, self._speech.hear(answer))
            return Outcome(self._speech.understand(answer, memo))
        except Broken:
            raise
        except Exception as error:
            return Outcome(None, _unreadable(error))

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
        values: list[tuple[int, int, Spoken]] = []
        failed: list[tuple[int, Outcome]] = []
        for index in part.unfinished:
            try:
                memo = part.memos[index] = []
                values.append((index, 0, self._speech.speak(part.stride.items[index], memo)))
            except Exception as error:
                failed.append((index, _unspeakable(error)))
        try:
            parcel = parcels.packed(number, values) if values else None
        except (OSError, MemoryError) as error:
            failed += [(index, _unspeakable(error)) for index, _, _ in values]
            parcel = None
        if failed:
            self._settle(seat, number, failed, is_answer=False)
        # if the pool worker has died, whoever reads from it finds out
        if parcel is not None:
            with contextlib.suppress(OSError), seat.sending:
                is_batch = part.stride.together and len(values) > 1
                parcel.send(channel, pool_frames.BATCH if is_batch else pool_frames.STRIDE)

    def _settle(self, seat: Seat, number: int, outcomes: Sequence[tuple[int, Outcome]], *, is_answer: bool = True) -> None:
        with self._lock:
            self._strides.settle(seat, number, outcomes, is_answer=is_answer)
        self._tell()

    def _tell(self) -> None:
        with self._lock:
            news, done = self._strides.news()
        for stride, at, outcome in news:
            if stride.listener is not None:
                stride.listener.outcome(at, outcome)
        for stride in done:
            stride.future.set_result([outcome for outcome in stride.outcomes if outcome is not None])

    def _fail_all(self) -> None:
        """The end, in order or by a bug of ours: nothing is waited for any more."""
        self._tell()
        with self._lock:
            self._closed.set()
            left, self._strides = self._strides.open, self._no_strides()
        for stride in left:
            stride.future.set_exception(ExecutorClosed("the executor was closed"))


def _mapped_progress(channel: PassingChannel) -> Progress:
    fd = channel.take_fd()
    try:
        return Progress(fd)
    finally:
        os.close(fd)


def _nothing() -> Future[list[Outcome]]:
    future: Future[list[Outcome]] = Future()
    future.set_result([])
    return future


@contextlib.contextmanager
def _waiting(seen: SeenProgress | None) -> Iterator[None]:
    """The time that a user takes for itself is not that of the pool worker."""
    if seen is None:
        yield
        return
    seen.is_waiting = True
    try:
        yield
    finally:
        seen.is_waiting = False


def _unreadable(error: Exception) -> Reject:
    """The error of a value whose own code raised when it was read here."""
    return Reject(f"the result cannot be read here: {shown(error)}", pool_frames.VALUE)


def _unspeakable(error: Exception) -> Outcome:
    refusal = ItemUnfit(error)
    refusal.__cause__ = error
    return Outcome(None, refusal)
