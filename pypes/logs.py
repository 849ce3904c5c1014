"""Logs: one structured line per event on standard error, readable on a terminal, JSON otherwise.

Every process calls :func:`configure` once. Supervisor and ingest workers log through structlog (:func:`get`); instances and
components through ``logging`` alone, because importing structlog costs memory and time in each of them. The lines look the same.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import traceback
from datetime import UTC, datetime
from typing import Any, TextIO

from pypes.core.secrets import Secrets
from pypes.core.shown import Clean, own_trace, shown

#: Attributes of every ``logging`` record; what else a record carries was given with the event.
STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}

#: Loggers of components, each with its class behind this.
COMPONENTS = "pypes.component."

_COLORS = {"DEBUG": "2", "INFO": "36", "WARNING": "33", "ERROR": "31", "CRITICAL": "31;1"}


def event_of(record: logging.LogRecord, clean: Clean = str) -> str:
    """The message of a line; its template and the fault, if what was logged cannot be put into that."""
    try:
        return clean(record.getMessage())
    except Exception as error:  # a bad line costs nobody more than itself
        return f"{shown(record.msg, clean)} (cannot be formatted: {shown(error, clean)})"


def given_with(record: logging.LogRecord, secrets: Secrets) -> dict[str, Any]:
    """The values that were given with an event, as JSON and without ``secrets``; what is no JSON is its text."""
    return {key: _plain(value, secrets) for key, value in vars(record).items() if key not in STANDARD}


def _plain(value: Any, secrets: Secrets) -> Any:
    def text(other: Any) -> str:
        return shown(other, secrets.redact, named=False)

    try:
        clean = secrets.redacted(value)
        if clean is None or type(clean) in (str, int, float, bool):
            return clean
        return json.loads(json.dumps(clean, default=text))
    except Exception:  # it contains itself, or has keys that are no text
        return text(value)


def trace_of(record: logging.LogRecord) -> str:
    """The traceback that goes with a line, without ours where a component wrote it; empty if there is none."""
    try:
        if not record.exc_info or record.exc_info[1] is None:
            return ""
        if record.name.startswith(COMPONENTS):
            return own_trace(record.exc_info[1]).rstrip()
        return "".join(traceback.format_exception(*record.exc_info)).rstrip()
    except Exception as error:  # what was given is no exception, or one that cannot be read
        return f"no traceback: {shown(error)}"


class LineFormatter(logging.Formatter):
    """Formats a record as one line: a JSON object, or for people ``time level process event key=value …``.

    ``process`` names the process (``supervisor``, ``instance-3``). A traceback is the value ``exception`` in JSON, and follows on
    lines of its own for people. ``secrets`` are taken out of all of it, whoever logs; users and passwords of addresses always.
    """

    def __init__(self, process: str, is_json: bool, is_colored: bool = False, secrets: Secrets | None = None) -> None:
        super().__init__()
        self._secrets = secrets or Secrets()
        self.process = process
        self.is_json = is_json
        self.is_colored = is_colored

    def format(self, record: logging.LogRecord) -> str:
        secrets = self._secrets
        given = given_with(record, secrets)
        trace = secrets.redact(trace_of(record))
        event = event_of(record, secrets.redact)
        when = datetime.fromtimestamp(record.created, UTC)
        if not self.is_json:
            return self._for_people(record, when, event, given, trace)
        line = {
            "time": when.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "process": self.process,
            "logger": record.name,
            "event": event,
            **given,
        }
        if trace:
            line["exception"] = trace
        return json.dumps(line, ensure_ascii=False)

    def _for_people(self, record: logging.LogRecord, when: datetime, event: str, given: dict[str, Any], trace: str) -> str:
        level = f"{record.levelname.lower():<7}"
        if self.is_colored:
            level = f"\x1b[{_COLORS.get(record.levelname, '0')}m{level}\x1b[0m"
        values = "".join(f" {key}={self._shown(value)}" for key, value in given.items())
        # an event is one line whatever a client managed to get into it
        event = event.replace("\n", "\\n").replace("\r", "\\r")
        line = f"{when.astimezone():%H:%M:%S} {level} {self.process:<11} {event}{values}"
        return f"{line}\n{trace}" if trace else line

    def _shown(self, value: Any) -> str:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        return json.dumps(text, ensure_ascii=False) if text == "" or any(c.isspace() or c == '"' for c in text) else text


def is_json(choice: str, stream: TextIO | None = None) -> bool:
    """True if lines are JSON, by the setting ``auto | console | json``; ``auto`` checks whether ``stream`` is a terminal."""
    if choice == "auto":
        return not (stream or sys.stderr).isatty()
    return choice == "json"


def configure(
    process: str, *, json: bool, level: str = "INFO", stream: TextIO | None = None, secrets: Secrets | None = None
) -> None:
    """Send all log records of this process to standard error, without ``secrets``; replaces any earlier configuration."""
    out = stream or sys.stderr
    handler = logging.StreamHandler(out)
    handler.setFormatter(LineFormatter(process, json, is_colored=not json and out.isatty(), secrets=secrets))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # at DEBUG it says which selector it uses, and nothing else of interest
    logging.getLogger("asyncio").setLevel(logging.INFO)
    # it counts changes of files; what became of them, we say ourselves
    logging.getLogger("watchfiles").setLevel(logging.WARNING)


def plain(secrets: Secrets) -> None:
    """For commands: warnings as bare sentences on standard error, without ``secrets``; unless logs were configured before."""
    root = logging.getLogger()
    if not root.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(_SentenceFormatter(secrets))
        root.addHandler(handler)


class _SentenceFormatter(logging.Formatter):
    def __init__(self, secrets: Secrets) -> None:
        super().__init__()
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        event, trace = event_of(record, self._secrets.redact), self._secrets.redact(trace_of(record))
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
