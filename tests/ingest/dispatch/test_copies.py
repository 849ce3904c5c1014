"""Copies for shadows: written while the socket takes them, left out when it does not, and never waited for."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from pypes.ingest import protocol
from pypes.ingest.contracts.leasing import Lease
from pypes.ingest.delivery import Header, Spooled
from pypes.ingest.dispatch.copies import COPY_BYTES, Copies
from pypes.ingest.protocol import FrameReader, Rerun


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(tmp_path / "s.sock"))
        listener.listen(8)
        yield listener


def lease(number: int, body: bytes | Spooled = b"{}", **changes: object) -> Lease:
    return Lease(f"r{number}", 1, 1, Header("g"), body, **changes)  # type: ignore[arg-type]


async def received(connection: socket.socket, until: int, reader: FrameReader | None = None) -> list[int]:
    """Numbers of the copies that come, up to ``until``."""
    reader, numbers = reader or FrameReader(), list[int]()
    connection.setblocking(False)
    loop = asyncio.get_running_loop()
    while not numbers or numbers[-1] < until:
        data = await asyncio.wait_for(loop.sock_recv(connection, 1 << 16), 10)
        for kind, head, body in reader.feed(data):
            assert kind == protocol.DELIVER
            for item, own in protocol.read_items(head, body):
                assert item.receipt == f"r{item.number}"
                assert len(own) == item.size
                numbers.append(item.number)
    return numbers


def test_only_what_has_a_shadow_is_copied(listener: socket.socket) -> None:
    async def check() -> None:
        copies = Copies(asyncio.get_running_loop())
        assert not copies
        copies.apply({"g": listener.getsockname()})
        assert copies
        connection = listener.accept()[0]
        with connection:
            copies.copy("other", [lease(0)])
            copies.copy("g", [lease(0), lease(1)])
            copies.copy("g", [lease(2)])
            assert await received(connection, 2) == [0, 1, 2]
        copies.apply({})
        assert not copies

    asyncio.run(check())


def test_numbers_tell_what_was_left_out(listener: socket.socket) -> None:
    async def check() -> None:
        copies = Copies(asyncio.get_running_loop())
        copies.apply({"g": listener.getsockname()})
        with listener.accept()[0] as connection:
            large = b"x" * COPY_BYTES
            suspects = [lease(2, is_suspect=True), lease(3, crashes=1), lease(4, rerun=Rerun())]
            copies.copy("g", [lease(0), lease(1, large), *suspects, lease(5, Spooled("/none", 5)), lease(6)])
            assert await received(connection, 6) == [0, 6]
        copies.close()

    asyncio.run(check())


def test_a_full_socket_takes_no_more_and_whole_frames_come(listener: socket.socket) -> None:
    async def check() -> None:
        copies = Copies(asyncio.get_running_loop())
        copies.apply({"g": listener.getsockname()})
        with listener.accept()[0] as connection:
            for number in range(1000):
                copies.copy("g", [lease(number, b"x" * 50_000)])
            # the rest of the frame that had begun follows, then there is room again
            reader = FrameReader()
            first = await received(connection, 0, reader)
            assert first[0] == 0
            seen = 1000
            reading = asyncio.create_task(received(connection, 1000, reader))
            while not reading.done():
                copies.copy("g", [lease(seen, b"x" * 50_000)])
                seen += 1
                await asyncio.sleep(0)
            later = await reading
            assert later == sorted(later)
            assert len(first) + len(later) < 1000
        copies.close()

    asyncio.run(check())


def test_a_shadow_that_is_gone_is_forgotten(listener: socket.socket) -> None:
    async def check() -> None:
        copies = Copies(asyncio.get_running_loop())
        copies.apply({"g": listener.getsockname()})
        listener.accept()[0].close()
        copies.copy("g", [lease(0)])
        assert not copies
        copies.apply({"g": "/nobody/listens"})
        assert not copies

    asyncio.run(check())
