"""TLS of connections: what is there beside HTTP, which :mod:`tests.api.test_protocol` looks at."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from pypes.api.encrypted import MAX_OWN_BYTES, Encrypted
from pypes.core.certificate import Certificate
from pypes.core.limits import Limits
from pypes.testing.node import until
from tests.api.harness import Harness, serving
from tests.api.test_protocol import CLOSE, LAST, clients, connect, head, post, said, statuses, until_end
from tests.certificates import Authority, issued


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Harness]:
    base, files = tmp_path_factory.mktemp("server"), authority.issue()
    with serving(base, workers=2, files=files, ca_file=authority.file) as found:
        yield found


def raw(server: Harness) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=20)


def test_one_from_a_stranger_is_not_talked_to(server: Harness) -> None:
    with raw(server) as link, pytest.raises(ssl.SSLCertVerificationError):
        ssl.create_default_context().wrap_socket(link, server_hostname="127.0.0.1")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_each_version_from_1_2_on_is_spoken(server: Harness, authority: Authority, version: ssl.TLSVersion) -> None:
    context = authority.trusting()
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2", "http/1.1"])
    with context.wrap_socket(raw(server), server_hostname="localhost", suppress_ragged_eofs=False) as link:
        assert link.selected_alpn_protocol() == "http/1.1"
        link.sendall(post(b'{"a": 1}', CLOSE))
        assert statuses(until_end(link)) == [202]


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_older_versions_are_refused(server: Harness, authority: Authority) -> None:
    context = authority.trusting()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with raw(server) as link, pytest.raises(ssl.SSLError):
        context.wrap_socket(link, server_hostname="localhost")


def test_who_forgets_the_s_is_told(server: Harness) -> None:
    for asked in (head(b"GET", b"", b"/healthz"), post(b'{"a": 1}')):
        with raw(server) as link:
            link.sendall(asked)
            answer = until_end(link)
        assert statuses(answer) == [400]
        assert b"http.tls_required" in answer
    assert said(server, LAST) == [200]


def test_what_is_no_tls_ends_the_connection(server: Harness) -> None:
    for sent in (b"SSH-2.0-OpenSSH_9.2\r\n", b"\x16\x03\x01\xff\xff" + b"x" * 300, b"\x16\x03\x01\x00\x05hello"):
        with raw(server) as link:
            link.sendall(sent)
            assert b"HTTP" not in until_end(link)
    assert said(server, LAST) == [200]
    assert "Traceback" not in server.log()


def test_a_handshake_that_is_not_finished_is_not_waited_for(tmp_path: Path, authority: Authority) -> None:
    half = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), half, server_hostname="localhost").do_handshake()
    hello = half.read()
    with serving(tmp_path, files=authority.issue(), ca_file=authority.file, limits=Limits(head_s=0.5)) as server:
        links = []
        for sent in (b"", hello[:50], hello):
            links.append(raw(server))
            links[-1].sendall(sent)
        # the last one is spoken to, and says nothing
        assert [bool(until_end(link)) for link in links] == [False, False, True]


def test_handshakes_are_counted_as_connections_and_give_way(tmp_path: Path, authority: Authority) -> None:
    with serving(tmp_path, files=authority.issue(), ca_file=authority.file, limits=Limits(connections=4)) as server:
        silent = [raw(server) for _ in range(40)]
        try:
            assert server.post().status == 202
        finally:
            for link in silent:
                link.close()
        assert server.log().count("too many connections") == 1


def test_records_are_put_together_and_large_answers_taken_apart(server: Harness) -> None:
    body = b'{"a": "%b"}' % (b"x" * 300_000)
    pieces = [post(body, CLOSE)[at : at + 7000] for at in range(0, 310_000, 7000)]
    assert said(server, *pieces) == [202]
    assert len(until_end(connect(server, head(b"GET", CLOSE, b"/openapi.json")))) > 3 * 16384
    # a byte a record
    assert said(server, *(bytes([byte]) for byte in post(b'{"a": 1}', CLOSE))) == [202]


def test_each_request_is_answered_on_the_short_path(server: Harness) -> None:
    """What comes in one piece is handed over in one piece."""
    link = connect(server)
    for _ in range(3):
        link.sendall(post(b'{"a": 1}'))
        assert statuses(link.recv(65536)) == [202]
    link.sendall(post(b'{"a": 1}', CLOSE))
    assert statuses(until_end(link)) == [202]


def test_a_connection_outlives_its_certificate(server: Harness, authority: Authority) -> None:
    old = [connect(server, head(b"GET", b"", b"/healthz")) for _ in range(8)]
    assert {link.recv(65536)[:12] for link in old} == {b"HTTP/1.1 200"}
    names = {issued(link) for link in old}
    server.present(authority.issue("another"))

    def shown() -> str:
        with connect(server) as link:
            return issued(link)

    try:
        # both workers, as often as not
        until(lambda: {shown() for _ in range(8)} == {"another"}, 20, "the new one is shown")
        assert "another" not in names
        for link in old:
            link.sendall(post(b'{"a": 1}', CLOSE))
            assert statuses(until_end(link)) == [202]
        # a worker that comes later has it, too
        server.http.clear()
        for pid in server.workers():
            os.kill(pid, signal.SIGKILL)
        until(lambda: len(server.pids) >= 4 and server.get("/healthz").status == 200, 20, "served")
        assert shown() == "another"
    finally:
        for link in old:
            link.close()


def test_a_worker_that_ends_says_so(tmp_path: Path, authority: Authority) -> None:
    with serving(tmp_path, files=authority.issue(), ca_file=authority.file) as server:
        idle, busy = connect(server), connect(server, post(b'{"a": 1}')[:-1])
        (pid,) = server.workers()
        until(lambda: len(clients(pid)) >= 2, 20, "both are connected")
        server.process.send_signal(signal.SIGTERM)
        # a ragged end would raise
        assert until_end(idle) == b""
        busy.sendall(b"}")
        assert statuses(until_end(busy)) == [202]
        assert server.process.wait(10) == 0


# -- the two sides, within the test ---------------------------------------------------------------------------


class Wire(asyncio.Transport):
    """A transport whose other end reads only when the test does."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.is_over = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += data

    def get_write_buffer_size(self) -> int:
        return len(self.sent)

    def is_closing(self) -> bool:
        return self.is_over

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def write_eof(self) -> None: ...

    def close(self) -> None:
        self.is_over = True

    def abort(self) -> None:
        self.is_over = True


