"""LineFile: a file of lines that many processes append to, rotated by size, whole after any crash."""

from __future__ import annotations

import os
import sys
from pathlib import Path

if sys.platform != "win32":
    import fcntl

BLOCK_BYTES = 64 * 1024


class LineFile:
    """Appends whole lines; a lock on the file itself keeps other processes and instances out meanwhile.

    A full file is renamed to ``name.N.suffix`` with the next free N. Blocks while another process writes.
    Raises ``OSError``; then nothing of what was to be appended is in the file.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        self.path = path
        self.max_bytes = max_bytes
        self._fd = -1

    def append(self, data: bytes, *, sync: bool) -> None:
        """Append ``data``, which ends with a newline; with ``sync`` it is on stable storage when this returns."""
        size = self._acquire(len(data))
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(self._fd, view) :]
            if sync:
                os.fsync(self._fd)
                if not size:
                    _sync_directory(self.path.parent)
        except OSError:
            os.ftruncate(self._fd, size)
            raise
        finally:
            _unlock(self._fd)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _acquire(self, needed_bytes: int) -> int:
        """Lock the file that bears the name *now* (it may be rotated away while we wait); returns its size in bytes."""
        while True:
            if self._fd < 0:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0), 0o644)
            _lock(self._fd)
            try:
                if self._is_current():
                    size = self._repair()
                    if not (size and self.max_bytes and size + needed_bytes > self.max_bytes):
                        return size
                    self._rotate()
            except OSError:
                _unlock(self._fd)
                raise
            self.close()

    def _is_current(self) -> bool:
        try:
            named = self.path.stat()
        except FileNotFoundError:
            return False
        ours = os.fstat(self._fd)
        return (named.st_ino, named.st_dev) == (ours.st_ino, ours.st_dev)

    def _repair(self) -> int:
        """Cut off a last line that a crash tore, which was never acknowledged; returns the size in bytes."""
        size = end = os.fstat(self._fd).st_size
        while end:
            start = max(0, end - (1 if end == size else BLOCK_BYTES))
            os.lseek(self._fd, start, os.SEEK_SET)
            newline = os.read(self._fd, end - start).rfind(b"\n")
            if newline >= 0:
                end = start + newline + 1
                break
            end = start
        if end < size:
            os.ftruncate(self._fd, end)
        return end

    def _rotate(self) -> None:
        """Give the full file the next free number. Its lock goes with it, so only one process comes here."""
        number = 1
        while (target := self.path.with_name(f"{self.path.stem}.{number}{self.path.suffix}")).exists():
            number += 1
        os.fsync(self._fd)
        self.path.rename(target)
        _sync_directory(self.path.parent)


class StandardOutput:
    """The same for standard output: whole lines, one process at a time."""

    def append(self, data: bytes, *, sync: bool) -> None:
        del sync  # what reads the other end decides how durable it is
        out = sys.stdout.buffer
        try:
            _lock_range(out.fileno())
        except OSError:  # a terminal or a device that knows no locks
            out.write(data)
            out.flush()
            return
        try:
            out.write(data)
            out.flush()
        finally:
            _unlock_range(out.fileno())

    def close(self) -> None:
        sys.stdout.flush()


if sys.platform == "win32":

    def _lock(fd: int) -> None: ...
    def _unlock(fd: int) -> None: ...
    def _lock_range(fd: int) -> None: ...
    def _unlock_range(fd: int) -> None: ...
    def _sync_directory(path: Path) -> None: ...

else:

    def _lock(fd: int) -> None:
        fcntl.flock(fd, fcntl.LOCK_EX)

    def _unlock(fd: int) -> None:
        fcntl.flock(fd, fcntl.LOCK_UN)

    # Instances inherit one and the same standard output, which flock takes for one holder; record locks tell
    # processes apart.
    def _lock_range(fd: int) -> None:
        fcntl.lockf(fd, fcntl.LOCK_EX)

    def _unlock_range(fd: int) -> None:
        fcntl.lockf(fd, fcntl.LOCK_UN)

    def _sync_directory(path: Path) -> None:
        fd = os.open(path, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
