"""Gathered values: those that work has sent over one item, kept until the item is done.

Beyond a quarter of a megabyte, or 64 values whose bytes are not known, they go to a file.

Nothing of an item goes on before it is done: one that ends its pool worker half-way is run again, and nothing of it is doubled.
Nor does a pool worker ever wait for whoever takes the values: a filter that does may itself wait for the same pool worker.
"""

from __future__ import annotations

import struct
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import IO, Any, Final

from pypes.core.limits import GIB, KIB
from pypes.errors import Reject, Retry
from pypes.placement import pool_frames
from pypes.placement.parcels import Buffer, Spoken
from pypes.placement.speech import Pickled

#: Bytes of one item that are kept in memory, and values where their bytes are not known.
MEMORY_BYTES: Final = 256 * KIB
MEMORY_VALUES: Final = 64
#: Bytes of one item that are kept at all, and values that cannot be written and so stay in memory.
MOST_BYTES: Final = 4 * GIB
MOST_UNWRITTEN: Final = 10_000
#: Wait before an item is run again whose values could not be written to the file.
FULL_DELAY_S: Final = 1.0

_COUNT: Final = struct.Struct("<I")
_PICKLED: Final = Pickled()


class Gathered:
    """Values of one item: added by one thread, then gone through once by another. The file has no name, and goes with the object.

    ``folder`` is where the file is made; empty: where temporary files are. ``understand`` makes a value of its bytes.
    """

    def __init__(self, folder: str, understand: Callable[[Spoken], Any]) -> None:
        self._folder = folder
        self._understand = understand
        self._kept: list[Any] = []
        #: Values that cannot be written; each has an entry without parts in the file.
        self._unwritten: deque[Any] = deque()
        self._bytes = 0
        self._file: IO[bytes] | None = None
        #: The reason why the item fails, whatever becomes of it: its values are not all here.
        self.fault: Exception | None = None

    def add(self, value: Spoken) -> None:
        """Keep a value that came as bytes. Does not raise."""
        self._bytes += value.size
        if self.fault is not None:
            return
        if self._file is None and self._bytes <= MEMORY_BYTES:
            # the memory that it lies in may be that of a whole frame
            self._kept.append(Spoken([bytes(part) for part in value.parts], value.size))
        else:
            self._write(value)

    def add_object(self, value: Any) -> None:
        """Keep a value that was made in this process. One that cannot be put into bytes stays in memory. Does not raise."""
        if self.fault is not None:
            return
        if len(self._kept) < MEMORY_VALUES:
            self._kept.append(value)
            return
        try:
            spoken = _PICKLED.speak(value, [])
        except Exception:  # whatever the value's own code raises, or there is no way to put it into bytes
            spoken = Spoken([], 0)
            self._unwritten.append(value)
            if len(self._unwritten) > MOST_UNWRITTEN:
                reason = f"more than {MOST_UNWRITTEN} values that cannot be written to a file were sent over one item; send less"
                self._fail(Reject(reason, pool_frames.TOO_MUCH))
                return
        self._bytes += spoken.size
        self._write(spoken)

    def _write(self, value: Spoken) -> None:
        if self._bytes > MOST_BYTES:
            reason = f"more than {MOST_BYTES // GIB} GiB were sent over one item; send less, or leave out the pool"
            self._fail(Reject(reason, pool_frames.TOO_MUCH))
            return
        try:
            if self._file is None:
                self._file = _file_in(self._folder)
            sizes = [len(part) for part in value.parts]
            self._file.write(_COUNT.pack(len(sizes)) + struct.pack(f"<{len(sizes)}Q", *sizes))
            self._file.writelines(value.parts)
        except (OSError, MemoryError) as error:
            self._fail(Retry(FULL_DELAY_S, f"what was sent over the item cannot be kept: {error}"))

    def _fail(self, fault: Exception) -> None:
        self.fault = fault
        self.close()

    def __iter__(self) -> Iterator[Any]:
        for value in self._kept:
            yield self._understand(value) if type(value) is Spoken else value
        self._kept = []
        if self._file is not None:
            with self._file as file:
                file.seek(0)
                while head := file.read(_COUNT.size):
                    [count] = _COUNT.unpack(head)
                    if not count:
                        yield self._unwritten.popleft()
                        continue
                    sizes = struct.unpack(f"<{count}Q", file.read(8 * count))
                    parts: list[Buffer] = [file.read(size) for size in sizes]
                    yield self._understand(Spoken(parts, sum(sizes)))

    def close(self) -> None:
        """Drop what is kept."""
        self._kept = []
        self._unwritten.clear()
        if self._file is not None:
            with suppress(OSError):  # what was not written yet
                self._file.close()
            self._file = None

    def __del__(self) -> None:
        self.close()


def _file_in(folder: str) -> IO[bytes]:
    """A file without a name in a folder or, if none can be made there, where temporary files are."""
    with suppress(OSError):
        return tempfile.TemporaryFile(dir=folder or None)
    return tempfile.TemporaryFile()


def understand_object(value: Spoken) -> Any:
    """A value of :meth:`Gathered.add_object`."""
    return _PICKLED.understand(value, [])
