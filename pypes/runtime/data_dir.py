"""The data directory of a node, for one process at a time."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from pypes.errors import InvalidConfig

#: The folder in a data directory into which a backup is restored; while it is there, the directory is not whole.
RESTORING = "restoring"


class DataDir:
    """The data directory, locked: a second server on it is refused. The lock ends with the process, however it ends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._fd = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise InvalidConfig(f"the data directory cannot be used: {error}", code="config.data", where=str(path)) from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._fd, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(self._fd)
            raise InvalidConfig(
                (
                    f"another server (pid {holder}) works on this data directory; stop that server, or give this one a "
                    "directory of its own with --data"
                ),
                code="config.data_locked",
                where=str(path),
            ) from None
        if (path / RESTORING).exists():
            os.close(self._fd)
            raise InvalidConfig(
                "a backup was being restored into this data directory, and that was not finished; empty it, and restore again",
                code="config.data_restoring",
                where=str(path),
            )
        #: True if the last server here did not end in an orderly way.
        self.was_killed = bool(os.pread(self._fd, 1, 0))
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let go of the directory, in an orderly way."""
        os.ftruncate(self._fd, 0)
        os.close(self._fd)
