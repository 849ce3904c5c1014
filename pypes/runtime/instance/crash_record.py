"""The crash record of an instance: what it is doing, in a mapped file that is still there when the process is not.

The instance writes, the supervisor reads it once the process is reaped, and while it runs to see that its interpreter still
moves. Little-endian, :data:`SIZE` bytes; texts are UTF-8, padded with zeros and cut off where there is no room::

    0    u64    ticks: one more with every round of the watchdog's thread
    8    f64    seconds after which a thread that does not tick is one that cannot, whatever runs
    16   f64    the same while the turn recorded below runs; 0 if none is
    24   u8     activity: NOTHING, TURN or DECODING
    32   i64    document (ordinal within the delivery that runs alone), -1 if none is recorded
    40   256 s  filter whose turn it is
    296  256 s  filter that was at it when the process was ended on purpose
    552  256 s  why the process was ended on purpose (``not done after 5 s``); written last

Turns are recorded only while a delivery runs alone; the watchdog's parts always. The file is ``i-N.note`` in the runtime
directory, beside the socket of instance N.
"""

from __future__ import annotations

import mmap
import signal
import struct
from pathlib import Path
from typing import NamedTuple

from pypes.ingest.outcome import ExitReason

NOTHING, TURN, DECODING = range(3)

_TICKS = struct.Struct("<Qd")
_TURN = struct.Struct("<dB7xq256s")
_TEXT = struct.Struct("<256s")
_TURN_AT, _BY_AT, _REASON_AT = 16, 296, 552
SIZE = 1024

#: Signals by which a process ends itself: what it ran is to blame. Any other one was sent by somebody else.
_OWN_SIGNALS = frozenset(
    getattr(signal, name)
    for name in ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGILL", "SIGFPE", "SIGSYS", "SIGTRAP", "SIGXCPU", "SIGXFSZ")
    if hasattr(signal, name)
)


class Recorded(NamedTuple):
    """Contents of a crash record: ``filter`` and ``document`` of the turn, ``ended_by`` the filter behind ``reason``."""

    ticks: int
    limit_s: float
    activity: int
    document: int
    filter: str
    ended_by: str
    reason: str


class CrashRecord:
    """An open crash record; ``path`` is a file made by :meth:`create`, without one nobody else can read it. Never blocks."""

    def __init__(self, path: str = "") -> None:
        if path:
            with Path(path).open("r+b") as file:
                self._map = mmap.mmap(file.fileno(), SIZE)
        else:
            self._map = mmap.mmap(-1, SIZE)
            _TURN.pack_into(self._map, _TURN_AT, 0.0, NOTHING, -1, b"")
        self._ticks = 0
        self._names: dict[str, bytes] = {}

    @staticmethod
    def create(path: str) -> None:
        """Make an empty crash record, in place of one that is there. Raises ``OSError``."""
        data = bytearray(SIZE)
        _TURN.pack_into(data, _TURN_AT, 0.0, NOTHING, -1, b"")
        Path(path).write_bytes(data)

    # -- the instance's part ----------------------------------------------------------------------------

    def tick(self, limit_s: float) -> None:
        """The interpreter moves; if it does not for ``limit_s``, it cannot."""
        self._ticks += 1
        _TICKS.pack_into(self._map, 0, self._ticks, limit_s)

    def turn(self, filter: str, document: int, limit_s: float) -> None:
        """A filter begins to work on a document of the delivery that runs alone."""
        name = self._names.get(filter)
        if name is None:
            name = self._names[filter] = filter.encode()
        _TURN.pack_into(self._map, _TURN_AT, limit_s, TURN, document, name)

    def decoding(self) -> None:
        """The body of the delivery that runs alone is being read: no filter is at work."""
        _TURN.pack_into(self._map, _TURN_AT, 0.0, DECODING, -1, b"")

    def rest(self) -> None:
        """No delivery runs alone."""
        _TURN.pack_into(self._map, _TURN_AT, 0.0, NOTHING, -1, b"")

    # -- whoever ends the process -----------------------------------------------------------------------

    def end(self, reason: str, filter: str) -> None:
        """Write down why the process is ended; the first reason stays."""
        if not self._map[_REASON_AT]:
            _TEXT.pack_into(self._map, _BY_AT, filter.encode())
            _TEXT.pack_into(self._map, _REASON_AT, reason.encode())

    # -- the reader's part ------------------------------------------------------------------------------

    def read(self) -> Recorded:
        ticks, limit_s = _TICKS.unpack_from(self._map, 0)
        turn_limit_s, activity, document, filter = _TURN.unpack_from(self._map, _TURN_AT)
        (ended_by,) = _TEXT.unpack_from(self._map, _BY_AT)
        (reason,) = _TEXT.unpack_from(self._map, _REASON_AT)
        return Recorded(ticks, turn_limit_s or limit_s, activity, document, _text(filter), _text(ended_by), _text(reason))

    def close(self) -> None:
        self._map.close()


def _text(padded: bytes) -> str:
    return padded.rstrip(b"\0").decode(errors="ignore")


def exit_reason_of(exitcode: int, recorded: Recorded, *, was_stopping: bool = False) -> ExitReason:
    """The cause of a process's end, from its exit code (negative: the signal) and its crash record.

    SIGKILL without a reason in the record is from outside, and so is any signal that a process does not get by its own doing.
    """
    if exitcode == 0 and was_stopping:
        return ExitReason("stopped", is_outside=True)
    if recorded.reason:
        # a call in a thread may outlast the turns of others: who recorded the reason knew better than the last turn
        return ExitReason(recorded.reason, recorded.ended_by or recorded.filter, recorded.document)
    if exitcode < 0:
        is_outside = -exitcode not in _OWN_SIGNALS
        cause = f"killed by {_signal_name(-exitcode)}"
    else:
        is_outside = False
        cause = f"exited with status {exitcode}"
    return ExitReason(cause, recorded.filter, recorded.document, is_outside)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
