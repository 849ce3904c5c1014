"""Frames between the keeper of a pool worker, its users, and the process of the pool worker itself.

Each socket is a :class:`~pypes.placement.channel.PassingChannel`::

    keeper → worker    ORDER     Order, with the memory for its progress     once, first
                       USER      number, with a socket to a new user
                       (end)                                                 close the work, exit 0
    worker → keeper    READY     or FAILED Told                              once, when set-up is over
                       LOG       Line                                        until then
    user → worker      STRIDE    parcel of items                             several may wait
    worker → user      ANSWERS   parcel of results (DONE) and errors (RAISED) of one stride
                       LOG       Line, while it works on an item of this user

No data pass through the keeper, which may be in another process than the users.
"""

from __future__ import annotations

import logging
import pickle
from typing import Any, NamedTuple

ORDER, USER, READY, FAILED, LOG, STRIDE, ANSWERS = range(7)

#: Kinds of values in ``ANSWERS``: a result, and an error (:class:`~pypes.placement.retold.Told`).
DONE, RAISED = range(2)

#: Exit status of a pool worker that ran out of the memory that it may have.
EXHAUSTED = 91

#: Attributes of every ``logging`` record; what else a record carries was given with the event.
STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class Order(NamedTuple):
    """The work of a pool worker (pickled by itself, so that it fails by itself), and the bounds that it has."""

    work: bytes
    max_bytes: int | None
    log_level: int


class Line(NamedTuple):
    """A line that was logged; ``extra`` holds the values bound to it."""

    level: int
    logger: str
    message: str
    extra: dict[str, Any]


def line_of(record: logging.LogRecord) -> bytes:
    """A record as the payload of ``LOG``."""
    extra = {key: value for key, value in vars(record).items() if key not in STANDARD}
    if record.exc_info:
        extra["exception"] = logging.Formatter().formatException(record.exc_info)
    line = Line(record.levelno, record.name, record.getMessage(), extra)
    try:
        return pickle.dumps(tuple(line))
    except Exception:  # a value that stays where it is
        return pickle.dumps(tuple(line._replace(extra={key: _travelling(value) for key, value in extra.items()})))


def _travelling(value: Any) -> Any:
    return value if isinstance(value, str | int | float | None) else repr(value)


def log_line(payload: bytes | bytearray) -> None:
    """Log a line here that was logged there."""
    line = Line(*pickle.loads(payload))
    record = {"name": line.logger, "levelno": line.level, "levelname": logging.getLevelName(line.level), "msg": line.message}
    logging.getLogger(line.logger).handle(logging.makeLogRecord({**line.extra, **record}))