class Client:
    """The other end, without a socket."""

    def __init__(self, context: ssl.SSLContext, server: Encrypted, wire: Wire) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")
        self.server, self.wire = server, wire

    def take(self) -> None:
        self.incoming.write(self.wire.sent)
        self.wire.sent = b""

    def shake_hands(self) -> None:
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                self.server.data_received(self.outgoing.read())
                self.take()
            else:
                break
        self.server.data_received(self.outgoing.read())
        self.take()
        with suppress(ssl.SSLWantReadError):  # tickets
            self.tls.read(1)


class Heard(asyncio.Protocol):
    """A protocol that keeps what it is told."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.is_over = False

    def data_received(self, data: bytes) -> None:
        self.heard.append(data)

    def eof_received(self) -> None:
        self.heard.append(b"")

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_over = True


def met(authority: Authority) -> tuple[Client, Encrypted, Wire, Heard]:
    heard, wire = Heard(), Wire()
    server = Encrypted(Certificate.read(*authority.issue()).context(), heard)
    server.connection_made(wire)
    client = Client(authority.trusting(), server, wire)
    client.shake_hands()
    return client, server, wire, heard


def test_what_came_in_one_piece_is_one_piece(authority: Authority) -> None:
    client, server, wire, heard = met(authority)
    for record in (b"a", b"b" * 100, b"c"):
        client.tls.write(record)
    sent = client.outgoing.read()
    server.data_received(sent[:-1])
    server.data_received(sent[-1:])
    assert heard.heard == [b"a" + b"b" * 100, b"c"]
    assert server.get_extra_info("sslcontext") is not None
    server.write(b"answer" * 10_000)
    client.take()
    assert b"".join(client.tls.read(16384) for _ in range(4)) == b"answer" * 10_000
    server.connection_lost(None)
    assert heard.is_over
    # nothing is sent on what is over
    server.close()
    assert not wire.sent


def test_a_client_that_says_goodbye_is_told_goodbye(authority: Authority) -> None:
    client, server, wire, heard = met(authority)
    client.tls.write(b"last")
    with pytest.raises(ssl.SSLWantReadError):
        client.tls.unwrap()
    server.data_received(client.outgoing.read())
    assert heard.heard == [b"last", b""]
    assert wire.is_over
    client.take()
    client.tls.unwrap()


def test_a_damaged_record_ends_the_connection_and_is_not_heard(authority: Authority) -> None:
    client, server, wire, heard = met(authority)
    client.tls.write(b"hello")
    sent = bytearray(client.outgoing.read())
    sent[-1] ^= 1
    server.data_received(bytes(sent))
    assert wire.is_over
    assert heard.heard == []


def test_what_comes_after_the_end_is_counted_and_not_deciphered(authority: Authority) -> None:
    client, server, wire, heard = met(authority)
    server.write(b"refused")
    server.write_eof()
    client.take()
    assert (client.tls.read(100), client.tls.read(100)) == (b"refused", b"")
    client.tls.write(b"x" * 1000)
    sent = client.outgoing.read()
    server.data_received(sent)
    assert [len(data) for data in heard.heard] == [len(sent)]
    server.write(b"more")
    assert not wire.sent


def test_a_client_that_asks_for_what_it_does_not_read_is_let_go(authority: Authority) -> None:
    """Answers of TLS itself are held for nobody: they are no answers of HTTP, which have their own bounds."""
    client, server, wire, _ = met(authority)
    server.pause_writing()
    server._outgoing.write(b"x" * MAX_OWN_BYTES)
    client.tls.write(b"a")
    server.data_received(client.outgoing.read())
    assert not wire.is_over
    server._outgoing.write(b"x")
    client.tls.write(b"a")
    server.data_received(client.outgoing.read())
    assert wire.is_over
