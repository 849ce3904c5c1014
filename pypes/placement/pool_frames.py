"""Frames between the keeper of a pool worker, its users, and the process of the pool worker itself.

Each socket is a :class:`~pypes.placement.channel.Channel`, and a :class:`~pypes.placement.channel.PassingChannel` towards the
worker::

    keeper → worker    ORDER     Order, with the memory for its progress     once, first
                       USER      number, with a socket to a new user
                       (end)                                                 close the work, exit 0
    worker → keeper    READY     or FAILED, a parcel of one error            once, when set-up is over
                       LOG       line                                        until then
    user → worker      STRIDE    parcel of items                             several may wait
                       BATCH     the same, of items that are run together
    worker → user      ANSWERS   parcel of results (DONE), errors (RAISED) and what was sent before (PART) of one stride; VOID
                                 takes back what was sent over an item, which is run once more
                       LOG       line, while it works on an item of this user
                       PROGRESS  with the memory for its progress, to a user that is trusted   once, first

The speech of the work decides what is in a parcel (:mod:`pypes.placement.speech`). No data pass through the keeper, which may be
in another process than the users.
"""

from __future__ import annotations

import json
import logging
from typing import Any, NamedTuple

from pypes.observe.hiding import Hiding
from pypes.observe.log_line import event_of, given_with, trace_of
from pypes.placement.channel import Broken

ORDER, USER, READY, FAILED, LOG, STRIDE, ANSWERS, BATCH, PROGRESS = range(9)

#: Kinds of values in a parcel: a result, an error, a value that the work has sent, nothing. Those in ``STRIDE`` are items.
DONE, RAISED, PART, VOID = range(4)

#: Code of the error of a value that cannot travel, and the beginning of its text for a result.
VALUE, UNSENT = "pool.value", "the result cannot be sent from its process: "

#: Code of the error of an item over which more was sent than can be kept.
TOO_MUCH = "pool.sent"

#: Exit status of a pool worker that ran out of the memory that it may have.
EXHAUSTED = 91


class Order(NamedTuple):
    """The speech and the work of a pool worker, pickled by themselves, so that they fail by themselves; and its bounds."""

    speech: bytes
    work: bytes
    max_bytes: int | None
    log_level: int


def line_of(record: logging.LogRecord) -> bytes:
    """A record as the payload of ``LOG``: level, logger, message, and the values bound to it. JSON: nobody need trust it."""
    hiding = Hiding()
    given = given_with(record, hiding)
    if trace := trace_of(record):
        given["exception"] = trace
    return json.dumps([record.levelno, record.name, event_of(record, hiding), given]).encode()


def log_line(payload: bytes | bytearray) -> None:
    """Log a line here that was logged there. Raises :class:`Broken`."""
    try:
        level, logger, message, extra = json.loads(payload)
        record: dict[str, Any] = {"name": str(logger), "levelno": int(level), "msg": str(message)}
        made = logging.makeLogRecord({**extra, **record, "levelname": logging.getLevelName(record["levelno"])})
    except (TypeError, ValueError, RecursionError) as error:
        raise Broken(f"a line that is none: {error}") from error
    logging.getLogger(made.name).handle(made)
