"""Logs: one structured line per event on standard error, readable on a terminal, JSON otherwise.

Every process calls :func:`configure` once. Supervisor and ingest workers log through structlog (:func:`get`); instances and
components through ``logging`` alone, because importing structlog costs memory and time in each of them. The lines look the same.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, TextIO

#: Attributes of every ``logging`` record; what else a record carries was given with the event.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}

_COLORS = {"DEBUG": "2", "INFO": "36", "WARNING": "33", "ERROR": "31", "CRITICAL": "31;1"}


class LineFormatter(logging.Formatter):
    """Formats a record as one line: a JSON object, or for people ``time level process event key=value …``.

    ``process`` names the process (``supervisor``, ``instance-3``). A traceback is the value ``exception`` in JSON, and follows on
    lines of its own for people.
    """

    def __init__(self, process: str, is_json: bool, is_colored: bool = False) -> None:
        super().__init__()
        self.process = process
        self.is_json = is_json
        self.is_colored = is_colored

    def format(self, record: logging.LogRecord) -> str:
        given = {key: value for key, value in vars(record).items() if key not in _STANDARD}
        trace = "".join(traceback.format_exception(*record.exc_info)).rstrip() if record.exc_info else ""
        when = datetime.fromtimestamp(record.created, UTC)
        if not self.is_json:
            return self._for_people(record, when, given, trace)
        line = {
            "time": when.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "process": self.process,
            "logger": record.name,
            "event": record.getMessage(),
            **given,
        }
        if trace:
            line["exception"] = trace
        return json.dumps(line, default=str, ensure_ascii=False)

    def _for_people(self, record: logging.LogRecord, when: datetime, given: dict[str, Any], trace: str) -> str:
        level = f"{record.levelname.lower():<7}"
        if self.is_colored:
            level = f"\x1b[{_COLORS.get(record.levelname, '0')}m{level}\x1b[0m"
        values = "".join(f" {key}={_shown(value)}" for key, value in given.items())
        # an event is one line whatever a client managed to get into it
        event = record.getMessage().replace("\n", "\\n").replace("\r", "\\r")
        line = f"{when.astimezone():%H:%M:%S} {level} {self.process:<11} {event}{values}"
        return f"{line}\n{trace}" if trace else line


def is_json(choice: str, stream: TextIO | None = None) -> bool:
    """Whether lines shall be JSON, from the setting ``auto | console | json``; ``auto`` asks if ``stream`` is a terminal."""
    if choice == "auto":
        return not (stream or sys.stderr).isatty()
    return choice == "json"


def configure(process: str, *, json: bool, level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send everything logged in this process to standard error; replaces what was configured before."""
    out = stream or sys.stderr
    handler = logging.StreamHandler(out)
    handler.setFormatter(LineFormatter(process, json, is_colored=not json and out.isatty()))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # at DEBUG it says which selector it uses, and nothing else of interest
    logging.getLogger("asyncio").setLevel(logging.INFO)


def get(name: str, **bound: Any) -> Any:
    """Give a structlog logger that writes the same lines: ``get("pypes.pool").info("ready", url=url)``."""
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


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return json.dumps(text, ensure_ascii=False) if text == "" or any(c.isspace() or c == '"' for c in text) else text
