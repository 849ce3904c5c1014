"""What bytes on a connection mean, and how long the worker waits for them; against real workers, over bare sockets."""

from __future__ import annotations

import re
import resource
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from pypes.api.protocol import MAX_HEAD_BYTES, MAX_OVERHEAD_BYTES, MAX_PIPELINED
from pypes.core.limits import Limits
from pypes.testing.node import until
from tests.api.harness import Harness, serving
from tests.certificates import Authority

LENGTH = b"Content-Type: application/json\r\nContent-Length: %d\r\n"
CHUNKED = b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n"


@pytest.fixture(scope="module", params=["plain", "TLS"])
def speech(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What servers speak: HTTP alone, or within TLS."""
    if request.param == "plain":
        return {}
    authority = Authority(tmp_path_factory.mktemp("authority"))
    return {"files": authority.issue(), "ca_file": authority.file}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, speech: dict[str, Any]) -> Iterator[Harness]:
    with serving(tmp_path_factory.mktemp("server"), **speech) as found:
        yield found


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory, speech: dict[str, Any]) -> Iterator[Harness]:
    """A server that waits for nobody."""
    limits = Limits(head_s=0.5, stall_s=0.5, keep_alive_s=0.5)
    with serving(tmp_path_factory.mktemp("hasty"), limits=limits, **speech) as found:
        yield found


def head(method: bytes, more: bytes = b"", path: bytes = b"/docs") -> bytes:
    return method + b" " + path + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n" + more + b"\r\n"


def post(body: bytes, more: bytes = b"") -> bytes:
    return head(b"POST", more + LENGTH % len(body)) + body


def connect(server: Harness, *data: bytes) -> socket.socket:
    link = server.encrypted(socket.create_connection(("127.0.0.1", server.port), timeout=20))
    for piece in data:
        link.sendall(piece)
    return link


def until_end(link: socket.socket) -> bytes:
    """What comes until the server closes."""
    found = b""
    with link:
        while piece := link.recv(65536):
            found += piece
    return found


def statuses(answers: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+) ", answers)]


def said(server: Harness, *data: bytes) -> list[int]:
    """The statuses of all that is answered to bytes after which nothing comes that keeps the connection."""
    return statuses(until_end(connect(server, *data)))


def queued(server: Harness) -> int:
    server.http.clear()
    return len(list(server.get("/receipts").json()["receipts"]))


CLOSE = b"Connection: close\r\n"
LAST = head(b"GET", CLOSE, b"/healthz")


def test_an_offer_to_upgrade_is_ignored(server: Harness) -> None:
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"
    assert said(server, post(b'{"a": 1}', offer) + LAST) == [202, 200]
    chunked = head(b"POST", offer + CHUNKED) + b'8\r\n{"a": 1}\r\n0\r\n\r\n'
    assert said(server, chunked, LAST) == [202, 200]
    # the connection goes on where it did not ask for its end
    assert said(server, head(b"GET", offer, b"/healthz"), LAST) == [200, 200]
    assert said(server, head(b"GET", b"Connection: close, upgrade\r\nUpgrade: websocket\r\n", b"/healthz") + LAST) == [200]


def test_the_body_of_an_offer_is_no_request(server: Harness) -> None:
    before = queued(server)
    inner = post(b'{"text": "smuggled"}')
    offer = b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n" % len(inner)
    assert said(server, head(b"DELETE", offer, b"/docs/r/nobody"), inner, LAST) == [202, 200]
    assert said(server, head(b"PUT", offer, b"/nowhere"), inner, LAST) == [404, 200]
    assert queued(server) == before + 1


def test_connect_is_not_possible(server: Harness) -> None:
    assert said(server, b"CONNECT 127.0.0.1:80 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" + LAST) == [501]


def test_the_answers_of_sound_requests_come_before_the_refusal(server: Harness) -> None:
    before = queued(server)
    assert said(server, head(b"POST", LENGTH % 8) + b'{"a": 1}and more') == [202, 400]
    assert said(server, post(b'{"a": 1}') * 3 + b"nonsense\r\n\r\n") == [202, 202, 202, 400]
    # the body of the second breaks off in something that is no chunk
    assert said(server, post(b'{"a": 1}') + head(b"POST", CHUNKED) + b"8\r\n{\r\nnonsense") == [202, 400]
    assert queued(server) == before + 5


def test_a_body_that_breaks_is_refused_and_not_accepted(server: Harness) -> None:
    before = queued(server)
    assert said(server, head(b"POST", CHUNKED) + b'8\r\n{"a": 1}\r\nnonsense') == [400]
    assert said(server, head(b"POST", CHUNKED) + b"8\r\n", b"{no chunk ends here") == [400]
    assert queued(server) == before


@pytest.mark.parametrize(
    "coding", [b"gzip, chunked", b"gzip\r\nTransfer-Encoding: chunked", b"chunked, chunked", b"identity, chunked", b"x-chunked"]
)
def test_only_chunked_is_a_transfer_coding(server: Harness, coding: bytes) -> None:
    before = queued(server)
    request = head(b"POST", b"Content-Type: text/plain\r\nTransfer-Encoding: " + coding + b"\r\n") + b"1\r\na\r\n0\r\n\r\n"
    assert said(server, request)[0] in (400, 501)
    assert queued(server) == before


def test_a_fragment_is_no_part_of_an_address(server: Harness) -> None:
    more = LENGTH % 2
    answers = until_end(connect(server, post(b"{}"), head(b"PUT", more, b"/docs/route/one#two") + b"{}"))
    assert statuses(answers) == [202, 400]
    assert b"http.fragment" in answers
    assert said(server, head(b"PUT", more + CLOSE, b"/docs/route/one%23two") + b"{}") == [202]


def test_http_1_0_knows_no_interim_answers(server: Harness) -> None:
    old = head(b"POST", b"Expect: 100-continue\r\n" + LENGTH % 2).replace(b"HTTP/1.1", b"HTTP/1.0")
    assert said(server, old, b"{}") == [202]


def test_trailers_are_no_headers(server: Harness) -> None:
    chunked = head(b"POST", CHUNKED) + b'8\r\n{"a": 1}\r\n0\r\n'
    # as headers they would be: a key, a body in another encoding, two hosts
    trailers = b"Idempotency-Key: x\r\nContent-Encoding: gzip\r\nHost: evil.example\r\nPrefer: wait=20\r\n\r\n"
    pieces = [trailers[start : start + 7] for start in range(0, len(trailers), 7)]
    assert said(server, chunked, *pieces, LAST) == [202, 200]
    assert said(server, chunked + trailers + post(b'{"b": 2}', b"Idempotency-Key: x\r\n") + LAST) == [202, 202, 200]


def resident(server: Harness) -> int:
    (pid,) = server.workers()
    return int(psutil.Process(pid).memory_info().rss)


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (b"0\r\n", b"a: b\r\n"),
        (b"0\r\n", b"endless"),
        (b"1;", b"extension=x;"),
        (b"0\r\na: b\r\n", b"c: d\r\n"),
    ],
    ids=["fields", "one-field", "extensions", "after-a-field"],
)
def test_what_stands_around_a_body_is_bounded(server: Harness, begin: bytes, more: bytes) -> None:
    before = queued(server)
    memory = resident(server)
    link = connect(server, head(b"POST", CHUNKED), b'8\r\n{"a": 1}\r\n' + begin)
    block = more * (64000 // len(more))
    sent = 0
    try:
        while sent < 32 << 20:
            link.sendall(block)
            sent += len(block)
        answer = until_end(link)
    except ConnectionError:  # it does not read for ever
        answer = b"HTTP/1.1 431 "
        link.close()
    assert statuses(answer) == [431]
    assert resident(server) - memory < 16 << 20
    assert queued(server) == before


def test_few_trailers_and_heads_up_to_the_bound_are_taken(server: Harness) -> None:
    trailer = b"a: %b\r\n\r\n" % (b"x" * (MAX_OVERHEAD_BYTES // 2))
    assert said(server, head(b"POST", CHUNKED) + b'8\r\n{"a": 1}\r\n0\r\n' + trailer, LAST) == [202, 200]
    assert said(server, post(b'{"a": 1}', b"X-Long: %b\r\n" % (b"x" * (MAX_HEAD_BYTES // 2))), LAST) == [202, 200]
    assert said(server, b"GET /healthz HTTP/1.1\r\nX-Long: " + b"x" * (2 * MAX_HEAD_BYTES), b"x" * MAX_HEAD_BYTES)[0] == 431


def test_requests_that_wait_for_each_other_are_bounded(server: Harness) -> None:
    few = post(b'{"a": 1}') * MAX_PIPELINED
    assert said(server, few + LAST) == [202] * MAX_PIPELINED + [200]
    many = said(server, head(b"GET", b"", b"/healthz") * (3 * MAX_PIPELINED))
    assert many[:-1] == [200] * (len(many) - 1)
    assert many[-1] == 400


def test_a_body_behind_other_requests_is_read_when_its_turn_comes(server: Harness) -> None:
    """Every answer before it let in more of it, with nobody to take it."""
    (pid,) = server.workers()
    body = b"x" * (48 << 20)
    before = peak_bytes(pid)
    few = head(b"GET", b"", b"/healthz") * (MAX_PIPELINED - 6)
    text = b"Content-Type: text/plain\r\nContent-Length: %d\r\n" % len(body)
    found = said(server, few + head(b"POST", text + CLOSE), body)
    assert found == [200] * (MAX_PIPELINED - 6) + [202]
    assert peak_bytes(pid) - before < 16 << 20


def peak_bytes(pid: int) -> int:
    """The most memory that a process has had."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) << 10  # type: ignore[index]


def test_a_small_chunk_at_a_time_is_a_body(server: Harness) -> None:
    body = b'{"a": "%b"}' % (b"x" * 5000)
    chunks = [b"1\r\n" + body[at : at + 1] + b"\r\n" for at in range(len(body))]
    assert said(server, head(b"POST", CHUNKED) + b"".join(chunks) + b"0\r\n\r\n" + LAST) == [202, 200]


def test_who_sends_a_body_that_is_not_wanted_reads_why(tmp_path: Path, speech: dict[str, Any]) -> None:
    """It sends all of it before it reads: a connection that is closed at once would be reset, and the answer with it."""
    body = b"x" * (6 << 20)
    text = b"Content-Type: text/plain\r\nContent-Length: %d\r\n" % len(body)
    with serving(tmp_path, limits=Limits(queue_max_bytes=4 << 20, body_bytes=64 << 20), **speech) as server:
        assert said(server, head(b"POST", text), body) == [429]
        long = b"Content-Type: text/plain\r\nContent-Length: %d\r\n" % (128 << 20)
        assert said(server, head(b"POST", long), body) == [413]
        assert said(server, post(b'{"a": 1}', CLOSE)) == [202]


def test_a_small_bound_of_bodies_holds_whatever_way_they_come(tmp_path: Path) -> None:
    allowed, long = (b'{"a": "%b"}' % (b"x" * size) for size in (990, 991))
    with serving(tmp_path, limits=Limits(body_bytes=len(allowed))) as server:
        for body, status in ((allowed, 202), (long, 413)):
            chunk, half = b"%x\r\n%b\r\n" % (len(body), body), len(body) // 2
            halves = [b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:half], body[half:])]
            ways = {
                "whole": [post(body, CLOSE)],
                "past the short path": [post(body, CLOSE + b"Idempotency-Key: %d\r\n" % len(body))],
                "after its head": [head(b"POST", CLOSE + LENGTH % len(body)), body],
                "in a chunk": [head(b"POST", CLOSE + CHUNKED) + chunk + b"0\r\n\r\n"],
                "in two chunks": [head(b"POST", CLOSE + CHUNKED), halves[0], halves[1] + b"0\r\n\r\n"],
                "of the bulk lane": [post(body, CLOSE).replace(b"/docs", b"/docs?lane=bulk")],
            }
            assert {way: said(server, *data) for way, data in ways.items()} == {way: [status] for way in ways}


