"""Talk of instances with the keeper of a pool in another process: frames over a socket, which carry sockets to pool workers.

::

    instance → keeper   USE      pool                    first; the pool is in use until this connection ends
                        CONNECT  seat
                        LOST     seat, worker, fault for which it is given up
    keeper → instance   THERE    or NOT_THERE reason     answer to USE
                        SOCKET   worker, user            answer to CONNECT, with a socket to the pool worker
                        AWAY     reason                  answer to CONNECT: there is none for now
                        LOSS     reason, code, user, number, at     answer to LOST, after the pool worker was reaped

The payloads are msgpack: instances run what graphs bring along, and are not to be unpickled here.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from pypes.placement.channel import Broken
from pypes.placement.pool_process import Loss
from pypes.placement.progress import InHand

USE, CONNECT, LOST, THERE, NOT_THERE, SOCKET, AWAY, LOSS = range(8)

#: Longest frame: a reason is bounded.
MAX_BYTES: Final = 1 << 20


def say(*values: Any) -> bytes:
    """The payload of a frame."""
    return msgspec.msgpack.encode(values)


def said(payload: bytes | bytearray, *kinds: type) -> list[Any]:
    """The values of a payload, which are of these kinds. Raises :class:`Broken`."""
    try:
        values: list[Any] = msgspec.msgpack.decode(payload, type=list[Any])
    except msgspec.DecodeError as error:
        raise Broken(str(error)) from error
    if [type(value) for value in values] != list(kinds):
        raise Broken("a frame with other values than it should have")
    return values


def say_loss(loss: Loss) -> bytes:
    """The payload of ``LOSS``."""
    hand = loss.in_hand
    return say(loss.reason, loss.code, *((-1, -1, -1) if hand is None else hand))


def said_loss(payload: bytes | bytearray) -> Loss:
    """Inverse of :func:`say_loss`."""
    reason, code, *hand = said(payload, str, str, int, int, int)
    return Loss(reason, code, None if hand[0] < 0 else InHand(*hand))
