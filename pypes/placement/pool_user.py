"""User of a pool worker, as that sees it: a connection, and the answers on their way to it."""

from __future__ import annotations

import select
import socket
import sys
import threading
import time
from collections import deque

from pypes.placement import parcels, pool_frames
from pypes.placement.channel import PassingChannel, head_of, passing
from pypes.placement.parcels import APART_BYTES, Parcel, Spoken

#: Seconds for which a result may wait for those after it. PERF: whoever reads it takes its time from the pool workers.
FLUSH_S = 0.02
#: Seconds for which the next item waits for a user that takes nothing of the results before it.
TAKING_S = 0.1
#: Bytes that a user has not taken before the work that sends more has to wait.
AHEAD_BYTES = 1 << 20


class User:
    """One connection to a user, with the frames that it has not taken yet: one that is stopped holds up nobody else."""

    def __init__(self, number: int, sock: socket.socket) -> None:
        self.number = number
        self.channel = PassingChannel(sock, sys.maxsize)
        self._frames: deque[tuple[bytes | memoryview, int | None]] = deque()
        self._bytes = 0
        self._is_slow = False
        # threads of the work may log while a result is sent
        self._lock = threading.RLock()

    @property
    def has_frames(self) -> bool:
        return bool(self._frames)

    @property
    def is_behind(self) -> bool:
        """True if it has left so much that no more should be made for it."""
        return self._bytes > AHEAD_BYTES

    def say(self, kind: int, payload: bytes, fd: int | None = None) -> None:
        """Send a frame as soon as the user takes it; ``fd`` is closed then."""
        with self._lock:
            head = head_of(kind, payload)
            if len(payload) < APART_BYTES:
                self._frames.append((head + payload, fd))
            else:  # PERF: not copied once more
                self._frames += ((head, fd), (memoryview(payload), None))
            self._bytes += len(head) + len(payload)
            self.go_on()

    def wait(self, most_bytes: int) -> None:
        """Block until it has left no more than this."""
        while self._bytes > most_bytes:
            self._has_room(None)
            self.go_on()

    def wait_a_moment(self) -> None:
        """Block until it has taken everything, unless it does not take anything just now, as it did not before."""
        while self._frames and not self._is_slow:
            self._is_slow = not self._has_room(TAKING_S)
            self.go_on()

    def _has_room(self, patience_s: float | None) -> bool:
        poll = select.poll()
        poll.register(self.channel.sock, select.POLLOUT)
        return bool(poll.poll(None if patience_s is None else patience_s * 1000))

    def go_on(self) -> None:
        """Send as much as is taken at once."""
        with self._lock:
            while self._frames:
                frame, fd = self._frames[0]
                try:
                    sent = self.channel.sock.sendmsg([frame], [] if fd is None else passing(fd), socket.MSG_DONTWAIT)
                except BlockingIOError:
                    return
                except OSError:  # it is gone, as reading from it will tell
                    self.forget()
                    return
                Parcel(b"", fd).close()
                self._bytes -= sent
                if sent < len(frame):
                    self._frames[0] = memoryview(frame)[sent:], None
                else:
                    self._frames.popleft()
            self._is_slow = False

    def forget(self) -> None:
        """Drop what it will not take."""
        while self._frames:
            Parcel(b"", self._frames.popleft()[1]).close()
        self._bytes = 0

    def close(self) -> None:
        self.forget()
        self.channel.close()


class Answers:
    """Values that belong to one stride. Sent together, but none waits for long: what is lost with the process is done twice.

    To a user that does not trust this process each goes by itself, and through the socket.
    """

    def __init__(self, user: User, number: int, *, is_trusted: bool) -> None:
        self._user = user
        self._number = number
        self._is_trusted = is_trusted
        self._values: list[tuple[int, int, Spoken]] = []
        self._size = 0
        self._flushed = time.monotonic()

    def add(self, at: int, kind: int, value: Spoken) -> None:
        """Have a value sent that belongs to the item at a position."""
        self._values.append((at, kind, value))
        self._size += value.size
        is_final = kind in (pool_frames.DONE, pool_frames.RAISED)
        if self._size >= APART_BYTES or (is_final and not self._is_trusted) or time.monotonic() - self._flushed >= FLUSH_S:
            self.flush()

    def flush(self) -> None:
        """Send what waits."""
        if self._values:
            parcel = parcels.packed(self._number, self._values, is_inline=not self._is_trusted)
            self._values, self._size = [], 0
            self._user.say(pool_frames.ANSWERS, *parcel)
            # what is in the socket counts when the next item ends this process
            self._user.wait_a_moment()
        self._flushed = time.monotonic()