def test_a_client_that_stops_is_not_waited_for(hasty: Harness) -> None:
    foreign = b"POST /docs HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 100\r\n\r\n{"
    expected = {
        b"": [],
        b"\r\n": [408],
        b"POST /docs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Le": [408],
        head(b"POST", LENGTH % 100) + b'{"a": ': [408],
        head(b"POST", CHUNKED): [408],
        head(b"POST", CHUNKED) + b"8\r\n": [408],
        head(b"GET", b"", b"/healthz"): [200],
        head(b"GET", b"", b"/healthz") + b"GET /heal": [200],
        post(b'{"a": 1}') + head(b"POST", LENGTH % 100) + b"{": [202, 408],
        # answered before its body came
        foreign: [403],
    }
    before = queued(hasty)
    links = {sent: connect(hasty, sent) for sent in expected}
    assert {sent: statuses(until_end(link)) for sent, link in links.items()} == expected
    assert queued(hasty) == before + 1


def test_a_slow_body_that_moves_is_waited_for(hasty: Harness) -> None:
    body = b'{"a": 1}'
    link = connect(hasty, head(b"POST", CLOSE + LENGTH % len(body)))
    clock = connect(hasty, b"GET")  # this one does not move
    link.settimeout(0.3)
    for at in range(len(body)):
        with pytest.raises(TimeoutError):
            link.recv(1)
        link.sendall(body[at : at + 1])
    assert statuses(until_end(clock)) == [408]
    link.settimeout(20)
    assert statuses(until_end(link)) == [202]


