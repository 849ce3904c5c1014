"""LineFile: a file of lines that many processes append to, rotated by size, whole after any crash."""

from __future__ import annotations

import errno
import logging
import os
import stat
import sys
from pathlib import Path

from pypes.errors import ComponentError
from pypes_basic.ownership import last_break, mark, marked_from, reads_as_json_lines, unmark

if sys.platform != "win32":
    import fcntl

_NO_WAIT = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)

#: The log of a filter, or of a module.
Log = logging.Logger | logging.LoggerAdapter[logging.Logger]


class LineFile:
    """Appends whole lines; a lock on the file itself keeps other processes and instances out meanwhile.

    A full file is renamed to ``name.N.suffix`` with the next free N. Blocks while another process writes.
    Raises ``OSError``; then nothing of what was to be appended is in the file.

    Only what was written here is ever cut off: a file is marked with the place from which on it is ours (see
    :mod:`pypes_basic.ownership`). A file that is neither empty, nor marked, nor JSON Lines is refused with ``ComponentError``.
    With a ``header``, a line, each file begins with it, and one that does not is refused, whoever has written it.
    """

    def __init__(self, path: Path, max_bytes: int, header: bytes = b"", log: Log | None = None) -> None:
        self.path = path
        self.max_bytes = max_bytes
        self.header = header
        self._log = log or logging.getLogger(__name__)
        self._fd = -1
        #: The start of our part of the open file, ``None`` if nobody knows: then nothing is cut off. -1: not looked up yet.
        self._ours_from: int | None = -1
        #: The length of the open file when it was left last.
        self._left_bytes = 0
        self._is_device = False

    def check(self) -> None:
        """Raise ``ComponentError`` if the file is there and must not be written to. Changes nothing."""
        if self.path.exists():
            self._open()
            _lock(self._fd)
            try:
                self._own()
            finally:
                _unlock(self._fd)
                self.close()

    def append(self, data: bytes, *, sync: bool) -> None:
        """Append ``data``, which ends with a newline; with ``sync`` it is on stable storage when this returns."""
        while True:
            size, gap = self._acquire(len(data))
            gap = gap if size else self.header
            try:
                self._write(gap + data, size, sync=sync)
                # renamed meanwhile, it is where others look for it; removed, it is nowhere
                if self._is_device or os.fstat(self._fd).st_nlink:
                    self._left_bytes = size + len(gap) + len(data)
                    return
            finally:
                _unlock(self._fd)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _write(self, data: bytes, size: int, *, sync: bool) -> None:
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(self._fd, view) :]
            if sync and not self._is_device:
                os.fsync(self._fd)
                if not size:
                    _sync_directory(self.path.parent)
        except OSError:
            if not self._is_device:
                os.ftruncate(self._fd, size)
            raise

    def _acquire(self, needed_bytes: int) -> tuple[int, bytes]:
        """Lock the file that bears the name *now* (it may be rotated away while we wait).

        Returns its size in bytes, and what must come between what is there and what is new.
        """
        while True:
            if self._fd < 0:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._open(os.O_CREAT)
            _lock(self._fd)
            try:
                if self._is_device:
                    return 0, b""
                if self._is_current():
                    size, gap = self._repair()
                    if not (size and self.max_bytes and size + needed_bytes > self.max_bytes):
                        return size, gap
                    self._rotate()
            except (OSError, ComponentError):
                _unlock(self._fd)
                raise
            self.close()

    def _open(self, flags: int = 0) -> None:
        # without waiting for the other end, should it be a pipe
        self._fd = os.open(self.path, os.O_RDWR | os.O_APPEND | _NO_WAIT | flags, 0o644)
        kind = os.fstat(self._fd).st_mode
        self._is_device = stat.S_ISCHR(kind)
        self._ours_from, self._left_bytes = -1, 0
        if not (self._is_device or stat.S_ISREG(kind)):
            self.close()
            raise ComponentError(
                f"{self.path} is no file that can be appended to; name a file, or - for standard output", code="lines.foreign"
            )

    def _is_current(self) -> bool:
        ours = os.fstat(self._fd)
        try:
            named = self.path.stat()
        except FileNotFoundError:
            named = None
        if named is None or (named.st_ino, named.st_dev) != (ours.st_ino, ours.st_dev):
            if self._left_bytes:
                is_kept = ours.st_nlink > 0
                done = "was renamed or replaced" if is_kept else "was removed with what was in it"
                # where files are renamed when they are full, another instance has just done so
                level = logging.INFO if is_kept and self.max_bytes else logging.WARNING
                self._log.log(level, "a file of lines is another one now", extra={"path": str(self.path), "reason": f"it {done}"})
            return False
        if ours.st_size < self._left_bytes:
            self._log.warning(
                "a file of lines was cut by somebody else",
                extra={"path": str(self.path), "bytes": ours.st_size, "bytes_before": self._left_bytes},
            )
            # whose it is now, its content says and not its mark
            unmark(self._fd)
            self._ours_from, self._left_bytes = -1, 0
        return True

    def _own(self) -> int:
        """Find out, once for an open file, where our part of it begins; returns its size. Raises ``ComponentError``."""
        size = os.fstat(self._fd).st_size
        if self._ours_from != -1:
            return size
        ours_from = marked_from(self._fd)
        if not size:
            ours_from = 0
        elif ours_from is not None and ours_from > size:
            ours_from = None  # others have cut it, and written since
        if size and self.header:
            self._check_header(size, is_ours=ours_from is not None)
        elif ours_from is None and not reads_as_json_lines(self._fd, size):
            raise ComponentError(
                f"{self.path} holds something else than lines of JSON, and was not written by this component; "
                "name another file, or move this one away",
                code="lines.foreign",
            )
        self._ours_from = ours_from
        return size

    def _check_header(self, size: int, *, is_ours: bool) -> None:
        begin = os.pread(self._fd, len(self.header), 0)
        is_torn = is_ours and size < len(self.header) and self.header.startswith(begin)
        if begin == self.header or is_torn:
            return
        found = begin.partition(b"\n")[0][:200].decode("utf-8", "replace")
        raise ComponentError(
            f"{self.path} does not begin with {self.header.decode().rstrip()!r}, but with {found!r}; "
            "name another file, or move this one away",
            code="lines.foreign",
        )

    def _repair(self) -> tuple[int, bytes]:
        """See to it that the file ends with a line break; returns its size and what must be written before the next line.

        A last line that a crash tore was never acknowledged: it is cut off if it is ours, else it gets its line break.
        """
        is_new = self._ours_from == -1
        size = self._own()
        if is_new:
            if self._ours_from is None:
                self._log.info("lines are appended to a file of others", extra={"path": str(self.path)})
                if mark(self._fd, size):
                    self._ours_from = size
            elif not size:
                mark(self._fd, 0)
        end = last_break(self._fd, size)
        if end == size:
            return size, b""
        if self._ours_from is None or end < self._ours_from:
            return size, b"\n"
        self._log.warning("a torn line was cut off", extra={"path": str(self.path), "bytes": size - end})
        os.ftruncate(self._fd, end)
        return end, b""

    def _rotate(self) -> None:
        """Give the full file the next free number. Its lock goes with it, so only one process comes here."""
        number = 1
        while (target := self.path.with_name(f"{self.path.stem}.{number}{self.path.suffix}")).exists():
            number += 1
        os.fsync(self._fd)
        self.path.rename(target)
        _sync_directory(self.path.parent)


class StandardOutput:
    """The same for standard output: whole lines, one process at a time.

    Once nobody reads it any more, nobody ever will: then, and if there is none, :meth:`append` raises ``BrokenPipeError``.
    """

    def __init__(self) -> None:
        self._is_open = sys.stdout is not None

    def append(self, data: bytes, *, sync: bool) -> None:
        del sync  # what reads the other end decides how durable it is
        if not self._is_open:
            raise BrokenPipeError(errno.EPIPE, "standard output is closed")
        try:
            self._write(data)
        except BrokenPipeError:
            self._is_open = False
            # what its buffer holds has to go somewhere when the process ends
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, sys.stdout.fileno())
            os.close(null)
            raise

    def _write(self, data: bytes) -> None:
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
        if self._is_open:
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
