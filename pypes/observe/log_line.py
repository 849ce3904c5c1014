"""Log lines: made of the records of ``logging`` as plain values without what is hidden, and shown as JSON or to people."""

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
from pypes.core.shown import Clean, own_trace, shown
from pypes.observe.hiding import HIDDEN, Hiding
from pypes.packet import Packet

#: A line: its own keys (:data:`OWN`), and the values that were given with the event.
Line = dict[str, Any]

#: Attributes of every ``logging`` record; what else a record carries was given with the event.
STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}

#: Keys that a line has of itself; a value that was given under one of them has an underscore behind its name.
OWN: Final = ("time", "level", "process", "logger", "event")
_TAKEN: Final = frozenset({*OWN, "exception", "count", "since"})

#: Keys that say where a line belongs, by which it is found and given to those who may read it: no pattern hides them.
_PLACES: Final = frozenset({"graph", "graphs", "filter", "filters", "receipt", "exception", "count", "since"})

#: Values that are not put into a message as they are.
_SHOWN: Final = (Packet, Mapping, list, tuple)

#: Loggers of components, each with its class behind this.
COMPONENTS: Final = "pypes.component."

#: Texts that several of are shown side by side, with commas.
_NAME: Final = re.compile(r"[\w.:-]+")

_COLORS = {"debug": "2", "info": "36", "warning": "33", "error": "31", "critical": "31;1"}


def event_of(record: logging.LogRecord, hiding: Hiding | None = None) -> str:
    """The message of a line; its template and the fault, if what was logged cannot be put into that.

    Without ``hiding``, it is as it was logged, and for nobody to see.
    """
    clean: Clean = str if hiding is None else hiding.secrets.redact
    try:
        args = record.args
        if hiding is None:
            return record.getMessage()
        if isinstance(record.msg, _SHOWN) or isinstance(args, Mapping) or any(isinstance(arg, _SHOWN) for arg in args or ()):
            text = str(_argument(record.msg, hiding))
            return clean(
                text % (hiding.logged(args) if isinstance(args, Mapping) else _arguments(args, hiding)) if args else text
            )
        return clean(record.getMessage())
    except Exception as error:  # a bad line costs nobody more than itself
        return f"{shown(record.msg, clean)} (cannot be formatted: {shown(error, clean)})"


def _arguments(args: tuple[Any, ...] | None, hiding: Hiding) -> tuple[Any, ...]:
    return tuple(_argument(arg, hiding) for arg in args or ())


def _argument(value: Any, hiding: Hiding) -> Any:
    """A value that is put into a message: of a packet and of what has names without what is hidden."""
    if isinstance(value, Packet):
        return f"Packet({hiding.excerpt(value).get('fields', {})!r})"
    return hiding.logged(value) if isinstance(value, _SHOWN) else value


def given_with(record: logging.LogRecord, hiding: Hiding) -> dict[str, Any]:
    """The values that were given with an event, as JSON and without what is hidden; what is no JSON is its text."""
    return {
        _encodable(hiding.secrets.redact(str(key))): HIDDEN
        if key not in _PLACES and hiding.hides(str(key))
        else _plain(value, hiding)
        for key, value in vars(record).items()
        if key not in STANDARD
    }


def _plain(value: Any, hiding: Hiding) -> Any:
    """A value as every reader of JSON takes it: without NaN, numbers of more than 64 bits, and halves of characters."""

    def text(other: Any) -> str:
        if isinstance(other, Packet):
            other = _argument(other, hiding)
        return shown(other, hiding.secrets.redact, named=False)

    try:
        clean = hiding.logged(value)
    except Exception:  # of a class of its own that does not behave as its base does
        return text(value)
    try:
        if clean is None or type(clean) is bool:
            return clean
        if type(clean) is str:
            return _encodable(clean)
        if type(clean) is int:
            return clean if numbers.fits(clean) else text(clean)
        data = json.dumps(clean, default=text, allow_nan=False).encode()
        numbers.check(data)
        return orjson.loads(data)
    except Exception:  # it has keys that are no text, or is no JSON
        return text(clean)


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


def line_of(record: logging.LogRecord, process: str, hiding: Hiding) -> Line:
    """A record as a line of ``process``, without what is hidden, whoever logs; a traceback is ``exception``."""
    clean = hiding.secrets.redact
    line: Line = {
        "time": time_text(record.created),
        "level": record.levelname.lower(),
        "process": process,
        "logger": _encodable(clean(record.name)),
        "event": _encodable(event_of(record, hiding)),
    }
    for key, value in given_with(record, hiding).items():
        # one that came from another process has its traceback with it
        line[f"{key}_" if key in _TAKEN and (key, type(value)) != ("exception", str) else key] = value
    if trace := clean(trace_of(record)):
        line["exception"] = _encodable(trace)
    return line


class HidingFilter(logging.Filter):
    """Takes what is hidden out of lines before they leave the process: whoever gets them may not know what is secret here."""

    def __init__(self, hiding: Hiding) -> None:
        super().__init__()
        self._hiding = hiding

    def filter(self, record: logging.LogRecord) -> bool:
        hiding = self._hiding
        given = given_with(record, hiding)
        if record.exc_info:
            given["exception"] = hiding.secrets.redact(trace_of(record))
            record.exc_info = None
        record.msg, record.args = event_of(record, hiding), None
        record.name = hiding.secrets.redact(record.name)
        for key in vars(record).keys() - STANDARD:
            delattr(record, key)
        vars(record).update(given)
        return True


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
