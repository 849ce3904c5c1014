"""Stop listening without cutting anyone off.

A connection is made by the kernel, before anyone accepts it. One that waits there when its listener is closed is reset, which
its client cannot tell from a request that was lost. So the last thing before the listener goes is to let in no more
connections, and to wait until those who accept have taken every one that is there. A client that comes then gets no answer
to its first packet, sends it again after a second, and finds either the next server at the same address or nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import socket
import struct
import sys

#: Time for a handshake that has begun, and for a busy loop to accept: nobody is told when either is over.
HANDSHAKE_S = 0.05
WAIT_S = 1.0

_SO_ATTACH_FILTER = 26
_SO_DETACH_FILTER = 27

#: A classic BPF program, run on what comes to the listener from the TCP header on: drop what has the SYN flag, keep the rest.
_REFUSE_SYN = b"".join(
    struct.pack("HBBI", *instruction)
    for instruction in (
        (0x30, 0, 0, 13),  # A = byte 13, the flags
        (0x45, 0, 1, 0x02),  # SYN set?
        (0x06, 0, 0, 0),  # drop
        (0x06, 0, 0, 0xFFFFFFFF),  # keep
    )
)

#: Offset of the number of connections that wait at a listener (``tcpi_unacked`` of ``struct tcp_info``).
_WAITING_AT = 24


async def let_in_no_more(listener: socket.socket) -> None:
    """Take no new connection, and wait up to :data:`WAIT_S` until those that were made are accepted; Linux, elsewhere nothing."""
    if sys.platform != "linux":
        return
    program = ctypes.create_string_buffer(_REFUSE_SYN, len(_REFUSE_SYN))
    fprog = struct.pack("HP", len(_REFUSE_SYN) // 8, ctypes.addressof(program))
    with contextlib.suppress(OSError):  # a kernel that does not allow it: then as elsewhere
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, fprog)
        deadline = asyncio.get_running_loop().time() + WAIT_S
        while True:
            await asyncio.sleep(HANDSHAKE_S)
            if waiting(listener) == 0 or asyncio.get_running_loop().time() > deadline:
                return


def let_in_again(listener: socket.socket) -> None:
    """After :func:`let_in_no_more`: take new connections."""
    with contextlib.suppress(OSError):  # none was refused
        listener.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)


def waiting(listener: socket.socket) -> int:
    """The number of connections that wait to be accepted (Linux). Raises ``OSError``."""
    info = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _WAITING_AT + 4)
    return int(struct.unpack_from("I", info, _WAITING_AT)[0])
