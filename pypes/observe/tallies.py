"""Tallies: the numbers that one process counts, in a mapped file that others read at any time, and when the process is dead.

Nothing is sent and nobody is asked: adding is a store into memory, and the pages of the file outlive a ``kill -9``. The layout,
in the byte order of the machine::

    0     8 s   MAGIC
    8     u64   bytes of names that are whole
    64    f64   the values, MAX_VALUES side by side; each is written in one store, so that no reader sees half of one
    …     names, one after the other: u16 length, u16 number of values, UTF-8 of metric and labels with 0x1F between them

A series takes the values behind those of the series before it. Its name is written first and counts once byte 8 says so: a
process that dies in between leaves no half series. The file is ``PROC.tally`` in the runtime directory. Whoever writes it holds a
lock on it (``flock``), which ends with the process, however it ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import mmap
import os
import struct
import threading
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from pypes.observe.metrics import Metric

log = logging.getLogger(__name__)

MAGIC: Final = b"PYPTALLY"
#: Values of one process: what is beyond is not counted, and the log says so once.
MAX_VALUES: Final = 16384
MAX_NAMES_BYTES: Final = 4 << 20

_NAMES_AT: Final = 1  # in units of 8 bytes
_VALUES_AT: Final = 64
_MAPPED: Final = _VALUES_AT + 8 * MAX_VALUES
_RECORD: Final = struct.Struct("=HH")
_SEPARATOR: Final = "\x1f"
_MAX_NAME: Final = 4096


class Series(NamedTuple):
    """The name of a series: its metric's name and the values of the labels; ``width`` is how many values it has."""

    metric: str
    labels: tuple[str, ...]
    width: int


def _series(metric: Metric, labels: tuple[str, ...]) -> Series:
    assert len(labels) == len(metric.labels), (metric.name, labels)
    # what the file cannot tell apart is one series
    return Series(metric.name, tuple(label.replace(_SEPARATOR, " ") for label in labels), metric.width)


class Counted(Protocol):
    """Series with their values, as they can be read from a living process or a dead one."""

    @property
    def series(self) -> Sequence[Series]:
        """The series known at the last :meth:`read`; they only become more, and their values lie side by side in this order."""
        ...

    def read(self) -> array[float]:
        """A copy of all values, those of :attr:`series`, which is brought up to date before."""
        ...


class Tally:
    """One value of a process. One thread changes it, which costs as much as a store into a list."""

    __slots__ = ("_at", "_values")

    def __init__(self, values: memoryview[float], at: int) -> None:
        self._values = values
        self._at = at

    def add(self, n: float = 1) -> None:
        """Add to a counter, 0 or more; or to a gauge."""
        self._values[self._at] += n

    def set(self, value: float) -> None:
        """Set a gauge."""
        self._values[self._at] = value

    @property
    def value(self) -> float:
        """The value as it is now."""
        return float(self._values[self._at])


class Histogram:
    """The buckets of a histogram and the sum of what was observed. One thread changes it."""

    __slots__ = ("_at", "_bounds", "_sum_at", "_values")

    def __init__(self, values: memoryview[float], at: int, bounds: tuple[float, ...]) -> None:
        self._values = values
        self._at = at
        self._bounds = bounds
        self._sum_at = at + len(bounds) + 1

    def observe(self, value: float, times: int = 1) -> None:
        """Count a value in its bucket, which is the first whose bound is not below it, as many ``times`` as it was seen."""
        self._values[self._at + bisect_left(self._bounds, value)] += times
        self._values[self._sum_at] += value * times


class Timed:
    """A counter and a histogram that change together. PERF: one call instead of two."""

    __slots__ = ("_at", "_bounds", "_count_at", "_counts", "_sum_at", "_values")

    def __init__(self, counter: Tally, histogram: Histogram) -> None:
        self._counts, self._count_at = counter._values, counter._at
        self._values, self._at = histogram._values, histogram._at
        self._bounds, self._sum_at = histogram._bounds, histogram._sum_at

    def observe(self, seconds: float) -> None:
        """Count one, which took so long."""
        self._counts[self._count_at] += 1.0
        values = self._values
        values[self._at + bisect_left(self._bounds, seconds)] += 1.0
        values[self._sum_at] += seconds


