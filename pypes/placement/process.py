"""The process of an isolated component, seen from the instance: started, spoken to, killed."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from pypes.core.limits import KIB
from pypes.core.shown import REASON_CHARS, TRACE_CHARS, bounded
from pypes.core.values import Body
from pypes.errors import Reject, Retry, Unreachable
from pypes.placement import frames
from pypes.placement.channel import Broken, Channel, Patience
from pypes.placement.retold import InChild, like
from pypes.placement.spawned import Spawned

#: Values and bytes sent to a child before it asks for them. They must fit into the socket together with what the child says:
#: neither must wait for the other to read.
AHEAD_VALUES, AHEAD_BYTES = 8, 256 * KIB


class _TooMuch(Exception):
    """A value too large to be sent ahead."""


class Process(Spawned):
    """A child that runs an isolated component, from its start to its end. One thread speaks with it at a time."""

    def __init__(self, order: frames.Order) -> None:
        super().__init__("pypes.placement.child")
        self._channel = Channel(self.sock, order.max_bytes)
        self._values = frames.InstanceValues()
        #: True until it has finished with a packet: whatever happens with the first one is that packet's own doing.
        self.is_fresh = True
        self._order = order
        #: Values that it was given and has not finished with, the one in hand first, with their bodies and sizes.
        self._given: deque[tuple[Any, list[Body], int]] = deque()
        self._given_bytes = 0

    # -- speaking with it -------------------------------------------------------------------------------

    def wait_ready(self, timeout_s: float | None) -> None:
        """Block until the component is set up. Raises what its ``setup`` raised, :class:`Died` or ``TimeoutError``."""
        try:
            self._channel.write(frames.ORDER, msgspec.msgpack.encode(self._order))
            patience = None if timeout_s is None else self._patience(timeout_s)
            while True:
                kind, payload = self._read(patience)
                if kind == frames.READY:
                    return
                if kind == frames.FAILED:
                    raise raised(failure_in(payload))
                self._logged(kind, payload)
        except OSError as error:
            if isinstance(error, TimeoutError):
                raise
            raise self.died() from error

    def give(self, value: Any) -> None:
        """Have it work on ``value``, unless it was given that ahead. Raises :class:`frames.Unspeakable`."""
        if not self._given:
            self._send(value)

    def expects(self, value: Any) -> bool:
        """False if it was given something else ahead, which nobody asks for any more."""
        return not self._given or self._given[0][0] is value

    def give_ahead(self, values: Iterable[Any]) -> None:
        """Send it what comes next, in this order, so that it need not wait; as much as the socket takes without waiting.

        Those that were sent ahead already are passed over.
        """
        for number, value in enumerate(values, 1):
            if number < len(self._given):
                continue
            if number > AHEAD_VALUES or self._given_bytes > AHEAD_BYTES:
                return
            try:
                self._send(value, AHEAD_BYTES)
            except (frames.Unspeakable, _TooMuch):
                return  # it is met again when its turn comes

    def _send(self, value: Any, max_bytes: int = sys.maxsize) -> None:
        bodies = self._values.bodies = []
        payload = self._values.encode(value)
        if len(payload) > max_bytes:
            raise _TooMuch
        self._given.append((value, bodies, len(payload)))
        self._given_bytes += len(payload)
        # if it has died, what it said before can still be read, and tells which value it died of
        with contextlib.suppress(OSError):
            self._channel.write(frames.VALUE, payload)

    def decode(self, payload: bytes | bytearray, *, has_port: bool) -> tuple[str, Any]:
        """Port and value of ``SENT``, the value of ``DONE``. Raises :class:`Broken`."""
        self._values.bodies = self._given[0][1]
        parts = self._values.decode(payload)
        port = parts.pop(0) if has_port and parts else ""
        return port, self._values.value(parts)

    def finished(self) -> None:
        """It has finished with the value in hand: the next one is in hand now."""
        self.is_fresh = False
        self._given_bytes -= self._given.popleft()[2]

    def answers(self, timeout_s: float) -> Iterator[tuple[int, bytes | bytearray]]:
        """Answers to the packet, up to ``DONE`` or ``RAISED``. Raises :class:`Died`, ``TimeoutError``, :class:`Broken`.

        ``timeout_s`` is all the time it may take to say something; what passes between two ``next`` does not count.
        """
        patience = self._patience(timeout_s)
        while True:
            kind, payload = self._read(patience)
            if kind in (frames.SENT, frames.DONE, frames.RAISED):
                yield kind, payload
            else:
                self._logged(kind, payload)
            if kind in (frames.DONE, frames.RAISED):
                return

    def _patience(self, timeout_s: float) -> Patience:
        return Patience(timeout_s, lambda: self.is_stopped)

    def _read(self, patience: Patience | None) -> tuple[int, bytes | bytearray]:
        try:
            frame = self._channel.read(patience)
        except ConnectionError as error:
            raise self.died() from error
        if frame is None:
            raise self.died()
        return frame

    def _logged(self, kind: int, payload: bytes | bytearray) -> None:
        if kind != frames.LOG:
            raise Broken(f"an unexpected frame of kind {kind}")
        line = _decoded(payload, frames.Line)
        record = {"name": line.logger, "levelno": line.level, "levelname": logging.getLevelName(line.level), "msg": line.message}
        logging.getLogger(line.logger).handle(logging.makeLogRecord({**line.extra, **record}))


def failure_in(payload: bytes | bytearray) -> frames.Failure:
    """Contents of a frame of ``RAISED`` or ``FAILED``. Raises :class:`Broken`."""
    failure: frames.Failure = _decoded(payload, frames.Failure)
    return failure


def raised(failure: frames.Failure) -> Exception:
    """The exception of which the child told: the ones that steer as they are, others in a class of the same name."""
    error: Exception
    message = bounded(failure.message, REASON_CHARS)
    if failure.steers == "Reject":
        error = Reject(message, failure.code)
    elif failure.steers:
        error = (Unreachable if failure.steers == "Unreachable" else Retry)(failure.delay_s, message)
    else:
        error = like(failure.type, message)
    error.__cause__ = InChild(bounded(failure.traceback, TRACE_CHARS))
    return error


def _decoded(payload: bytes | bytearray, kind: Any) -> Any:
    try:
        return msgspec.msgpack.decode(payload, type=kind)
    except ValueError as error:
        raise Broken(str(error)) from error
