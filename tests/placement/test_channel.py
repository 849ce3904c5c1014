"""Frames over a socket, whole and in order."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator

import pytest

from pypes.placement.channel import Broken, Channel, PassingChannel, Patience

#: Kinds of frames.
SENT, DONE = 4, 6


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair()
    with one, other:
        yield one, other


def test_frames_arrive_whole_and_in_order(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = Channel(ends[0], 1 << 30), Channel(ends[1], 1 << 30)
    sizes = [0, 1, 65_535, 65_536, 3_000_000, 5, 70_000, 0]

    def send() -> None:
        for size in sizes:
            theirs.keep(SENT, b"k" * (size // 3))
            theirs.write(DONE, b"w" * size)
        theirs.end()

    sender = threading.Thread(target=send)
    sender.start()
    for size in sizes:
        assert ours.read(Patience(10)) == (SENT, b"k" * (size // 3))
        assert ours.read() == (DONE, b"w" * size)
    assert ours.read() is None
    sender.join()


def test_reading_has_an_end(ends: tuple[socket.socket, socket.socket]) -> None:
    with pytest.raises(TimeoutError):
        Channel(ends[0], 10).read(Patience(0.001))
    ends[1].sendall(b"\1")  # less than a frame
    with pytest.raises(TimeoutError):
        Channel(ends[0], 10).read(Patience(0.001))


def test_what_has_come_is_read_however_late_it_is(ends: tuple[socket.socket, socket.socket]) -> None:
    Channel(ends[1], 10).write(DONE, b"x")
    assert Channel(ends[0], 10).read(Patience(0)) == (DONE, b"x")


@pytest.mark.parametrize("head", [(1 << 40, DONE), (1, 99)])
def test_an_odd_frame_is_refused(ends: tuple[socket.socket, socket.socket], head: tuple[int, int]) -> None:
    ends[1].sendall(head[0].to_bytes(8, "little") + bytes([head[1]]))
    with pytest.raises(Broken):
        Channel(ends[0], 1 << 20).read(Patience(5))


def test_an_end_in_the_middle_is_an_end(ends: tuple[socket.socket, socket.socket]) -> None:
    for size in (10, 1 << 20):
        one, other = socket.socketpair()
        with one, other:
            other.sendall(size.to_bytes(8, "little") + bytes([DONE]) + b"short")
            other.shutdown(socket.SHUT_WR)
            assert Channel(one, 1 << 30).read(Patience(5)) is None


def test_descriptors_come_with_their_frames(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = PassingChannel(ends[0], 1 << 30), PassingChannel(ends[1], 1 << 30)
    ours.pass_on(1, b"none", None)
    for number in range(3):
        reading, writing = os.pipe()
        os.write(writing, b"%d" % number)
        ours.pass_on(2, b"x" * 70_000 * (number % 2), reading)
        os.close(reading)
        os.close(writing)
    assert theirs.read() == (1, b"none")
    for number in range(3):
        assert theirs.read() == (2, b"x" * 70_000 * (number % 2))
        fd = theirs.take_fd()
        assert os.read(fd, 9) == b"%d" % number
        assert not os.get_inheritable(fd)
        os.close(fd)
    with pytest.raises(Broken, match="without its descriptor"):
        theirs.take_fd()


def test_descriptors_that_nobody_took_are_closed_with_their_channel(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = PassingChannel(ends[0], 1 << 30), PassingChannel(ends[1], 1 << 30)
    reading, writing = os.pipe()
    ours.pass_on(2, b"", writing)
    os.close(writing)
    assert theirs.read() == (2, b"")
    assert not theirs.has_more
    theirs.close()
    assert os.read(reading, 1) == b""  # the last writing end is closed
    os.close(reading)
