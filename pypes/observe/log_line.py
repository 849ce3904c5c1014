"""Log lines: made of the records of ``logging`` as plain values without secrets, and shown as JSON or to people."""

from __future__ import annotations

import json
import logging
import re
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from pypes.core import numbers
from pypes.core.secrets import Secrets
from pypes.core.shown import Clean, own_trace, shown

#: A line: its own keys (:data:`OWN`), and the values that were given with the event.
Line = dict[str, Any]

#: Attributes of every ``logging`` record; what else a record carries was given with the event.
STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}

#: Keys that a line has of itself; a value that was given under one of them has an underscore behind its name.
OWN: Final = ("time", "level", "process", "logger", "event")
_TAKEN: Final = frozenset({*OWN, "exception", "count", "since"})

#: Loggers of components, each with its class behind this.
COMPONENTS: Final = "pypes.component."

#: Texts that several of are shown side by side, with commas.
_NAME: Final = re.compile(r"[\w.:-]+")

_COLORS = {"debug": "2", "info": "36", "warning": "33", "error": "31", "critical": "31;1"}


def event_of(record: logging.LogRecord, clean: Clean = str) -> str:
    """The message of a line; its template and the fault, if what was logged cannot be put into that."""
    try:
        return clean(record.getMessage())
    except Exception as error:  # a bad line costs nobody more than itself
        return f"{shown(record.msg, clean)} (cannot be formatted: {shown(error, clean)})"


def given_with(record: logging.LogRecord, secrets: Secrets) -> dict[str, Any]:
    """The values that were given with an event, as JSON and without ``secrets``; what is no JSON is its text."""
    return {_encodable(str(key)): _plain(value, secrets) for key, value in vars(record).items() if key not in STANDARD}


def _plain(value: Any, secrets: Secrets) -> Any:
    """A value as every reader of JSON takes it: without NaN, numbers of more than 64 bits, and halves of characters."""

    def text(other: Any) -> str:
        return shown(other, secrets.redact, named=False)

    try:
        clean = secrets.redacted(value)
        if clean is None or type(clean) is bool:
            return clean
        if type(clean) is str:
            return _encodable(clean)
        if type(clean) is int:
            return clean if numbers.fits(clean) else text(clean)
        data = json.dumps(clean, default=text, allow_nan=False).encode()
        numbers.check(data)
        return orjson.loads(data)
    except Exception:  # it contains itself, has keys that are no text, or is no JSON
        return text(value)


def _encodable(text: str) -> str:
    """``text``, with bytes that were no text, as names of files have them, in a form that can be encoded."""
    return text if text.isascii() else text.encode(errors="backslashreplace").decode()


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


def line_of(record: logging.LogRecord, process: str, secrets: Secrets) -> Line:
    """A record as a line of ``process``. ``secrets`` are taken out of all of it, whoever logs; a traceback is ``exception``."""
    line: Line = {
        "time": time_text(record.created),
        "level": record.levelname.lower(),
        "process": process,
        "logger": _encodable(record.name),
        "event": _encodable(event_of(record, secrets.redact)),
    }
    for key, value in given_with(record, secrets).items():
        # one that came from another process has its traceback with it
        line[f"{key}_" if key in _TAKEN and (key, type(value)) != ("exception", str) else key] = value
    if trace := secrets.redact(trace_of(record)):
        line["exception"] = _encodable(trace)
    return line


def time_text(seconds: float) -> str:
    """Seconds since the epoch as RFC 3339, in milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def as_json(line: Mapping[str, Any]) -> str:
    """A line as one JSON object."""
    return json.dumps(line, ensure_ascii=False)


def for_people(line: Mapping[str, Any], *, is_colored: bool = False) -> str:
    """A line as ``time level process event key=value …``; a traceback follows on lines of its own."""
    name = str(line["level"])
    level = f"\x1b[{_COLORS.get(name, '0')}m{name:<7}\x1b[0m" if is_colored else f"{name:<7}"
    values = "".join(f" {key}={_word(value)}" for key, value in line.items() if key not in OWN and key != "exception")
    # an event is one line whatever a client managed to get into it
    event = _printable(str(line["event"]))
    when = datetime.fromisoformat(line["time"]).astimezone()
    text = f"{when:%H:%M:%S} {level} {line['process']:<11} {event}{values}"
    for each in str(line.get("exception", "")).splitlines():
        text += f"\n{_printable(each)}"
    return text


def _word(value: Any) -> str:
    if isinstance(value, list) and value and all(isinstance(each, str) and _NAME.fullmatch(each) for each in value):
        return ",".join(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if text == "" or any(c.isspace() or c == '"' for c in text):
        text = json.dumps(text, ensure_ascii=False)
    return _printable(text)


def _printable(text: str) -> str:
    """``text`` without line ends, and without anything that a terminal would take for a command."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def shortened(line: Line, most_bytes: int) -> bytes:
    """A line as JSON of at most so many bytes: without the middle of its traceback, then without what was given with it."""
    data = _encoded(line)
    if len(data) > most_bytes and len(line.get("exception", "")) > most_bytes // 4:
        trace: str = line["exception"]
        end = most_bytes // 16
        data = _encoded({**line, "exception": f"{trace[:end]}\n…\n{trace[-end:]}"})
    if len(data) > most_bytes:
        kept: Line = {key: line[key] for key in (*OWN, "graph", "filter", "receipt", "code", "count") if key in line}
        for key, value in kept.items():
            if isinstance(value, str) and len(value) > most_bytes // 32:
                kept[key] = value[: most_bytes // 32] + "…"
        data = _encoded({**kept, "shortened": True})
    return data[:most_bytes]


def _encoded(line: Line) -> bytes:
    return as_json(line).encode(errors="backslashreplace")
