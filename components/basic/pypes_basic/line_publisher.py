"""LinePublisher: publish lines to a file that many instances may share."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from pypes import Publisher, Reject, Retry, Unreachable
from pypes.errors import ComponentError
from pypes_basic.line_file import LineFile, StandardOutput
from pypes_basic.timing import RETRY_S

SYNC_INTERVAL_S: Final = 1.0


class LinePublisher(Publisher):
    """Appends the ``lines`` of a turn when it is committed. A subclass calls :meth:`open` in its ``setup``."""

    def open(self, path: str, max_bytes: int, header: bytes = b"") -> None:
        """Open a file, from the data directory if relative, or standard output (``-``).

        Every file begins with ``header``. Raises ``ComponentError`` for a file of something else.
        """
        self.lines: list[bytes] = []
        self._path = path
        self._synced_s = time.monotonic()
        self._file: LineFile | StandardOutput
        if path == "-":
            self._file = StandardOutput()
        else:
            self._file = LineFile(Path(self.data_dir, path), max_bytes, header, self.log)
            self._file.check()

    def commit(self) -> None:
        if not self.lines:
            return
        data, self.lines = b"".join(self.lines), []
        try:
            self._file.append(data, sync=self._is_sync_due())
        except ComponentError as error:  # a file of somebody else stands there now: until it is moved away
            raise Unreachable(RETRY_S, error.message) from error
        except BrokenPipeError as error:
            raise Reject("nobody reads standard output any more", "lines.closed") from error
        except OSError as error:  # a full disk may have room again
            raise Retry(RETRY_S, f"{self._path}: {error}") from error

    def teardown(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()

    def _is_sync_due(self) -> bool:
        if self.durability == "interval":
            now = time.monotonic()
            if now - self._synced_s < SYNC_INTERVAL_S:
                return False
            self._synced_s = now
            return True
        return self.durability == "always"
