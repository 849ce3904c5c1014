"""Parcels: items and results on their way between an executor and the processes of its pool workers.

Each item is pickled by itself, so that one that cannot be costs no other. A parcel of more than :data:`APART_BYTES` is not copied
through the socket: its parts are written into a file in memory whose descriptor travels instead, and the other side maps it.
Large buffers of arrays are parts of their own (protocol 5 of pickle, PEP 574), and the array on the other side lies in the mapped
memory. That memory is freed with the last array in it, and with the last process that has it, whichever way that one ends.

Both sides trust each other as a program trusts its own children: what arrives is unpickled.
"""

from __future__ import annotations

import os
import pickle
import struct
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple

from pypes.placement.channel import PassingChannel
from pypes.placement.mapped import file_in_memory, mapped

#: Parcels, and buffers of arrays, of more than this travel in memory that both sides map.
APART_BYTES: Final = 1 << 16
#: Buffers begin at multiples of this, as vector instructions like it.
ALIGNED: Final = 64
#: Parts that are written in one call; the kernel takes 1,024.
_WRITTEN: Final = 256
_PADDING: Final = bytes(ALIGNED)
_HEAD: Final = struct.Struct("<IQ")

#: Errors of pickling for a value that has no way to another process.
_UNSPEAKABLE = (pickle.PicklingError, AttributeError, TypeError, RecursionError, ValueError, NotImplementedError)

Buffer = bytes | memoryview


class Unspeakable(Exception):
    """Raised for a value that cannot travel to another process."""


class Spoken(NamedTuple):
    """A pickled value, and the large buffers in it."""

    parts: list[Buffer]
    size: int


def spoken(value: Any) -> Spoken:
    """Pickle a value. Raises :class:`Unspeakable`, and whatever the value's own code does."""
    buffers: list[pickle.PickleBuffer] = []

    def stays_inside(buffer: pickle.PickleBuffer) -> bool:
        if buffer.raw().nbytes < APART_BYTES:
            return True
        buffers.append(buffer)
        return False

    try:
        data = pickle.dumps(value, 5, buffer_callback=stays_inside)
    except _UNSPEAKABLE as error:
        buffers.clear()
        data = _by_value(value, stays_inside, error)
    else:
        # by name a class of the main program would be looked for in the main program of the other process
        if b"__main__" in data:
            buffers.clear()
            data = _by_value(value, stays_inside, None)
    if not buffers:
        return Spoken([data], len(data))
    parts: list[Buffer] = [data, *(buffer.raw() for buffer in buffers)]
    return Spoken(parts, sum(map(len, parts)))


def _by_value(value: Any, stays_inside: Any, error: Exception | None) -> bytes:
    import cloudpickle

    try:
        found: bytes = cloudpickle.dumps(value, 5, buffer_callback=stays_inside)
    except Exception as refusal:
        raise Unspeakable(str(error or refusal)) from (error or refusal)
    return found


class Entry(NamedTuple):
    """One value in a parcel: the position of its item, the kind of the value, and the sizes of its parts."""

    at: int
    kind: int
    sizes: tuple[int, ...]


class Parcel(NamedTuple):
    """A parcel that is ready to be sent: the payload of its frame, and the descriptor of the file in memory, to be closed."""

    payload: bytes
    fd: int | None

    def send(self, channel: PassingChannel, kind: int) -> None:
        """Send it, and close its descriptor. Raises ``OSError`` if the other side is gone."""
        try:
            channel.pass_on(kind, self.payload, self.fd)
        finally:
            self.close()

    def close(self) -> None:
        """Close its descriptor."""
        if self.fd is not None:
            os.close(self.fd)


def packed(number: int, values: Sequence[tuple[int, int, Spoken]]) -> Parcel:
    """A parcel of values with the positions of their items and their kinds; ``number`` is that of the stride."""
    head = pickle.dumps((number, [(index, kind, tuple(map(len, value.parts))) for index, kind, value in values]), 5)
    size = sum(value.size for _, _, value in values)
    parts = [part for _, _, value in values for part in value.parts]
    if size < APART_BYTES:
        return Parcel(b"".join([_HEAD.pack(len(head), 0), head, *parts]), None)
    fd = file_in_memory("pypes-parcel")
    try:
        whole = _written(fd, parts)
    except BaseException:
        os.close(fd)
        raise
    return Parcel(_HEAD.pack(len(head), whole) + head, fd)


def _written(fd: int, parts: Sequence[Buffer]) -> int:
    """Write the parts one after the other, each at a multiple of ``ALIGNED``; returns the size of the whole."""
    left: deque[Buffer] = deque()
    for part in parts:
        left.append(part)
        if len(part) % ALIGNED:
            left.append(_PADDING[len(part) % ALIGNED :])
    whole = sum(map(len, left))
    while left:
        done = os.writev(fd, list(islice(left, _WRITTEN)))
        while left and done >= len(left[0]):
            done -= len(left.popleft())
        if done:
            left[0] = memoryview(left[0])[done:]
    return whole


def opened(channel: PassingChannel, payload: bytes | bytearray) -> tuple[int, Iterator[tuple[Entry, Spoken]]]:
    """Number and values of a parcel that was just read from ``channel``, still pickled: see :func:`loaded`."""
    head_size, whole = _HEAD.unpack_from(payload)
    number, entries = pickle.loads(memoryview(payload)[_HEAD.size : _HEAD.size + head_size])
    if not whole:
        return number, _values(entries, memoryview(payload)[_HEAD.size + head_size :], 1)
    fd = channel.take_fd()
    try:
        memory = mapped(fd, whole)
    finally:
        os.close(fd)
    return number, _values(entries, memory, ALIGNED)


def _values(entries: list[tuple[int, int, tuple[int, ...]]], memory: memoryview, aligned: int) -> Iterator[tuple[Entry, Spoken]]:
    at = 0
    for index, kind, sizes in entries:
        parts: list[Buffer] = []
        for size in sizes:
            parts.append(memory[at : at + size])
            at += size + -size % aligned
        yield Entry(index, kind, sizes), Spoken(parts, sum(sizes))


def loaded(value: Spoken) -> Any:
    """The value itself. Raises whatever its code does."""
    return pickle.loads(value.parts[0], buffers=value.parts[1:])
