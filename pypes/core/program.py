"""Program: an external program with bounded time and output, which ends with its owner, and with all that it has started."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Final

from pypes.core.lifeline import ProcessGroup
from pypes.core.signals import interrupts_later

READ_BYTES: Final = 1 << 16
#: Of standard error, the end is kept.
ERROR_BYTES: Final = 16_000
#: A pipe holds as much at most, unless its owner may do everything.
PIPE_BYTES: Final = 1 << 20
#: Waits until nobody has the other end of its standard input, and kills its process group, which it is part of.
GUARD: Final = ("/bin/sh", "-c", "trap '' HUP INT TERM; read -r _; kill -9 0")
#: Exits of a shell for a program that is not there, or is none.
NOT_FOUND, NOT_RUN = 127, 126
#: Seconds between two looks at the program, where the kernel does not tell when it ends.
LOOK_S: Final = 0.01


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
    """One run of a program, from the first call to :meth:`close`. One thread at a time, but for :meth:`stop`.

    It runs in a process group, all of which is killed when the program has ended. The leader of the group is a shell that waits
    for the owner to die, of whatever, and then does the same.
    """

    def __init__(self, command: Sequence[str], folder: str | Path | None, environ: Mapping[str, str]) -> None:
        """``command`` is the path of the program and its arguments; it runs in a folder, without in the present one."""
        self._command = command
        self._folder = folder
        self._environ = environ
        self._guard: subprocess.Popen[bytes] | None = None
        self._popen: subprocess.Popen[bytes] | None = None
        #: Tells when it has ended; ``None`` where the kernel cannot.
        self._exit: int | None = None
        # nothing is reaped between a look at it and a signal: its number could be that of another one
        self._lock = threading.Lock()
        self._is_stopped = False
        self._out = bytearray()
        self._lines = 0
        self._said = b""

    def _start(self) -> None:
        nothing = subprocess.DEVNULL
        # a group of its own: no signal of a terminal, the owner decides
        self._guard = subprocess.Popen(GUARD, stdin=subprocess.PIPE, stdout=nothing, stderr=nothing, env={}, process_group=0)
        try:
            self._popen = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=self._folder,
                env=self._environ,
                process_group=self._guard.pid,
                bufsize=0,
            )
        except OSError as error:
            if error.filename != self._command[0]:
                raise
            code = NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_RUN
            raise ProgramFailed(f"{self._command[0]}: {error.strerror}", code=code) from None
        self._exit = _opened(self._popen.pid)
        for stream in (self._stdin, self._stdout, self._stderr):
            os.set_blocking(stream.fileno(), False)

    @property
    def _process(self) -> subprocess.Popen[bytes]:
        assert self._popen is not None
        return self._popen

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

        Raises :class:`ProgramFailed`, and ``OSError`` if no process can be started.
        """
        self._talk(data, time_s, most_bytes, lines=None)
        return bytes(self._out)

    def ask(self, data: bytes, lines: int, time_s: float | None, most_bytes: int) -> list[bytes]:
        """The next ``lines`` that it writes, given ``data``; it goes on. Raises as :meth:`run` does."""
        self._talk(data, time_s, most_bytes, lines)
        *answers, self._out = self._out.split(b"\n", lines)
        self._lines -= lines
        return [*map(bytes, answers)]

    def _talk(self, data: bytes, time_s: float | None, most_bytes: int, lines: int | None) -> None:
        """Write and read until it has ended, or written so many lines."""
        with self._lock, interrupts_later():
            if self._popen is None:
                self._start()
            if self._is_stopped:
                self._kill()
        ends = None if time_s is None else time.monotonic() + time_s
        left = memoryview(data)
        with selectors.DefaultSelector() as selector:
            selector.register(self._stdout, selectors.EVENT_READ)
            selector.register(self._stderr, selectors.EVENT_READ)
            if self._exit is not None:
                selector.register(self._exit, selectors.EVENT_READ)
            if left:
                selector.register(self._stdin, selectors.EVENT_WRITE)
            elif lines is None:
                self._stdin.close()
            while lines is None or self._lines < lines:
                left_s = None if ends is None else ends - time.monotonic()
                if left_s is not None and left_s <= 0:
                    raise ProgramFailed(f"it was not done after {time_s:g} s", is_timeout=True, said=self._told())
                ready = [key.fileobj for key, _ in selector.select(LOOK_S if self._exit is None else left_s)]
                if self._exit in ready or (self._exit is None and self._process.poll() is not None):
                    self._end(most_bytes, lines)
                    return
                for source in ready:
                    if source is self._stdin:
                        left = self._write(left)
                        is_open = bool(left)
                        if not is_open and lines is None:
                            self._stdin.close()
                    else:
                        is_open = self._read(source, most_bytes) != b""
                    if not is_open:
                        selector.unregister(source)

    def _write(self, left: memoryview) -> memoryview:
        try:
            return left[os.write(self._stdin.fileno(), left[:READ_BYTES]) :]
        except BlockingIOError:
            return left
        except OSError:  # it reads no more, as it may
            return left[:0]

    def _read(self, source: object, most_bytes: int) -> bytes | None:
        """Take the next piece of what it writes: none at the end, ``None`` if there is nothing yet."""
        if source is self._stderr:
            said: bytes | None = self._stderr.read(READ_BYTES)
            self._said = (self._said + (said or b""))[-ERROR_BYTES:]
            return said
        piece: bytes | None = self._stdout.read(READ_BYTES)
        if piece:
            self._out += piece
            self._lines += piece.count(b"\n")
            if len(self._out) > most_bytes:
                raise ProgramFailed(f"it wrote more than {most_bytes} bytes (max_bytes)", said=self._told())
        return piece

    def _end(self, most_bytes: int, lines: int | None) -> None:
        """Reap it. Raises :class:`ProgramFailed` unless its exit is 0 and it has written what it was to."""
        self._kill()  # what it has left behind
        for source in (self._stdout, self._stderr):
            # one of another group may hold the other end, and go on writing
            for _ in range(PIPE_BYTES // READ_BYTES):
                if not self._read(source, most_bytes):
                    break
        with self._lock:
            status = self._process.wait()
        code = status if status >= 0 else 128 - status
        is_early = lines is not None and self._lines < lines
        if code or is_early:
            how = f"was killed by signal {-status}" if status < 0 else f"exited with {code}"
            before = " before it had answered" if is_early and not code else ""
            raise ProgramFailed(f"it {how}{before}", code=code, said=self._told())

    def _told(self) -> str:
        return self._said.decode("utf-8", "replace").strip()

    def _kill(self) -> None:
        if self._guard is not None:
            ProcessGroup(self._guard.pid).signal(signal.SIGKILL)
        if self._popen is not None and self._popen.returncode is None:
            # it may have left the group, and lead another one
            ProcessGroup(self._popen.pid).signal(signal.SIGKILL)
            self._popen.kill()

    @property
    def is_running(self) -> bool:
        return self._popen is not None and self._popen.poll() is None

    def stop(self) -> None:
        """Kill it, and all that it has started: the thread that waits for it gets :class:`ProgramFailed`."""
        with self._lock:
            self._is_stopped = True
            self._kill()

    def close(self) -> None:
        """Kill it, and all that it has started, if it still runs; and let go of it."""
        with self._lock:
            self._kill()
            if self._popen is not None:
                self._popen.wait()
            guard, self._guard = self._guard, None
            if guard is not None:
                guard.communicate()
        for stream in () if self._popen is None else (self._stdin, self._stdout, self._stderr):
            with contextlib.suppress(OSError):
                stream.close()
        if self._exit is not None:
            os.close(self._exit)
            self._exit = None


def _opened(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):  # not every kernel has it
        return None
