"""Folding: log lines that are alike become one with a count, so that a million documents that fail alike do not fill the log.

The first line of a kind is given at once. Those that follow within an interval are counted, and when it is over one line tells
of them: the first of them, with their ``count``. Each interval in which there were some is followed by one of twice the length,
up to :data:`MOST_S`; one without any ends it, and the next line is a first one again. Lines that differ in anything that could
tell faults apart are never folded (:func:`kind_of`).
"""

from __future__ import annotations

import hashlib
import logging
import math
import time
from collections.abc import Callable, Hashable
from typing import Any, Final

from pypes.observe.log_line import COMPONENTS, STANDARD, Line, event_of, time_text

#: Seconds of the first interval, and of the longest.
FIRST_S, MOST_S = 1.0, 60.0

#: Kinds that are remembered; lines of further ones are given as they come.
MAX_KINDS: Final = 1000

#: Loggers of Pypes itself, but for those of components.
OWN: Final = "pypes."

#: Receipts that a line names at most.
MAX_RECEIPTS: Final = 10

#: Longer texts are remembered by their digests.
_LONG_CHARS: Final = 200

#: Values that differ from document to document, and make lines no less alike. Of an ``error``, the name before the colon counts.
VARYING: Final = frozenset(
    {
        *("receipt", "id", "index", "file", "route", "packet_id", "packet_filename"),
        *("failed", "dead_letters", "attempts", "error", "exception", "traceback"),
    }
)


def kind_of(record: logging.LogRecord) -> Hashable | None:
    """Equal for lines that are alike: by logger, level, event, kind and place of the exception, and what was given with it.

    Of lines of components, only graph, filter and code of that count; otherwise all but :data:`VARYING`. ``None``: like no other,
    as lines of Pypes itself below a warning are, which tell of steps that somebody may wait for.
    """
    given = vars(record)
    if record.levelno < logging.WARNING and record.name.startswith(OWN) and not record.name.startswith(COMPONENTS):
        return None
    try:
        if record.name.startswith(COMPONENTS):
            bound: list[Any] = [_short(given.get(name)) for name in ("graph", "filter", "code")]
        else:
            bound = [(key, _short(str(value))) for key, value in given.items() if key not in STANDARD and key not in VARYING]
        error, colon, _ = str(given.get("error", "")).partition(":")
        kind = (record.name, record.levelno, _short(event_of(record)), _raised(record), _short(error) if colon else "", *bound)
        hash(kind)
    except Exception:  # a value without a text, or without a hash
        return None
    return kind


def _short(value: Any) -> Any:
    """A text, or a digest of a long one: many kinds are remembered, and a message may hold a whole document."""
    if not isinstance(value, str) or len(value) <= _LONG_CHARS:
        return value
    return len(value), hashlib.blake2b(value.encode(errors="backslashreplace"), digest_size=16).digest()


def _raised(record: logging.LogRecord) -> tuple[Any, ...]:
    """Type and place of the exception of a record; of one that came from another process as text, its type."""
    if not record.exc_info or record.exc_info[1] is None:
        return (_short(str(getattr(record, "exception", "")).rpartition("\n")[2].partition(":")[0]),)
    trace = record.exc_info[2]
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return (record.exc_info[0], *(() if trace is None else (trace.tb_frame.f_code.co_filename, trace.tb_lineno)))


class _Kind:
    """Lines that are alike; ``sample`` is the first one that was counted."""

    __slots__ = ("count", "first", "interval_s", "last", "receipts", "sample", "until")

    def __init__(self, until: float) -> None:
        self.interval_s = FIRST_S
        self.until = until
        self.count = 0
        self.sample: Line = {}
        self.first = self.last = 0.0
        self.receipts: dict[str, None] = {}

    def add(self, record: logging.LogRecord) -> None:
        self.count += 1
        self.last = record.created
        receipt = getattr(record, "receipt", None)
        for one in receipt if isinstance(receipt, list | tuple) else (receipt,):
            if len(self.receipts) < MAX_RECEIPTS and isinstance(one, str):
                self.receipts[one] = None

    def take(self) -> Line:
        """The line that tells of those that were counted, which are forgotten then."""
        line = {**self.sample, "time": time_text(self.last), "count": self.count}
        if self.count > 1:
            line["since"] = time_text(self.first)
            if len(self.receipts) > 1:
                line["receipt"] = list(self.receipts)
        self.count, self.sample = 0, {}
        self.receipts.clear()
        return line


class Folding:
    """Folds the records of a process. Used by one thread at a time.

    ``line_of`` makes a line of a record, ``give`` takes those that are told; :meth:`flush` is to be called when :attr:`due` is
    over.
    """

    def __init__(
        self,
        line_of: Callable[[logging.LogRecord], Line],
        give: Callable[[Line], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._line_of = line_of
        self._give = give
        self.clock = clock
        self._kinds: dict[Hashable, _Kind] = {}
        #: The time, by the clock, at which there is something to tell; infinite while there is not.
        self.due = math.inf

    def take(self, record: logging.LogRecord) -> None:
        """Give a line at once, or count it."""
        now = self.clock()
        if now >= self.due:
            self.flush()
        key = kind_of(record)
        kind = self._kinds.get(key) if key is not None else None
        if kind is not None and now < kind.until:
            if not kind.count:
                kind.sample, kind.first = self._line_of(record), record.created
                self.due = min(self.due, kind.until)
            kind.add(record)
            return
        if key is not None:
            if len(self._kinds) >= MAX_KINDS:
                self._forget(now)
            if kind is not None or len(self._kinds) < MAX_KINDS:
                self._kinds[key] = _Kind(now + FIRST_S)
        self._give(self._line_of(record))

    def _forget(self, now: float) -> None:
        self._kinds = {key: kind for key, kind in self._kinds.items() if kind.count or now < kind.until}

    def flush(self) -> None:
        """Tell of the lines whose interval is over."""
        now = self.clock()
        over = [kind for kind in self._kinds.values() if kind.count and now >= kind.until]
        for kind in over:
            kind.interval_s = min(2 * kind.interval_s, MOST_S)
            kind.until = now + kind.interval_s
        self._forget(now)
        self._tell(over)

    def close(self) -> None:
        """Tell of all that were counted, and forget them."""
        kinds, self._kinds = self._kinds, {}
        self._tell([kind for kind in kinds.values() if kind.count])

    def drop(self) -> None:
        """Forget all that were counted: those of the process that this one was forked from."""
        self._kinds, self.due = {}, math.inf

    def _tell(self, kinds: list[_Kind]) -> None:
        lines = [kind.take() for kind in sorted(kinds, key=lambda kind: kind.last)]
        self.due = min((kind.until for kind in self._kinds.values() if kind.count), default=math.inf)
        for line in lines:
            self._give(line)
