"""Logs: one structured line per event on standard error, readable on a terminal, JSON otherwise.

Every process calls :func:`configure` once. Supervisor and ingest workers log through structlog (:func:`get`); instances and
components through ``logging`` alone, because importing structlog costs memory and time in each of them. The lines look the same.
"""

from __future__ import annotations

import logging
import math
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from pypes.observe.folding import Folding
from pypes.observe.hiding import Hiding
from pypes.observe.log_line import Line, as_json, event_of, for_people, line_of, shortened, trace_of
from pypes.observe.log_ring import LogRing, ring_path


class LineHandler(logging.Handler):
    """Writes records as lines to ``stream``, a JSON object or for people, and to the log ring of the process if it has one.

    ``process`` names the process (``supervisor``, ``instance-3``). What ``hiding`` hides is taken out of all of it, whoever logs;
    users and passwords of addresses always. Lines that are alike are folded: :meth:`flush_due` tells of them,
    :meth:`close` of the rest.
    """

    def __init__(
        self,
        process: str,
        stream: TextIO,
        *,
        is_json: bool,
        hiding: Hiding | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self.process = process
        self.is_json = is_json
        self.ring: LogRing | None = None
        self.hiding = hiding or Hiding()
        self._stream = stream
        self._is_colored = not is_json and stream.isatty()
        self._pid = os.getpid()
        self._folding = Folding(self._line_of, self._write, clock)

    def _line_of(self, record: logging.LogRecord) -> Line:
        return line_of(record, self.process, self.hiding)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._look_forked()
            self._folding.take(record)
        except RecursionError:
            raise
        except Exception:
            self.handleError(record)

    def _look_forked(self) -> None:
        """Leave to the process that this one was forked from what that has counted."""
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._folding.drop()

    def _write(self, line: Line) -> None:
        ring = self.ring
        if ring is not None:
            # first: the stream may be a pipe that nobody reads
            ring.write(shortened(line, ring.most_bytes))
        text = as_json(line) if self.is_json else for_people(line, is_colored=self._is_colored)
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def flush_due(self) -> float | None:
        """Tell of the lines that were folded, if it is time to; returns when it will be, by the clock, if there are any."""
        if self._folding.due == math.inf:
            return None
        with self._alone(), suppress(OSError, ValueError):  # the stream cannot be written to
            if self._folding.due <= self._folding.clock():
                self._folding.flush()
        return None if self._folding.due == math.inf else self._folding.due

    def close(self) -> None:
        """Tell of all that were folded."""
        with self._alone(), suppress(OSError, ValueError):
            self._folding.close()
        super().close()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self.acquire()
        try:
            self._look_forked()
            yield
        finally:
            self.release()


def is_json(choice: str, stream: TextIO | None = None) -> bool:
    """True if lines are JSON, by the setting ``auto | console | json``; ``auto`` checks whether ``stream`` is a terminal."""
    if choice == "auto":
        return not (stream or sys.stderr).isatty()
    return choice == "json"


def configure(
    process: str,
    *,
    json: bool,
    level: str = "INFO",
    stream: TextIO | None = None,
    hiding: Hiding | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> LineHandler:
    """Send all log records of this process to standard error, without what is hidden; replaces any earlier configuration.

    The handler's :meth:`~LineHandler.flush_due` is to be called now and then, by a loop that there is already.
    """
    handler = LineHandler(process, stream or sys.stderr, is_json=json, hiding=hiding, clock=clock)
    root = logging.getLogger()
    former, root.handlers[:] = root.handlers[:], [handler]
    for other in former:
        if isinstance(other, LineHandler):
            handler.ring = other.ring  # which takes nothing from a process that was forked
            other.close()
    root.setLevel(level)
    # at DEBUG it says which selector it uses, and nothing else of interest
    logging.getLogger("asyncio").setLevel(logging.INFO)
    # it counts changes of files; what became of them, we say ourselves
    logging.getLogger("watchfiles").setLevel(logging.WARNING)
    return handler


def keep(folder: Path, max_bytes: int) -> None:
    """Keep the last lines of this process in a log ring in ``folder``, if :func:`configure` was called; 0 bytes: no ring.

    Without room for it, the log says so, and nothing else changes.
    """
    for handler in logging.getLogger().handlers:
        if isinstance(handler, LineHandler) and max_bytes:
            try:
                handler.ring = LogRing(ring_path(folder, handler.process), max_bytes)
            except OSError as error:
                handler.ring = None
                log = logging.getLogger("pypes.logs")
                log.warning("the last lines of this process are not kept", extra={"folder": str(folder), "reason": str(error)})


def flush_due() -> None:
    """Tell of lines of this process that were folded, if it is time to."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, LineHandler):
            handler.flush_due()


def plain(hiding: Hiding) -> None:
    """For commands: warnings as bare sentences on standard error, without what is hidden; unless logs were configured before."""
    root = logging.getLogger()
    if not root.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(_SentenceFormatter(hiding))
        root.addHandler(handler)


class _SentenceFormatter(logging.Formatter):
    def __init__(self, hiding: Hiding) -> None:
        super().__init__()
        self._hiding = hiding

    def format(self, record: logging.LogRecord) -> str:
        event, trace = event_of(record, self._hiding), self._hiding.secrets.redact(trace_of(record))
        return f"{event}\n{trace}" if trace else event


def catch_uncaught() -> None:
    """Log what ends a thread of this process, in place of the traceback that Python would print past the log."""

    def caught(args: threading.ExceptHookArgs) -> None:
        if args.exc_type is SystemExit:
            return
        name = args.thread.name if args.thread is not None else ""
        error = args.exc_value if args.exc_value is not None else args.exc_type()
        logging.getLogger("pypes.threads").error("a thread failed", extra={"thread_name": name}, exc_info=error)

    threading.excepthook = caught


def get(name: str, **bound: Any) -> Any:
    """Give a structlog logger that writes the same lines: ``get("pypes.generations").info("ready", url=url)``."""
    structlog = _structlog()
    if not structlog.is_configured():
        structlog.configure(
            processors=[
                structlog.stdlib.filter_by_level,
                structlog.processors.UnicodeDecoder(),
                structlog.stdlib.render_to_log_kwargs,
            ],
            logger_factory=structlog.stdlib.LoggerFactory(),
            wrapper_class=structlog.stdlib.BoundLogger,
            cache_logger_on_first_use=False,
        )
    return structlog.stdlib.get_logger(name, **bound)


def _structlog() -> Any:
    """Import structlog without rich, which it would load for tracebacks in colour: 0.2 s and 4 MB in every process."""
    if "structlog" not in sys.modules:
        missing = object()
        rich = sys.modules.get("rich", missing)
        sys.modules["rich"] = None  # type: ignore[assignment]
        try:
            import structlog
        finally:
            if rich is missing:
                del sys.modules["rich"]
            else:
                sys.modules["rich"] = rich  # type: ignore[assignment]
    import structlog

    return structlog
