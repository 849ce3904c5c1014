"""Parcels: items and results on their way between an executor and the processes of its pool workers.

Each item is put into words by itself (:mod:`pypes.placement.speech`), so that one that cannot be costs no other. A parcel of more
than :data:`APART_BYTES` is not copied through the socket: its parts are written into a file in memory whose descriptor travels
instead, and the other side maps it. Large buffers of arrays are parts of their own, and the array on the other side lies in the
mapped memory. That is freed with the last array in it, and with the last process that has it, whichever way that one ends.
"""

from __future__ import annotations

import os
import struct
from array import array
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final, NamedTuple

from pypes.placement.channel import Broken, Channel, PassingChannel
from pypes.placement.mapped import file_in_memory, mapped

#: Values, and buffers of arrays, of more than this travel in memory that both sides map.
APART_BYTES: Final = 1 << 16
#: Parcels of smaller values, up to this, are copied: mapping memory for them, and unmapping it, costs more. The answers that a
#: pool worker sends once it has ``APART_BYTES`` of them are below it, and a socket takes as much without anybody reading.
COPIED_BYTES: Final = 2 * APART_BYTES
#: Buffers begin at multiples of this, as vector instructions like it.
ALIGNED: Final = 64
#: Parts that are written in one call; the kernel takes 1,024.
_WRITTEN: Final = 256
_PADDING: Final = bytes(ALIGNED)
#: Number, bytes of the head, and bytes of the memory that is passed. The head has words of 64 bits for each value: position,
#: kind, count of its parts, and their sizes.
_HEAD: Final = struct.Struct("<IIQ")

Buffer = bytes | memoryview


class Spoken(NamedTuple):
    """A pickled value, and the large buffers in it."""

    parts: list[Buffer]
    size: int


class Entry(NamedTuple):
    """One value in a parcel: the position of its item, and the kind of the value."""

    at: int
    kind: int


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


def packed(number: int, values: Sequence[tuple[int, int, Spoken]], *, is_inline: bool = False) -> Parcel:
    """A parcel of values with the positions of their items and their kinds; ``number`` is that of the stride.

    ``is_inline`` has it copied through the socket whatever its size, for a receiver that takes no memory from this process.
    """
    words = array("Q")
    parts: list[Buffer] = []
    for at, kind, value in values:
        words.extend((at, kind, len(value.parts), *map(len, value.parts)))
        parts += value.parts
    head = words.tobytes()
    if is_inline or _is_small([value.size for _, _, value in values]):
        return Parcel(b"".join([_HEAD.pack(number, len(head), 0), head, *parts]), None)
    fd = file_in_memory("pypes-parcel")
    try:
        whole = _written(fd, parts)
    except BaseException:
        os.close(fd)
        raise
    return Parcel(_HEAD.pack(number, len(head), whole) + head, fd)


def _is_small(sizes: Sequence[int]) -> bool:
    """True for values that are copied faster than memory is mapped, and unmapped, for them."""
    return sum(sizes) < COPIED_BYTES and max(sizes, default=0) < APART_BYTES


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


def opened(channel: Channel, payload: bytes | bytearray) -> tuple[int, Iterator[tuple[Entry, Spoken]]]:
    """Number and values of a parcel that was just read from ``channel``. Raises :class:`Broken`, and so do the values."""
    words = array("Q")
    try:
        number, head_size, whole = _HEAD.unpack_from(payload)
        words.frombytes(memoryview(payload)[_HEAD.size : _HEAD.size + head_size])
    except (struct.error, ValueError) as error:
        raise Broken(f"a parcel without its head: {error}") from error
    if not whole:
        return number, _values(words, memoryview(payload)[_HEAD.size + head_size :], 1)
    if not isinstance(channel, PassingChannel):
        raise Broken("a parcel in memory that is not taken")
    fd = channel.take_fd()
    try:
        memory = mapped(fd, whole)
    finally:
        os.close(fd)
    return number, _values(words, memory, ALIGNED)


def _values(words: array[int], memory: memoryview, aligned: int) -> Iterator[tuple[Entry, Spoken]]:
    place = begin = 0
    while place < len(words):
        if place + 3 > len(words) or place + 3 + words[place + 2] > len(words):
            raise Broken("a parcel with half an entry")
        at, kind, count = words[place : place + 3]
        sizes = words[place + 3 : place + 3 + count]
        place += 3 + count
        parts: list[Buffer] = []
        for size in sizes:
            parts.append(memory[begin : begin + size])
            begin += size + -size % aligned
        if begin > len(memory):
            raise Broken("a parcel that is shorter than it says")
        yield Entry(at, kind), Spoken(parts, sum(sizes))
