"""The process of a pool worker: ``python -m pypes.placement.pool_worker FD PARENT`` (see :mod:`pypes.placement.pool_frames`).

It runs one stride at a time, of its users in turn, until its keeper ends it; it dies with that. Results are sent together,
except that none waits for long, so that what is done is not done again when the process dies of a later item.
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
import threading
import time
from collections import deque
from typing import Any

from pypes.errors import Reject
from pypes.placement import parcels, pool_frames
from pypes.placement.channel import PassingChannel, framed, passing
from pypes.placement.executor import Work
from pypes.placement.first_steps import begin, confine, leave
from pypes.placement.progress import Progress
from pypes.placement.retold import told

#: Seconds for which a result may wait for those after it.
FLUSH_S = 0.005


def main() -> None:
    """Never returns."""
    keeper = PassingChannel(begin(), sys.maxsize)
    first = keeper.read()
    if first is None:
        leave(0)
        return
    order = pool_frames.Order(*pickle.loads(first[1]))
    progress = Progress(keeper.take_fd())
    confine(order.max_bytes)
    forward = Forward(keeper)
    logging.getLogger().handlers[:] = [forward]
    logging.getLogger().setLevel(order.log_level)
    work: Work | None = None
    try:
        work = pickle.loads(order.work)()
        work.setup()
    except BaseException as error:
        with contextlib.suppress(OSError):
            keeper.write(pool_frames.FAILED, pickle.dumps(tuple(told(error))))
        leave(1)
    assert work is not None
    # what set-up left will not be collected: spare the collector from looking at it
    gc.collect()
    gc.freeze()
    keeper.write(pool_frames.READY, b"")
    forward.channel = None
    PoolWorker(keeper, work, progress, forward, is_bounded=order.max_bytes is not None).serve()
    try:
        work.close()
    except BaseException:
        logging.getLogger(__name__).exception("closing the work of a pool failed")
    leave(0)


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


class User:
    """One connection to a user, with the frames that it has not taken yet: one that is stopped holds up nobody else."""

    def __init__(self, number: int, sock: socket.socket) -> None:
        self.number = number
        self.channel = PassingChannel(sock, sys.maxsize)
        self._frames: deque[tuple[bytes | memoryview, int | None]] = deque()
        # threads of the work may log while a result is sent
        self._lock = threading.RLock()

    @property
    def has_frames(self) -> bool:
        return bool(self._frames)

    def say(self, kind: int, payload: bytes, fd: int | None = None) -> None:
        """Send a frame as soon as the user takes it; ``fd`` is closed then."""
        with self._lock:
            self._frames.append((framed(kind, payload), fd))
            self.go_on()

    def go_on(self) -> None:
        """Send as much as is taken at once."""
        with self._lock:
            self._send()

    def _send(self) -> None:
        while self._frames:
            frame, fd = self._frames[0]
            try:
                sent = self.channel.sock.sendmsg([frame], [] if fd is None else passing(fd), socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError:  # it is gone, as reading from it will tell
                self.forget()
                return
            parcels.Parcel(b"", fd).close()
            if sent < len(frame):
                self._frames[0] = memoryview(frame)[sent:], None
            else:
                self._frames.popleft()

    def forget(self) -> None:
        """Drop what it will not take."""
        while self._frames:
            parcels.Parcel(b"", self._frames.popleft()[1]).close()

    def close(self) -> None:
        self.forget()
        self.channel.close()


class PoolWorker:
    """Runs strides; see the module."""

    def __init__(self, keeper: PassingChannel, work: Work, progress: Progress, forward: Forward, *, is_bounded: bool) -> None:
        self._keeper = keeper
        self._run = work.run
        self._progress = progress
        self._forward = forward
        self._is_bounded = is_bounded
        self._users: dict[int, User] = {}
        self._poll = select.poll()
        self._poll.register(keeper.sock, select.POLLIN)
        os.register_at_fork(after_in_child=self._let_go)

    def _let_go(self) -> None:
        """A process that the work forks must not keep the sockets, which would hide the end of this one."""
        for channel in (self._keeper, *(user.channel for user in self._users.values())):
            channel.close()

    def serve(self) -> None:
        """Run strides until the keeper says that no more will come."""
        while True:
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
        self._forward.user = user
        try:
            self._stride(user, *parcels.opened(user.channel, frame[1]))
        except (MemoryError, OSError):
            if not self._is_bounded:
                raise
            leave(pool_frames.EXHAUSTED)
        self._forward.user = None

    def _stride(self, user: User, number: int, items: Any) -> None:
        answers: list[tuple[int, int, parcels.Spoken]] = []
        size, flushed = 0, time.monotonic()
        for entry, item in items:
            self._progress.begin(user.number, number, entry.at)
            kind, answer = self._answer(item)
            self._progress.end()
            del item
            answers.append((entry.at, kind, answer))
            size += answer.size
            now = time.monotonic()
            if now - flushed >= FLUSH_S or size >= parcels.APART_BYTES:
                self._send(user, number, answers)
                size, flushed = 0, now
        self._send(user, number, answers)

    def _send(self, user: User, number: int, answers: list[tuple[int, int, parcels.Spoken]]) -> None:
        if answers:
            parcel = parcels.packed(number, answers)
            answers.clear()
            user.say(pool_frames.ANSWERS, *parcel)

    def _answer(self, item: parcels.Spoken) -> tuple[int, parcels.Spoken]:
        try:
            return pool_frames.DONE, parcels.spoken(self._run(parcels.loaded(item)))
        except MemoryError as error:
            if self._is_bounded:  # it cannot be relied on any more, and those before this item may be the reason
                leave(pool_frames.EXHAUSTED)
            return pool_frames.RAISED, parcels.spoken(tuple(told(error)))
        except parcels.Unspeakable as error:
            refusal = Reject(f"the result cannot be sent from its process: {error}", "pool.value")
            return pool_frames.RAISED, parcels.spoken(tuple(told(refusal)))
        except BaseException as error:  # also SystemExit, and what native code derives from BaseException itself
            return pool_frames.RAISED, parcels.spoken(tuple(told(error)))


if __name__ == "__main__":
    main()
