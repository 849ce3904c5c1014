"""The node's own time: seconds that only move as time passes, whatever is done to the wall clock, restarts included.

Keys of commits (and so the ids of receipts), ages and retention go by it. Within one run of the machine it is ``base`` plus
:func:`~pypes.core.clock.elapsed`, with the same ``base`` in every process and after every restart. Only when the machine itself
has started anew does the wall clock tell how much time has passed, and never does it go back.

The file ``clock`` in the data directory holds it: one page that the supervisor writes, and workers and instances map. In it is
also how far the wall clock was ahead, and when that changed (:mod:`pypes.core.offsets`): so times can be shown as they were, or
as they should have been.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from pathlib import Path
from zlib import crc32

import msgspec

from pypes.core import clock
from pypes.core.offsets import JUMP_S, STEADY_S, Offsets, Row, jumped, started

#: Name of the file in the data directory.
FILE = "clock"

_PAGE_BYTES = 16384
_HEAD = struct.Struct("<QII")  # number of the change, length and checksum of the state behind it
_READINGS = 5
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Clock:
    """A clock for use without a node: ``now`` is both its time and the shown time.

    :class:`NodeTime` is that of a node.
    """

    def __init__(self, now: Callable[[], float] = clock.wall) -> None:
        #: The time, in seconds.
        self.now = now

    def fresh(self) -> float:
        """As ``now``, with what other processes changed."""
        return self.now()

    def shown(self, at: float) -> float:
        """The time of day, in seconds since the epoch, at a time of this clock."""
        return at

    def first(self, since: float) -> float:
        """The time of this clock before which everything is shown as older than the time of day ``since``."""
        return since

    def ago(self, age_s: float) -> float:
        """The time of this clock ``age_s`` seconds ago."""
        return self.now() - age_s

    def is_steady(self) -> bool:
        """False while it is too early to forget anything for its age."""
        return True

    def reach(self, at: float) -> None:
        """Go on from ``at``, if that lies ahead: so far somebody has counted already."""


class _State(msgspec.Struct, frozen=True):
    """Contents of the page. ``boot`` names the run of the machine in which ``base`` is valid.

    ``beat`` is the elapsed time of that run when the page was written last, ``moved`` that of the last start or jump.
    """

    boot: str
    base: float
    beat: float
    moved: float
    rows: tuple[Row, ...]
    form: int = 1


class Damaged(Exception):
    """The page cannot be read."""


class NodeTime(Clock):
    """The time of one node; made with :meth:`start` by its supervisor, with :meth:`map` by its other processes."""

    def __init__(self, path: Path, wall: Callable[[], float], elapsed: Callable[[], float], boot: str) -> None:
        super().__init__(self._now)
        self._path = path
        self._wall = wall
        self._elapsed = elapsed
        self._boot = boot
        self._change = 0
        self._page: mmap.mmap
        self._inode = 0
        self._state: _State
        self._base = 0.0
        self._offsets: Offsets

    @classmethod
    def start(
        cls,
        path: Path,
        wall: Callable[[], float] = clock.wall,
        elapsed: Callable[[], float] = clock.elapsed,
        boot: str | None = None,
    ) -> tuple[NodeTime, str]:
        """The node's time at the start of its supervisor, from the file at ``path``; a missing or damaged file is written anew.

        Returns also what is worth a line in the log, or an empty text. Raises ``OSError``.
        """
        self = cls(path, wall, elapsed, _boot_id() if boot is None else boot)
        message = ""
        with _locked(path) as fd:
            try:
                found = _read(os.pread(fd, _PAGE_BYTES, 0))
            except Damaged as damaged:
                found = None
                if os.fstat(fd).st_size:
                    message = f"the file of the node's clock is damaged; a new one is written: {damaged}"
            state = self._begun(found)
            self._write(fd, state)
        jump_s = state.rows[-1].offset - found.rows[-1].offset if found is not None else 0.0
        if abs(jump_s) > JUMP_S:
            message = f"the wall clock was set by {jump_s:+.0f} seconds while the node was down; ages follow the node's own time"
        return self, message

    @classmethod
    def map(
        cls, path: Path, wall: Callable[[], float] = clock.wall, elapsed: Callable[[], float] = clock.elapsed
    ) -> NodeTime | None:
        """The time of the node that keeps it in this file; ``None`` if no node does."""
        try:
            with path.open("rb") as file:
                page = mmap.mmap(file.fileno(), _PAGE_BYTES, mmap.MAP_SHARED, mmap.PROT_READ)
                inode = os.fstat(file.fileno()).st_ino
        except (OSError, ValueError):  # ValueError: it is shorter
            return None
        self = cls(path, wall, elapsed, _boot_id())
        self._page, self._inode = page, inode
        self._refresh()
        return self if self._change else None

    # -- reading -----------------------------------------------------------------------------------------

    def _now(self) -> float:
        return self._base + self._elapsed()

    def fresh(self) -> float:
        self._refresh()
        return self._base + self._elapsed()

    def shown(self, at: float) -> float:
        self._refresh()
        return self._offsets.shown(at)

    def first(self, since: float) -> float:
        self._refresh()
        return self._offsets.first(since)

    def ago(self, age_s: float) -> float:
        self._refresh()
        return self._offsets.ago(self._now(), age_s)

    def is_steady(self) -> bool:
        """False within :data:`STEADY_S` of a start of the node or a jump of the wall clock."""
        self._refresh()
        return self._elapsed() - self._state.moved >= STEADY_S

    def _refresh(self) -> None:
        if _HEAD.unpack_from(self._page)[0] == self._change:
            return
        data = self._page[:]
        try:
            state = _read(data)
        except Damaged:
            return  # it is being written: the next look sees it whole
        self._take(_HEAD.unpack_from(data)[0], state)

    def _take(self, change: int, state: _State) -> None:
        self._base, self._state, self._offsets = state.base, state, Offsets(state.rows)
        self._change = change

    # -- changing ----------------------------------------------------------------------------------------

    def look(self) -> float:
        """By how many seconds the wall clock has jumped since the last look; 0 if it has not. Raises ``OSError``."""
        self._refresh()
        offset = self._offset()
        jump_s = offset - self._state.rows[-1].offset
        if abs(jump_s) <= JUMP_S:
            return 0.0
        with _locked(self._path) as fd:
            state, moved = self._current(fd), self._elapsed()
            rows = jumped(state.rows, state.base + moved, offset)
            self._write(fd, msgspec.structs.replace(state, rows=rows, beat=moved, moved=moved))
        return jump_s

    def beat(self) -> None:
        """Note down how far the time has come, for when the machine starts anew. Raises ``OSError``."""
        with _locked(self._path) as fd:
            self._write(fd, msgspec.structs.replace(self._current(fd), beat=self._elapsed()), is_durable=False)

    def is_missing(self) -> bool:
        """True if somebody has removed the file: a process that starts would not find it."""
        return not self._path.exists()

    def reach(self, at: float) -> None:
        if at <= self.fresh() + JUMP_S:
            return
        with _locked(self._path) as fd:
            state, moved = self._current(fd), self._elapsed()
            ahead_s = at - (state.base + moved)
            if ahead_s > 0:
                # the row says how it would have gone on, the next how far ahead the clock is: the difference never passed
                rows = started(state.rows, at, ahead_s)
                base = at - moved
                rows = jumped(rows, at, self._offset(base))
                self._write(fd, msgspec.structs.replace(state, base=base, rows=rows, beat=moved, moved=moved))

    def _current(self, fd: int) -> _State:
        """Contents of the file, which another process may have changed; the last known contents if the file is gone."""
        try:
            return _read(os.pread(fd, _PAGE_BYTES, 0))
        except Damaged:
            return self._state

    def _begun(self, found: _State | None) -> _State:
        """The state with which the node starts."""
        now = self._elapsed()
        if found is None:
            at = self._wall()
            return _State(self._boot, at - now, now, now, (Row(at, 0.0),))
        base, rows = found.base, found.rows
        if not self._boot or found.boot != self._boot or now < found.beat:
            known = found.base + found.beat
            at = max(known, self._wall() - rows[-1].offset)
            base = at - now
            if at > known:
                rows = started(rows, at, at - known)
        offset = self._offset(base)
        if abs(offset - rows[-1].offset) > JUMP_S:
            rows = jumped(rows, base + now, offset)
        return _State(self._boot, base, now, now, rows)

    def _offset(self, base: float | None = None) -> float:
        """Lead of the wall clock, from the two readings that were closest together."""
        closest_s, offset = inf, 0.0
        for _ in range(_READINGS):
            before = self._elapsed()
            wall = self._wall()
            between_s = self._elapsed() - before
            if between_s < closest_s:
                closest_s, offset = between_s, wall - before
        return offset - (self._base if base is None else base)

    def _write(self, fd: int, state: _State, *, is_durable: bool = True) -> None:
        data = msgspec.msgpack.encode(state)
        change = max(self._change, _HEAD.unpack(os.pread(fd, _HEAD.size, 0).ljust(_HEAD.size, b"\0"))[0]) + 1
        page = _HEAD.pack(change, len(data), crc32(data)) + data
        os.pwrite(fd, page.ljust(_PAGE_BYTES, b"\0"), 0)
        if is_durable:
            os.fsync(fd)
        inode = os.fstat(fd).st_ino
        if inode != self._inode:  # it is new, or somebody had removed it
            self._inode, self._page = inode, mmap.mmap(fd, _PAGE_BYTES, mmap.MAP_SHARED, mmap.PROT_READ)
        self._take(change, state)


def page_of(path: Path) -> bytes:
    """The contents of the file of a node's time, which the node may be writing. Raises ``OSError``."""
    with _locked(path) as fd:
        return os.pread(fd, _PAGE_BYTES, 0)


def node_clock(data_dir: Path) -> Clock:
    """The clock of the node that works on a data directory; the wall clock if no node ever did."""
    return NodeTime.map(data_dir / FILE) or Clock()


def _read(data: bytes) -> _State:
    """Raises :class:`Damaged`."""
    if len(data) < _HEAD.size:
        raise Damaged("it is too short")
    _, length, checksum = _HEAD.unpack_from(data)
    content = data[_HEAD.size : _HEAD.size + length]
    if crc32(content) != checksum or not content:
        raise Damaged("its checksum does not match")
    try:
        state = msgspec.msgpack.decode(content, type=_State)
    except ValueError as error:
        raise Damaged(str(error)) from error
    if not state.rows:
        raise Damaged("it has no rows")
    return state


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """A descriptor of the file, locked for one change."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield fd
    finally:
        fcntl.flock(fd, fcntl.LOCK_UN)  # a map keeps a copy of the descriptor, and the lock with it
        os.close(fd)


def _boot_id() -> str:
    """Names the run of the machine; empty where the system does not tell."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""
