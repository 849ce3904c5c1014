"""A keeper whose one pool worker is the test: it reads strides and answers them, byte by byte as it likes."""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Sequence
from typing import Any

from pypes.errors import Unreachable
from pypes.placement import parcels, pool_frames
from pypes.placement.channel import PassingChannel, head_of
from pypes.placement.keeper import Connection
from pypes.placement.pool_process import KILLED, Loss
from pypes.placement.speech import Pickled


def log_frame(text: str) -> bytes:
    """The frame of a line that the pool worker logs."""
    payload = json.dumps([20, "scripted", text, {}]).encode()
    return head_of(pool_frames.LOG, payload) + payload


def answers_frame(number: int, results: Sequence[Any]) -> bytes:
    """The frame with the results of all items of a stride."""
    speech = Pickled()
    values = [(at, pool_frames.DONE, speech.speak(result, [])) for at, result in enumerate(results)]
    payload = parcels.packed(number, values, is_inline=True).payload
    return head_of(pool_frames.ANSWERS, payload) + payload


class Scripted:
    """See :class:`pypes.placement.keeper.Keeper`; the test has the other end, ``worker``."""

    width = 1

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair()
        self.worker = PassingChannel(theirs, sys.maxsize)
        self._is_connected = False
        self._closed = threading.Event()

    def setup(self) -> None:
        """It is there."""

    def connect(self, seat: int) -> Connection:
        if self._is_connected:
            self._closed.wait()
            raise Unreachable(0.0, "it has ended")
        self._is_connected = True
        return Connection(seat, 1, 1, self._ours)

    def lost(self, connection: Connection, fault: str = "") -> Loss:
        return Loss(fault or "it has ended", KILLED, None)

    def close(self) -> None:
        self._closed.set()
        self.worker.close()

    def next_stride(self) -> int:
        """The number of the stride that was sent next."""
        frame = self.worker.read()
        assert frame is not None
        assert frame[0] == pool_frames.STRIDE
        number, items = parcels.opened(self.worker, frame[1])
        assert [*items]
        return number