class Row:
    """Counters whose values lie side by side and are set together. PERF: a fraction of what it costs to set each."""

    __slots__ = ("_at", "_bytes", "_end", "_format", "_size")

    def __init__(self, mapped: mmap.mmap, at: int, size: int) -> None:
        self._bytes = mapped
        self._at = _VALUES_AT + 8 * at
        self._size = size
        self._end = self._at + 8 * size
        self._format = struct.Struct(f"{size}d")

    def set(self, *values: float) -> None:
        """Set the counters, in their order; of more values than there is room for, the first."""
        if len(values) > self._size:
            values = values[: self._size]
        # packed elsewhere and then copied: pack_into() writes zeros first, which a reader would see, and a killed process leave
        self._bytes[self._at : self._end] = self._format.pack(*values)


class Tallies:
    """The tallies of this process. ``path`` is a file made by :meth:`create`; without one only this process can read it.

    Any thread may ask for a tally; the same one is given for the same metric and labels. Never raises once it is open: where
    there is no room for another series, it is counted where nobody reads it.
    """

    def __init__(self, path: str = "") -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC) if path else -1
        if path:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._map = mmap.mmap(self._fd, _MAPPED)
        self._head = memoryview(self._map)[:_VALUES_AT].cast("Q")
        self._values = memoryview(self._map)[_VALUES_AT:].cast("d")
        self._lock = threading.Lock()
        self._found: dict[tuple[str, tuple[str, ...]], Tally | Histogram] = {}
        self._series: list[Series] = []
        self._used = 0
        self._is_full = False

    @staticmethod
    def create(path: str) -> None:
        """Make an empty file, in place of one that is there. Raises ``OSError``."""
        data = bytearray(_MAPPED)  # all of it: a hole that the disk has no room for would end its process
        data[: len(MAGIC)] = MAGIC
        Path(path).write_bytes(data)

    @classmethod
    def own(cls, path: str) -> Tallies:
        """Make a file and open it: whoever finds it under this name finds it locked, or its process gone. Raises ``OSError``."""
        new = f"{path}.new"
        cls.create(new)
        tallies = cls(new)
        Path(new).rename(path)
        return tallies

    # -- the writer's part ------------------------------------------------------------------------------

    def counter(self, metric: Metric, *labels: str) -> Tally:
        """The tally of a counter; ``labels`` are values in the order of the metric's labels."""
        assert metric.kind == "counter", metric.name
        return self._one(metric, labels)

    def gauge(self, metric: Metric, *labels: str) -> Tally:
        """The tally of a gauge, which is gone with its process; ``labels`` as for :meth:`counter`."""
        assert metric.kind == "gauge", metric.name
        return self._one(metric, labels)

    def histogram(self, metric: Metric, *labels: str) -> Histogram:
        """The tally of a histogram; ``labels`` as for :meth:`counter`."""
        assert metric.kind == "histogram", metric.name
        found = self._find(metric, labels)
        assert isinstance(found, Histogram)
        return found

    def row(self, counters: Iterable[tuple[Metric, tuple[str, ...]]]) -> Row:
        """New tallies of counters that are set together, by metric and labels; nobody has asked for these before."""
        with self._lock:
            at = self._used
            for metric, labels in counters:
                assert metric.kind == "counter", metric.name
                if not self._append(_series(metric, labels)):
                    break
            return Row(self._map, at, self._used - at)

    def _one(self, metric: Metric, labels: tuple[str, ...]) -> Tally:
        found = self._find(metric, labels)
        assert isinstance(found, Tally)
        return found

    def _find(self, metric: Metric, labels: tuple[str, ...]) -> Tally | Histogram:
        found = self._found.get((metric.name, labels))
        if found is None:
            with self._lock:
                found = self._found.get((metric.name, labels)) or self._begin(metric, labels)
        return found

    def _begin(self, metric: Metric, labels: tuple[str, ...]) -> Tally | Histogram:
        values: memoryview[float]
        values, at = self._values, self._used
        if not self._append(_series(metric, labels)):
            values, at = memoryview(bytearray(8 * metric.width)).cast("d"), 0
        found = Histogram(values, at, metric.buckets) if metric.kind == "histogram" else Tally(values, at)
        if values is self._values or len(self._found) < 2 * MAX_VALUES:
            self._found[metric.name, labels] = found
        return found

    def _append(self, series: Series) -> bool:
        name = _SEPARATOR.join((series.metric, *series.labels)).encode(errors="replace")
        record = _RECORD.pack(min(len(name), _MAX_NAME), series.width) + name
        end = self._head[_NAMES_AT] + len(record)
        try:
            if len(name) > _MAX_NAME or self._used + series.width > MAX_VALUES or end > MAX_NAMES_BYTES:
                raise OSError(f"there is no room for more than {MAX_VALUES} values")
            if self._fd >= 0 and os.pwrite(self._fd, record, _MAPPED + self._head[_NAMES_AT]) < len(record):
                raise OSError("the disk is full")
        except OSError as error:
            if not self._is_full:
                self._is_full = True
                log.warning("series of %s and others are not counted in this process: %s", series.metric, error)
            return False
        self._series.append(series)
        self._used += series.width
        self._head[_NAMES_AT] = end
        return True

    def close(self) -> None:
        """Let go of the file, which stays: it is as if this process had ended. Nobody reads what is counted from then on."""
        if self._fd >= 0:
            fcntl.flock(self._fd, fcntl.LOCK_UN)  # closing does not do it: the mapping has a descriptor of its own
            os.close(self._fd)
            self._fd = -1

    # -- the reader's part, in the process itself ---------------------------------------------------------

    @property
    def series(self) -> Sequence[Series]:
        return self._series

    def read(self) -> array[float]:
        return array("d", self._values[: self._used])


