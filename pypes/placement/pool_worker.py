"""The process of a pool worker: ``python -m pypes.placement.pool_worker FD PARENT`` (see :mod:`pypes.placement.pool_frames`).

It runs one stride at a time, of its users in turn, until its keeper ends it; it dies with that.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import pickle
import select
import socket
import sys
from collections.abc import Iterator
from typing import Any, Final

from pypes.core.printed import clean_prints
from pypes.errors import Reject
from pypes.observe.hiding import Hiding
from pypes.observe.log_line import HidingFilter
from pypes.placement import parcels, pool_frames
from pypes.placement.channel import PassingChannel
from pypes.placement.executor import BatchWork, HidingWork, LoadingWork, Outcome, SendingWork, Work, aligned
from pypes.placement.first_steps import begin, confine, leave
from pypes.placement.parcels import Entry, Spoken
from pypes.placement.pool_user import AHEAD_BYTES, Answers, User
from pypes.placement.progress import ALL, Progress
from pypes.placement.speech import CleaningSpeech, Pickled, Speech, Unspeakable

#: The value of an entry that has none.
NOTHING: Final = Spoken([], 0)


def main() -> None:
    """Never returns."""
    keeper = PassingChannel(begin(), sys.maxsize)
    first = keeper.read()
    if first is None:
        leave(0)
        return
    order = pool_frames.Order(*pickle.loads(first[1]))
    progress_fd = keeper.take_fd()
    confine(order.max_bytes)
    forward = Forward(keeper)
    logging.getLogger().handlers[:] = [forward]
    logging.getLogger().setLevel(order.log_level)
    speech: Speech = Pickled()
    work: Work | None = None
    worker: PoolWorker | None = None
    try:
        speech = pickle.loads(order.speech)()
        work = pickle.loads(order.work)()
        if isinstance(work, HidingWork):
            _hide(work.hiding, forward, speech)
        worker = PoolWorker(keeper, work, speech, progress_fd, forward, is_bounded=order.max_bytes is not None)
        work.setup()
        worker.end_if_forked()
    except BaseException as error:
        if worker is not None:
            worker.end_if_forked()
        with contextlib.suppress(OSError):
            parcel = parcels.packed(0, [(0, pool_frames.RAISED, speech.tell(error, is_over_item=False))], is_inline=True)
            keeper.write(pool_frames.FAILED, parcel.payload)
        _close(work)
        leave(1)
    assert worker is not None
    # what set-up left will not be collected: spare the collector from looking at it
    gc.collect()
    gc.freeze()
    keeper.write(pool_frames.READY, b"")
    forward.channel = None
    worker.serve()
    _close(work)
    leave(0)


def _hide(hiding: Hiding, forward: Forward, speech: Speech) -> None:
    """Take what the work hides out of all that leaves this process: whoever gets it may not know these secrets."""
    forward.addFilter(HidingFilter(hiding))
    clean_prints(hiding.secrets.redact)
    if isinstance(speech, CleaningSpeech):
        speech.secrets = hiding.secrets


def _close(work: Work | None) -> None:
    if work is not None:
        try:
            work.close()
        except BaseException:
            logging.getLogger(__name__).exception("closing the work of a pool failed")


class Forward(logging.Handler):
    """Hands what is logged to whom it concerns: the keeper during set-up, then the user whose item is in hand."""

    def __init__(self, keeper: PassingChannel) -> None:
        super().__init__()
        self.channel: PassingChannel | None = keeper
        self.user: User | None = None

    def emit(self, record: logging.LogRecord) -> None:
        try:
            if self.user is not None:
                self.user.say(pool_frames.LOG, pool_frames.line_of(record))
            elif self.channel is not None:
                self.channel.write(pool_frames.LOG, pool_frames.line_of(record))
            elif logging.lastResort is not None and record.levelno >= logging.lastResort.level:
                logging.lastResort.handle(record)  # by a thread that works on between items
        except OSError:  # nobody listens any more
            return


class PoolWorker:
    """Runs strides; see the module."""

    def __init__(
        self, keeper: PassingChannel, work: Work, speech: Speech, progress_fd: int, forward: Forward, *, is_bounded: bool
    ) -> None:
        self._keeper = keeper
        self._run = work.run
        self._run_batch = work.run_batch if isinstance(work, BatchWork) else None
        self._speech = speech
        self._progress_fd = progress_fd
        self._progress = Progress(progress_fd)
        self._forward = forward
        self._is_bounded = is_bounded
        #: True until it has finished an item: memory that is missing then is the first item's own doing.
        self._is_fresh = True
        #: The stride in hand, and of the item in hand the position and what was said of it.
        self._answers: Answers
        self._user: User
        self._at = 0
        self._memo: list[Any] = []
        self._users: dict[int, User] = {}
        self._poll = select.poll()
        self._poll.register(keeper.sock, select.POLLIN)
        self._is_forked = False
        os.register_at_fork(after_in_child=self._let_go)
        if isinstance(work, SendingWork):
            work.send_part = self._send
        if isinstance(work, LoadingWork):
            work.untimed = self._untimed

    def _let_go(self) -> None:
        """A process that the work forks must not keep the sockets, which would hide the end of this one."""
        self._is_forked = True
        for channel in (self._keeper, *(user.channel for user in self._users.values())):
            channel.close()

    def end_if_forked(self) -> None:
        """End a process that the work has forked, and that has come back from the work: it is no pool worker."""
        if self._is_forked:
            os._exit(0)

    def serve(self) -> None:
        """Run strides until the keeper says that no more will come."""
        while True:
            self.end_if_forked()
            is_more = any(user.channel.has_more for user in self._users.values())
            for fd, user in self._users.items():
                self._poll.modify(fd, select.POLLIN | (select.POLLOUT if user.has_frames else 0))
            ready = {fd for fd, events in self._poll.poll(0 if is_more else None) if events & ~select.POLLOUT}
            if self._keeper.sock.fileno() in ready and not self._told_by_keeper():
                return
            for fd, user in [*self._users.items()]:
                user.go_on()
                if fd in ready or user.channel.has_more:
                    self._read(fd, user)

    def _told_by_keeper(self) -> bool:
        frame = self._keeper.read()
        if frame is None:
            return False
        user = User(int.from_bytes(frame[1], "little"), socket.socket(fileno=self._keeper.take_fd()))
        fd = user.channel.sock.fileno()
        self._users[fd] = user
        self._poll.register(fd, select.POLLIN)
        if self._speech.is_trusted:
            user.say(pool_frames.PROGRESS, b"", os.dup(self._progress_fd))
        return True

    def _read(self, fd: int, user: User) -> None:
        """Run one stride of a user, or learn that it is gone."""
        try:
            frame = user.channel.read()
        except OSError:
            frame = None
        if frame is None:
            self._poll.unregister(fd)
            del self._users[fd]
            user.close()
            return
        self._forward.user = self._user = user
        try:
            kind, payload = frame
            number, items = parcels.opened(user.channel, payload)
            del frame, payload
            self._answers = Answers(user, number, is_trusted=self._speech.is_trusted)
            if kind == pool_frames.BATCH and self._run_batch is not None:
                self._batch(number, items)
            else:
                self._stride(number, items)
            self._answers.flush()
        except (MemoryError, OSError):
            if not self._is_bounded:
                raise
            leave(pool_frames.EXHAUSTED)
        self._forward.user = None

    def _batch(self, number: int, items: Iterator[tuple[Entry, Spoken]]) -> None:
        """Run the items of a stride together or, if that fails, one by one."""
        assert self._run_batch is not None
        whole = [*items]
        self._at, self._memo = whole[0][0].at, []
        self._progress.begin(self._user.number, number, ALL)
        try:
            outcomes = self._run_batch([self._speech.understand(item, self._memo) for _, item in whole])
            answers = [self._told(outcome) for outcome in aligned(outcomes, whole)]
        except MemoryError as error:
            if self._is_bounded:
                self._exhausted(error)
            answers = []
        except BaseException:  # of one of them, or of all: each is told by itself
            answers = []
        self.end_if_forked()
        self._progress.end()
        if not answers:
            self._answers.add(self._at, pool_frames.VOID, NOTHING)
            self._stride(number, iter(whole))
            return
        for (entry, _), (kind, answer) in zip(whole, answers, strict=True):
            self._answers.add(entry.at, kind, answer)
        self._is_fresh = False

    def _told(self, outcome: Outcome) -> tuple[int, Spoken]:
        """The outcome of one item of a batch. Raises what the value's own code does."""
        if outcome.error is not None:
            return pool_frames.RAISED, self._speech.tell(outcome.error)
        return pool_frames.DONE, self._speech.speak(outcome.value, [])

    def _stride(self, number: int, items: Iterator[tuple[Entry, Spoken]]) -> None:
        for entry, item in items:
            self._at, self._memo = entry.at, []
            self._progress.begin(self._user.number, number, entry.at)
            kind, answer = self._answer(item)
            self.end_if_forked()
            self._progress.end()
            del item
            self._answers.add(entry.at, kind, answer)
            self._is_fresh = False

    def _answer(self, item: Spoken) -> tuple[int, Spoken]:
        speech = self._speech
        try:
            return pool_frames.DONE, speech.speak(self._run(speech.understand(item, self._memo)), self._memo)
        except MemoryError as error:
            if self._is_bounded:
                self._exhausted(error)
            return pool_frames.RAISED, speech.tell(error)
        except Unspeakable as error:
            return pool_frames.RAISED, speech.tell(Reject(f"{pool_frames.UNSENT}{error}", pool_frames.VALUE))
        except BaseException as error:  # also SystemExit, and what native code derives from BaseException itself
            return pool_frames.RAISED, speech.tell(error)

    def _exhausted(self, error: MemoryError) -> None:
        """End this process, which cannot be relied on any more.

        Where it has only one user, which knows that no former item may be the reason, it tells of the error.
        """
        self.end_if_forked()
        if self._is_fresh and not self._speech.is_trusted:
            self._answers.add(self._at, pool_frames.RAISED, self._speech.tell(error))
        self._answers.flush()
        self._user.wait(0)
        leave(pool_frames.EXHAUSTED)

    def _send(self, value: Any) -> None:
        """Called by the work: send a value over the item in hand."""
        self.end_if_forked()
        self._answers.add(self._at, pool_frames.PART, self._speech.speak(value, self._memo))
        if self._user.is_behind:
            with self._untimed():
                self._user.wait(AHEAD_BYTES)

    @contextlib.contextmanager
    def _untimed(self) -> Iterator[None]:
        """No time passes for the item in hand."""
        self._progress.is_waiting = True
        try:
            yield
        finally:
            self._progress.is_waiting = False


if __name__ == "__main__":
    main()
