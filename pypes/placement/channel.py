"""Channel: frames over a stream socket between a process and its child, with file descriptors where both sides want them.

A frame is ``u64 length, u8 kind`` and that many bytes. Imports nothing but the standard library, as it is loaded in each child.
"""

from __future__ import annotations

import array
import os
import select
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

_HEAD: Final = struct.Struct("<QB")
_PIECE_BYTES: Final = 1 << 16
#: Kinds of frames are below this.
KINDS: Final = 16

#: Seconds between two checks that the other side runs.
SLICE_S: Final = 0.25

#: Room for the descriptors of one message, of which there is one; and what keeps programs that are started here from having them.
_FDS_BYTES: Final = socket.CMSG_SPACE(4)
_CLOSE_ON_EXEC: Final = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


class Broken(Exception):
    """Raised for an invalid frame, or one over the limit: the other side is broken."""


class Patience:
    """Time that the other side has to say something; none passes while this process does not run."""

    def __init__(self, left_s: float) -> None:
        self.left_s = left_s

    def wait(self, poll: Callable[[float], Any]) -> None:
        """Block until ``poll`` (of milliseconds) finds something. Raises ``TimeoutError`` when no time is left."""
        while True:
            slice_s = min(self.left_s, SLICE_S)
            begin = time.monotonic()
            found = poll(slice_s * 1000)
            self.left_s -= min(time.monotonic() - begin, slice_s)
            if found:
                return
            if self.left_s <= 0:
                raise TimeoutError


class Channel:
    """One end of the socket pair. Reading is for one thread at a time, and so is writing."""

    def __init__(self, sock: socket.socket, max_bytes: int) -> None:
        self._sock = sock
        self._max_bytes = max_bytes
        self._rest = b""
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)
        self._kept: list[bytes] = []
        self._kept_bytes = 0

    def write(self, kind: int, payload: bytes) -> None:
        """Send a frame, after those that were kept. Raises ``OSError`` if the other side is gone."""
        head = _HEAD.pack(len(payload), kind)
        if self._kept or len(payload) < _PIECE_BYTES:
            self._sock.sendall(b"".join([*self._kept, head, payload]))
            self._kept, self._kept_bytes = [], 0
        else:
            self._sock.sendall(head)
            self._sock.sendall(payload)

    def keep(self, kind: int, payload: bytes) -> None:
        """Send a frame with the next one, or once there is enough to send."""
        if self._kept_bytes + len(payload) >= _PIECE_BYTES:
            self.write(kind, payload)
            return
        self._kept += (_HEAD.pack(len(payload), kind), payload)
        self._kept_bytes += len(payload)

    def read(self, patience: Patience | None = None) -> tuple[int, bytes | bytearray] | None:
        """The next frame; ``None`` when the other side is gone. Blocks.

        Raises :class:`Broken` and ``TimeoutError``; nothing more can be read then.
        """
        head = self._exactly(_HEAD.size, patience)
        if head is None:
            return None
        size, kind = _HEAD.unpack(head)
        if size > self._max_bytes or kind >= KINDS:
            raise Broken(f"a frame of kind {kind} with {size} bytes")
        payload = self._exactly(size, patience)
        return None if payload is None else (kind, payload)

    def end(self) -> None:
        """Say that nothing more will be written."""
        self._sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._sock.close()

    def _exactly(self, size: int, patience: Patience | None) -> bytes | bytearray | None:
        rest = self._rest
        if len(rest) >= size:
            self._rest = rest[size:]
            return rest[:size]
        if size > _PIECE_BYTES:  # PERF: into place, not piece by piece
            whole = bytearray(size)
            whole[: len(rest)] = rest
            self._rest = b""
            view = memoryview(whole)[len(rest) :]
            while view:
                if patience is not None:
                    patience.wait(self._poll.poll)
                n = self._receive_into(view)
                if not n:
                    return None
                view = view[n:]
            return whole
        while len(rest) < size:
            if patience is not None:
                patience.wait(self._poll.poll)
            piece = self._receive()
            if not piece:
                return None
            rest += piece
        self._rest = rest[size:]
        return rest[:size]

    def _receive(self) -> bytes:
        return self._sock.recv(_PIECE_BYTES)

    def _receive_into(self, view: memoryview) -> int:
        return self._sock.recv_into(view)


class PassingChannel(Channel):
    """A channel over which file descriptors travel.

    A descriptor that is under way when both processes are killed is closed by the kernel: nothing is left of what it names.
    """

    def __init__(self, sock: socket.socket, max_bytes: int, *, takes_fds: bool = True) -> None:
        super().__init__(sock, max_bytes)
        self._fds: deque[int] = deque()
        #: False where the other side is not trusted: the kernel closes what it passes.
        self._takes_fds = takes_fds

    @property
    def sock(self) -> socket.socket:
        return self._sock

    @property
    def has_more(self) -> bool:
        """True if a frame, or the beginning of one, was read along with the one before it."""
        return bool(self._rest)

    @property
    def has_frame(self) -> bool:
        """True if a whole frame was read along with the one before it: reading it does not block."""
        rest = self._rest
        return len(rest) >= _HEAD.size and len(rest) >= _HEAD.size + _HEAD.unpack_from(rest)[0]

    def pass_on(self, kind: int, payload: bytes, fd: int | None) -> None:
        """Send a frame with a descriptor, which stays open here. Raises ``OSError`` if the other side is gone."""
        if fd is None:
            self.write(kind, payload)
            return
        frame = framed(kind, payload)
        sent = self._sock.sendmsg([frame], passing(fd))
        if sent < len(frame):
            self._sock.sendall(memoryview(frame)[sent:])

    def take_fd(self) -> int:
        """The descriptor that came with the frame read last, to be closed by the caller. Raises :class:`Broken` if none came."""
        if not self._fds:
            raise Broken("a frame without its descriptor: too many files are open")
        return self._fds.popleft()

    def close(self) -> None:
        super().close()
        while self._fds:
            os.close(self._fds.popleft())

    def _receive(self) -> bytes:
        if not self._takes_fds:
            return super()._receive()
        data, ancillary, _, _ = self._sock.recvmsg(_PIECE_BYTES, _FDS_BYTES, _CLOSE_ON_EXEC)
        if ancillary:
            self._keep_fds(ancillary)
        return data

    def _receive_into(self, view: memoryview) -> int:
        if not self._takes_fds:
            return super()._receive_into(view)
        size, ancillary, _, _ = self._sock.recvmsg_into([view], _FDS_BYTES, _CLOSE_ON_EXEC)
        if ancillary:
            self._keep_fds(ancillary)
        return size

    def _keep_fds(self, ancillary: Sequence[tuple[int, int, bytes]]) -> None:
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds = array.array("i")
                fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
                self._fds.extend(fds)


def framed(kind: int, payload: bytes) -> bytes:
    """A frame as it is on the socket."""
    return head_of(kind, payload) + payload


def head_of(kind: int, payload: bytes) -> bytes:
    """The part of a frame before its payload."""
    return _HEAD.pack(len(payload), kind)


def passing(fd: int) -> list[tuple[int, int, bytes]]:
    """The ancillary data of ``sendmsg`` that pass a descriptor."""
    return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("@i", fd))]