class TallyFile:
    """The file of another process, living or dead, open for reading.

    Raises ``OSError`` when it cannot be opened, ``ValueError`` if it is no such file.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._map = mmap.mmap(self._fd, _MAPPED, access=mmap.ACCESS_READ)
            if self._map[: len(MAGIC)] != MAGIC:
                raise ValueError(f"{path} holds no tallies")
        except BaseException:
            os.close(self._fd)
            raise
        self._head = memoryview(self._map)[:_VALUES_AT].cast("Q")
        self._series: list[Series] = []
        self._names_read = 0
        self._used = 0

    @property
    def series(self) -> Sequence[Series]:
        return self._series

    def read(self) -> array[float]:
        self._read_names()
        values = array("d")
        values.frombytes(self._map[_VALUES_AT : _VALUES_AT + 8 * self._used])
        return values

    def _read_names(self) -> None:
        end = min(self._head[_NAMES_AT], MAX_NAMES_BYTES)
        if end <= self._names_read:
            return
        data = os.pread(self._fd, end - self._names_read, _MAPPED + self._names_read)
        at = 0
        while at + _RECORD.size <= len(data):
            length, width = _RECORD.unpack_from(data, at)
            name = data[at + _RECORD.size : at + _RECORD.size + length]
            if len(name) < length or self._used + width > MAX_VALUES:
                break
            metric, *labels = name.decode(errors="replace").split(_SEPARATOR)
            self._series.append(Series(metric, tuple(labels), width))
            self._used += width
            at += _RECORD.size + length
        self._names_read += at

    def is_left(self) -> bool:
        """True if the process that wrote it has ended, so that its values stay as they are."""
        try:
            fcntl.flock(self._fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        fcntl.flock(self._fd, fcntl.LOCK_UN)
        return True

    def close(self) -> None:
        """Let go of the file, which stays."""
        self._head.release()
        self._map.close()
        os.close(self._fd)

    def remove(self) -> None:
        """Let go of the file and remove it."""
        self.close()
        with contextlib.suppress(FileNotFoundError):
            Path(self.path).unlink()
