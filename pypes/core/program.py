"""Program: an external program with bounded time and output, which ends with its owner, and with all that it has started."""

from __future__ import annotations

import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

from pypes.core import program_guard

READ_BYTES: Final = 1 << 16
#: Of standard error, the end is kept.
ERROR_BYTES: Final = 16_000


class ProgramFailed(Exception):
    """The program has not done what it was to do: its time was over, or it has ended with ``code``, or neither.

    ``code`` is its exit, or 128 and the number of the signal that ended it; ``said`` the end of what it wrote to standard error.
    """

    def __init__(self, reason: str, *, is_timeout: bool = False, code: int | None = None, said: str = "") -> None:
        super().__init__(f"{reason}: {said}" if said else reason)
        self.is_timeout = is_timeout
        self.code = code
        self.said = said


class Program:
    """One run of a program, from :meth:`__init__` to :meth:`close`. One thread at a time, but for :meth:`stop`."""

    def __init__(self, command: Sequence[str], folder: str | Path | None, environ: Mapping[str, str]) -> None:
        """Start it in a folder (the present one without). Raises ``OSError`` if no process can be started.

        The first of ``command`` is a path: a program that is not there fails later, by its exit.
        """
        self._owner, theirs = socket.socketpair()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", program_guard.__file__, str(theirs.fileno()), *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=folder,
                env=dict(environ),
                pass_fds=[theirs.fileno()],
                # no signal of a terminal: the owner decides
                start_new_session=True,
                bufsize=0,
            )
        except BaseException:
            self._owner.close()
            raise
        finally:
            theirs.close()
        self._said = b""
        self._rest = b""
        for stream in (self._stdin, self._stdout, self._stderr):
            os.set_blocking(stream.fileno(), False)

    @property
    def _stdin(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def _stdout(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    @property
    def _stderr(self) -> IO[bytes]:
        assert self._process.stderr is not None
        return self._process.stderr

    def run(self, data: bytes, time_s: float | None, most_bytes: int) -> bytes:
        """All that it writes to standard output, given ``data`` and the end of it; without ``time_s``, however long it takes.

        Raises :class:`ProgramFailed`.
        """
        return self._talk(data, time_s, most_bytes, lines=None)

    def ask(self, data: bytes, lines: int, time_s: float, most_bytes: int) -> list[bytes]:
        """The next ``lines`` that it writes, given ``data``; it goes on. Raises :class:`ProgramFailed`."""
        found = self._talk(data, time_s, most_bytes, lines=lines)
        *answers, self._rest = found.split(b"\n", lines)
        return answers

    def _talk(self, data: bytes, time_s: float | None, most_bytes: int, lines: int | None) -> bytes:
        ends = None if time_s is None else time.monotonic() + time_s
        out = bytearray(self._rest)
        self._rest = b""
        seen = out.count(b"\n")
        left = memoryview(data)
        with selectors.DefaultSelector() as selector:
            selector.register(self._stdout, selectors.EVENT_READ)
            selector.register(self._stderr, selectors.EVENT_READ)
            if left:
                selector.register(self._stdin, selectors.EVENT_WRITE)
            elif lines is None:
                self._stdin.close()
            while lines is None or seen < lines:
                ready = selector.select(_left(ends))
                if not ready and _left(ends) == 0.0:
                    raise self._late(time_s)
                for key, _ in ready:
                    if key.fileobj is self._stdin:
                        left = self._write(left)
                        if not left:
                            selector.unregister(self._stdin)
                            if lines is None:
                                self._stdin.close()
                        continue
                    piece = os.read(key.fd, READ_BYTES)
                    if key.fileobj is self._stderr:
                        self._said = (self._said + piece)[-ERROR_BYTES:]
                    else:
                        out += piece
                        seen += piece.count(b"\n")
                        if len(out) > most_bytes:
                            raise ProgramFailed(f"it wrote more than {most_bytes} bytes (max_bytes)", said=self._told())
                    if not piece:
                        selector.unregister(key.fileobj)
                if not selector.get_map() or (lines is not None and self._stdout not in _open(selector)):
                    break
        if lines is None or seen < lines:
            self._end(ends, time_s, is_early=lines is not None)
        return bytes(out)

    def _write(self, left: memoryview) -> memoryview:
        try:
            return left[os.write(self._stdin.fileno(), left[:READ_BYTES]) :]
        except BlockingIOError:
            return left
        except OSError:  # it reads no more, as it may
            return left[:0]

    def _end(self, ends: float | None, time_s: float | None, *, is_early: bool) -> None:
        """Wait for the exit. Raises :class:`ProgramFailed` unless it is 0 and came when it was to."""
        with suppress(OSError):
            while piece := os.read(self._stderr.fileno(), READ_BYTES):
                self._said = (self._said + piece)[-ERROR_BYTES:]
        left_s = _left(ends)
        self._owner.settimeout(None if left_s is None else max(0.1, left_s))
        try:
            [code] = self._owner.recv(1) or [128 + signal.SIGKILL]  # or somebody has killed the guard
        except TimeoutError:
            raise self._late(time_s) from None
        if code or is_early:
            how = f"was killed by signal {code - 128}" if code > 128 else f"exited with {code}"
            before = " before it had answered" if is_early and not code else ""
            raise ProgramFailed(f"it {how}{before}", code=code, said=self._told())

    def _late(self, time_s: float | None) -> ProgramFailed:
        return ProgramFailed(f"it was not done after {time_s:g} s", is_timeout=True, said=self._told())

    def _told(self) -> str:
        return self._said.decode("utf-8", "replace").strip()

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> None:
        """Kill it, and all that it has started: the thread that waits for it gets :class:`ProgramFailed`. Not after ``close``."""
        self._owner.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Kill it, and all that it has started, if it still runs; and let go of it."""
        self._owner.close()
        self._process.wait()
        for stream in (self._stdin, self._stdout, self._stderr):
            with suppress(OSError):
                stream.close()


def _left(ends: float | None) -> float | None:
    """Seconds until then, for calls that take ``None`` for ever."""
    return None if ends is None else max(0.0, ends - time.monotonic())


def _open(selector: selectors.BaseSelector) -> list[object]:
    return [key.fileobj for key in selector.get_map().values()]