def test_a_client_that_does_not_take_its_answer_is_let_go(hasty: Harness) -> None:
    (pid,) = hasty.workers()
    link = socket.socket()
    link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    link.connect(("127.0.0.1", hasty.port))
    link.settimeout(20)
    link = hasty.encrypted(link)
    with link:
        # answers of some hundred kilobytes in all, more than any buffer in between takes
        sent = head(b"GET", b"", b"/openapi.json") * 200
        link.sendall(sent)
        port = link.getsockname()[1]
        until(lambda: port not in clients(pid), 20, "the connection is given up")
    # the request whose answer it did not take is told, with others waiting behind it
    assert "Exception in ASGI application" not in hasty.log()


def clients(pid: int) -> set[int]:
    return {c.raddr.port for c in psutil.Process(pid).net_connections("tcp") if c.raddr}


def test_a_crowd_of_silent_connections_locks_nobody_out(tmp_path: Path, speech: dict[str, Any]) -> None:
    with serving(tmp_path, limits=Limits(connections=4), **speech) as server:
        silent = [connect(server, b"POST /docs HTTP/1.1\r\nHo") for _ in range(40)]
        try:
            assert server.post().status == 202
            assert server.get("/healthz").status == 200
        finally:
            for link in silent:
                link.close()
        assert server.log().count("too many connections") == 1


def test_with_all_connections_at_work_probes_are_still_answered(tmp_path: Path, speech: dict[str, Any]) -> None:
    with serving(tmp_path, limits=Limits(connections=3), **speech) as server:
        server.http.clear()
        body = b'{"a": 1}'
        busy = [connect(server, head(b"POST", LENGTH % len(body) + CLOSE) + b"{") for _ in range(3)]
        (pid,) = server.workers()
        until(lambda: len(clients(pid)) >= 3, 20, "all are connected")
        assert said(server, head(b"GET", CLOSE, b"/healthz")) == [200]
        assert said(server, head(b"GET", CLOSE, b"/readyz")) == [200]
        refused = until_end(connect(server, post(body)))
        assert statuses(refused) == [503]
        assert b"retry-after: " in refused
        for link in busy:
            link.sendall(body[1:])
            assert statuses(until_end(link)) == [202]
        assert said(server, post(body, CLOSE)) == [202]


def test_few_descriptors_mean_few_connections(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        with serving(tmp_path) as server:
            assert "too few file descriptors" in server.log()
            assert server.post().status == 202
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
