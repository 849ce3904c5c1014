"""Bodies that arrive at the same time share memory and disk; against a real worker, over bare sockets."""

from __future__ import annotations

import re
import socket
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from pypes.api.reception import INLINE_COSTLY_BYTES, grown_bytes, is_costly
from pypes.core.limits import MIB, Limits
from pypes.ingest.delivery import Header
from pypes.testing.node import until
from tests.api.harness import Harness, serving

BLOCK = b"x" * MIB


@pytest.mark.parametrize(
    ("content_type", "costly"),
    [
        ("application/json", False),
        ("", False),
        ("text/plain; multipart/", False),
        ("Multipart/Form-Data; boundary=x", True),
        ("application/msgpack", True),
        ("Application/X-Protobuf;charset=utf-8", True),
    ],
)
def test_a_body_that_may_take_long_to_check_goes_to_a_thread_sooner(content_type: str, costly: bool) -> None:
    assert is_costly(content_type) is costly
    size = INLINE_COSTLY_BYTES + 1
    assert (grown_bytes(Header("g", content_type=content_type), size, Limits()) is not None) is costly


def begin(server: Harness, content_type: bytes, method: bytes = b"POST", path: bytes = b"/docs") -> socket.socket:
    link = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    link.sendall(
        method + b" " + path + b" HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: " + content_type + b"\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    return link


def send(link: socket.socket, data: bytes) -> None:
    link.sendall(b"%x\r\n%b\r\n" % (len(data), data))


def status(link: socket.socket) -> int:
    found = b""
    with link:
        try:
            while piece := link.recv(65536):
                found += piece
        except ConnectionResetError:  # refused while it was still being sent
            pass
    (first,) = re.findall(rb"^HTTP/1\.1 (\d+) ", found)
    return int(first)


def resident(server: Harness) -> int:
    (pid,) = server.workers()
    return int(psutil.Process(pid).memory_info().rss)


def spooled(server: Harness) -> int:
    return sum(path.stat().st_size for path in Path(server.config.data_dir).glob("shards/*/spool/*"))


def sends(link: socket.socket, count: int) -> bool:
    """Send so many MiB; False if they are not taken."""
    try:
        for _ in range(count):
            send(link, BLOCK)
    except OSError:
        return False
    return True


def ends(link: socket.socket, end: bytes) -> int:
    """Send the last chunk and the end; returns the status."""
    with suppress(OSError):
        send(link, end)
        link.sendall(b"0\r\n\r\n")
    return status(link)


def test_arrays_that_do_not_end_share_a_budget_of_memory(tmp_path: Path) -> None:
    """Each could be taken by itself; together they would take 12 times 20 MiB."""
    with serving(tmp_path, limits=Limits(receiving_bytes=32 * MIB)) as server:
        assert server.post().status == 202
        most = before = resident(server)
        links = [begin(server, b"application/json") for _ in range(12)]
        for link in links:
            send(link, b'[{"a": "')
        with ThreadPoolExecutor(len(links)) as threads:
            jobs = [threads.submit(sends, link, 20) for link in links]
            while not all(job.done() for job in jobs):
                most = max(most, resident(server))
                wait(jobs, 0.02, FIRST_COMPLETED)
        # the budget, one body more, and some room
        assert most - before < 110 * MIB
        assert {ends(link, b'"}]') for link in links} == {202, 429}
        # all of it is given back
        assert server.post(b"[" + b'{"a": 1},' * 300_000 + b'{"a": 1}]').status == 202


def test_bodies_of_the_other_resources_share_it(tmp_path: Path) -> None:
    with serving(tmp_path, limits=Limits(receiving_bytes=8 * MIB)) as server:
        first = begin(server, b"application/json", b"PUT", b"/graphs/a")
        assert sends(first, 7)
        # the first does not end before the second has to give up
        second = begin(server, b"application/json", b"PUT", b"/graphs/a")
        sends(second, 4)
        assert ends(second, b" ") == 429
        assert ends(first, b" ") == 400


def test_chunked_bodies_stay_within_the_queue_on_the_disk(tmp_path: Path) -> None:
    with serving(tmp_path, limits=Limits(queue_max_bytes=8 * MIB)) as server:
        first = begin(server, b"text/plain")
        for _ in range(6):
            send(first, BLOCK)
        until(lambda: spooled(server) >= 5 * MIB, 20, "the first has been written")
        second = begin(server, b"text/plain")
        for _ in range(5):
            send(second, BLOCK)
        assert status(second) == 429
        until(lambda: spooled(server) <= 6 * MIB, 20, "what was refused has been removed")
        # small ones count, too: no room is promised twice
        big = b"y" * (3 * MIB)
        assert server.post(big, **{"Content-Type": "text/plain"}).status == 429
        first.sendall(b"0\r\n\r\n")
        assert status(first) == 202
        # the queue has it now: 6 of 8 MiB
        assert server.post(b"y" * MIB, **{"Content-Type": "text/plain"}).status == 202
        assert server.post(big, **{"Content-Type": "text/plain"}).status == 429


def test_a_body_that_is_given_up_gives_its_room_back(tmp_path: Path) -> None:
    with serving(tmp_path, limits=Limits(queue_max_bytes=8 * MIB)) as server:
        for _ in range(3):
            link = begin(server, b"text/plain")
            for _ in range(6):
                send(link, BLOCK)
            until(lambda: spooled(server) >= 5 * MIB, 20, "it has been written")
            link.close()
            until(lambda: spooled(server) == 0, 20, "it is gone")
        assert server.post(b"y" * (7 * MIB), **{"Content-Type": "text/plain"}).status == 202
