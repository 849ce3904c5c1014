"""What libraries raise when nobody is there is told apart from what they raise over an answer."""

from __future__ import annotations

import errno
import http.client
import importlib
import socket
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
import urllib3

from pypes.core.unreachable import RULES, is_unreachable
from pypes.errors import Reject, Retry, Unreachable
from tests.needed import library


@pytest.fixture
def closed() -> int:
    """A port of loopback on which nobody listens."""
    with closing(socket.socket()) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.fixture
def silent() -> Iterator[int]:
    """A port on which connections are taken and nothing is ever said."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield server.getsockname()[1]


def serve(answer: bytes) -> tuple[int, Callable[[], None]]:
    """A server that gives the one answer to every request; and what ends it."""
    server = socket.create_server(("127.0.0.1", 0))

    def work() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()

    def end() -> None:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(5)

    return server.getsockname()[1], end


@pytest.fixture
def missing() -> Iterator[int]:
    port, end = serve(
        b"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n{}"
    )
    yield port
    end()


@pytest.fixture
def breaking() -> Iterator[int]:
    """It closes in the middle of its answer, as a server that is killed does."""
    port, end = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    yield port
    end()


def with_urllib(port: int, timeout_s: float) -> None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=timeout_s) as answer:
            answer.read()
    except urllib.error.HTTPError as error:
        error.close()  # it keeps the connection
        raise


def with_urllib3(port: int, timeout_s: float) -> None:
    with urllib3.PoolManager(retries=False) as pool:
        found = pool.request("GET", f"http://127.0.0.1:{port}/", timeout=timeout_s)
        if found.status != 200:
            raise urllib3.exceptions.ResponseError(str(found.status))


def with_urllib3_again(port: int, timeout_s: float) -> None:
    with urllib3.PoolManager() as pool:
        retries = urllib3.Retry(1, status_forcelist=[404])
        pool.request("GET", f"http://127.0.0.1:{port}/", timeout=timeout_s, retries=retries)


def with_requests(port: int, timeout_s: float) -> None:
    library("requests", "requests>=2.32").get(f"http://127.0.0.1:{port}/", timeout=timeout_s).raise_for_status()


def with_httpx(port: int, timeout_s: float) -> None:
    with library("httpx", "httpx>=0.28").Client(trust_env=False, timeout=timeout_s, verify=False) as client:
        client.get(f"http://127.0.0.1:{port}/").raise_for_status()


def with_psycopg(port: int, timeout_s: float) -> None:
    library("psycopg", "psycopg[binary]>=3.2").connect(
        f"host=127.0.0.1 port={port} connect_timeout={max(2, round(timeout_s))} user=x dbname=x"
    ).close()


def with_opensearch(port: int, timeout_s: float) -> None:
    client = library("opensearchpy", "opensearch-py>=2.8,<3").OpenSearch(
        [{"host": "127.0.0.1", "port": port}], timeout=timeout_s, max_retries=0
    )
    with closing(client):
        client.get(index="x", id="1")


HTTP = [with_urllib, with_urllib3, with_urllib3_again, with_requests, with_httpx, with_opensearch]


def raised(call: Callable[[int, float], None], port: int, timeout_s: float = 10.0) -> BaseException:
    with pytest.raises(BaseException) as caught:
        call(port, timeout_s)
    return caught.value


@pytest.mark.parametrize("call", [*HTTP, with_psycopg])
def test_nobody_listens(call: Callable[[int, float], None], closed: int) -> None:
    assert is_unreachable(raised(call, closed))


@pytest.mark.parametrize("call", HTTP)
def test_it_does_not_answer_in_time(call: Callable[[int, float], None], silent: int) -> None:
    assert is_unreachable(raised(call, silent, 0.2))


@pytest.mark.parametrize("call", HTTP)
def test_an_answer_that_is_an_error_is_an_answer(call: Callable[[int, float], None], missing: int) -> None:
    error = raised(call, missing)
    assert not is_unreachable(error), error


@pytest.mark.parametrize("call", [with_urllib, with_urllib3, with_requests, with_httpx])
def test_it_is_killed_in_the_middle_of_its_answer(call: Callable[[int, float], None], breaking: int) -> None:
    assert is_unreachable(raised(call, breaking))


def test_a_database_that_answers_is_reached() -> None:
    psycopg = library("psycopg", "psycopg[binary]>=3.2")
    verdicts = {
        name: is_unreachable(getattr(psycopg.errors, name)("no"))
        for name in (
            *("AdminShutdown", "CannotConnectNow", "TooManyConnections", "ConnectionException", "ConnectionTimeout"),
            *("QueryCanceled", "DeadlockDetected", "DiskFull", "UniqueViolation", "UndefinedTable"),
        )
    }
    assert [name for name, verdict in verdicts.items() if verdict] == [
        *("AdminShutdown", "CannotConnectNow", "TooManyConnections", "ConnectionException", "ConnectionTimeout")
    ]


def test_the_table_names_classes_that_there_are() -> None:
    """As far as the libraries are here: each name is that of the class itself, not of a place it can be imported from."""
    checked = 0
    for path in RULES:
        module, _, name = path.rpartition(".")
        try:
            cls = getattr(importlib.import_module(module), name)
        except ModuleNotFoundError:
            continue
        assert f"{cls.__module__}.{cls.__qualname__}" == path
        checked += 1
    assert checked >= 10


PLAIN: dict[str, tuple[BaseException, bool]] = {
    "refused": (ConnectionRefusedError(), True),
    "timeout": (TimeoutError(), True),
    "name": (socket.gaierror(socket.EAI_AGAIN, "try again"), True),
    "no way": (OSError(errno.EHOSTUNREACH, "no route"), True),
    "file": (FileNotFoundError(errno.ENOENT, "none"), False),
    "disk": (OSError(errno.ENOSPC, "full"), False),
    "value": (ValueError("odd"), False),
    "steering": (Unreachable("down"), True),
    "retry": (Retry(1, "busy"), False),
    "reject": (Reject("bad"), False),
    "url": (urllib.error.URLError(ConnectionRefusedError()), True),
    "url, no protocol": (urllib.error.URLError("unknown url type: foo"), False),
    "url, no file": (urllib.error.URLError(FileNotFoundError()), False),
    "certificate": (urllib.error.URLError(ssl.SSLCertVerificationError("expired")), False),
    "disconnected": (http.client.RemoteDisconnected("closed"), True),
    "bad answer": (http.client.BadStatusLine("?"), False),
}


@pytest.mark.parametrize("kind", PLAIN)
def test_exceptions_of_python(kind: str) -> None:
    error, expected = PLAIN[kind]
    assert is_unreachable(error) is expected


def _from(error: Exception, cause: BaseException | None) -> Exception:
    error.__cause__ = cause
    return error


def test_what_is_raised_from_it_is_it_too() -> None:
    class ClientError(Exception):
        """As clients of services wrap what the transport raised."""

    down = ConnectionRefusedError("down")
    assert is_unreachable(_from(ClientError(), down))
    assert is_unreachable(_from(ClientError(), _from(ClientError(), down)))
    assert not is_unreachable(_from(Reject("the document names no host"), down))
    assert not is_unreachable(_from(Retry(1), down))
    while_handled = ValueError("odd")
    while_handled.__context__ = down
    assert not is_unreachable(while_handled)


def test_a_ring_of_causes_has_an_end() -> None:
    one, two = ValueError(), KeyError()
    one.__cause__, two.__cause__ = two, one
    assert not is_unreachable(one)


def test_an_exception_that_lies_about_itself() -> None:
    class Odd(urllib.error.URLError):
        @property
        def reason(self) -> Any:
            raise RuntimeError

        @reason.setter
        def reason(self, value: Any) -> None:
            pass

    assert not is_unreachable(Odd("x"))
