"""Finished receipts posted to a real server that fails, redirects, goes away and recovers."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

import pytest

from pypes.core.limits import Limits
from pypes.core.nodetime import Clock
from pypes.errors import PypesError
from pypes.ingest.contracts.callbacks import Callback
from pypes.ingest.contracts.receipts import Receipts
from pypes.ingest.receipt import Receipt, ReceiptId, commit_key, rfc3339
from pypes.runtime.worker.callbacks import FIRST_BACKOFF_S, MAX_BACKOFF_S, Callbacks, backoff_s, checked_url, signature
from tests.serving import in_thread

NOW = 1_800_000_000.0


class Hook(ThreadingHTTPServer):
    """Takes what is posted; ``answers`` are the statuses to give before that, in turn."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[tuple[int, str]] = []
        self.taken: list[tuple[str, Any, bytes]] = []

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        self.server.taken.append((self.path, self.headers, self.rfile.read(int(self.headers["Content-Length"]))))
        status, location = self.server.answers.pop(0) if self.server.answers else (204, "")
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST

    def log_message(self, format: str, *args: Any) -> None:
        return


@pytest.fixture
def hook() -> Iterator[Hook]:
    with in_thread(Hook()) as made:
        yield made


class Rows:
    """Callbacks of a queue and their receipts, committing as late as a test wants; the clock goes on by itself."""

    def __init__(self) -> None:
        self.now = NOW
        self.rows: dict[str, Callback] = {}
        self.pending: list[tuple[str, float | None]] = []
        self.is_slow = False
        self.is_broken = False
        self.dues: list[float] = []
        self.idle = asyncio.Event()
        self.on_due: Callable[[], None] | None = None

    def add(self, url: str, received: float = NOW) -> str:
        id = str(ReceiptId(7, 0, commit_key(received, 0), len(self.rows), 0))
        self.rows[id] = Callback(id, url, self.now, 0)
        return id

    def commit(self) -> None:
        for id, due in self.pending:
            if due is None:
                del self.rows[id]
            else:
                self.rows[id] = Callback(id, self.rows[id].url, due, self.rows[id].attempts + 1)
        self.pending.clear()

    async def due(self, now: float, limit: int) -> list[Callback]:
        if self.is_broken:
            self.is_broken = False
            raise PypesError("the disk is gone")
        if self.pending and self.is_slow:
            self.is_slow = False
        else:
            self.commit()
        return [row for row in self.rows.values() if row.due <= now][:limit]

    async def next_due(self) -> float | None:
        if not self.rows:
            self.idle.set()
            return None
        # nobody waits: the time has come at once
        self.now = max(self.now, due := min(row.due for row in self.rows.values()))
        return due

    async def get(self, id: str) -> Receipt:
        return Receipt(id, "done", 1, 1, 0, 0, 0, rfc3339(NOW), rfc3339(NOW), rfc3339(NOW), "g", 1)

    def done(self, receipt: str) -> None:
        self.pending.append((receipt, None))

    def failed(self, receipt: str, due: float) -> None:
        self.dues.append(due - self.now)
        self.pending.append((receipt, due))


async def served(rows: Rows, hosts: tuple[str, ...], limits: Limits | None = None) -> None:
    """Post until nothing is left."""
    callbacks = Callbacks(hosts, "secret", limits or Limits(), clock=Clock(lambda: rows.now), jitter=lambda: 1.0)
    try:
        callbacks.add(rows, cast(Receipts, rows))
        async with asyncio.timeout(20):
            await rows.idle.wait()
    finally:
        await callbacks.close()


def test_a_finished_receipt_is_posted_and_signed(hook: Hook) -> None:
    async def play() -> str:
        rows = Rows()
        id = rows.add(f"http://{hook.host}/hooks?x=1")
        await served(rows, (hook.host,))
        return id

    id = asyncio.run(play())
    [(path, headers, body)] = hook.taken
    assert path == "/hooks?x=1"
    assert headers["Content-Type"] == "application/json"
    assert (json.loads(body)["receipt"], json.loads(body)["state"]) == (id, "done")
    moment, digest = (part.split("=")[1] for part in headers["Pypes-Signature"].split(","))
    assert int(moment) == int(NOW)
    assert digest == hmac.new(b"secret", f"{moment}.".encode() + body, "sha256").hexdigest()


def test_one_that_fails_is_tried_again_ever_later(hook: Hook, caplog: pytest.LogCaptureFixture) -> None:
    hook.answers = [(500, ""), (404, ""), (503, "")]

    async def play() -> list[float]:
        rows = Rows()
        rows.add(f"http://{hook.host}/")
        await served(rows, (hook.host,))
        return rows.dues

    assert asyncio.run(play()) == [FIRST_BACKOFF_S * 2.0**n for n in range(3)]
    assert len(hook.taken) == 4
    assert {vars(record)["graph"] for record in caplog.records if record.message.startswith("callback failed")} == {"g"}


def test_a_redirect_is_never_followed(hook: Hook) -> None:
    with in_thread(Hook()) as other:
        hook.answers = [(307, f"http://{other.host}/"), (302, "/elsewhere")]

        async def play() -> None:
            rows = Rows()
            rows.add(f"http://{hook.host}/")
            await served(rows, (hook.host, other.host))

        asyncio.run(play())
        assert not other.taken
    assert [path for path, *_ in hook.taken] == ["/", "/", "/"]


def test_one_that_never_succeeds_is_given_up() -> None:
    with Hook() as closed:
        host = closed.host

    async def play() -> Rows:
        rows = Rows()
        rows.add(f"http://{host}/")
        await served(rows, (host,), Limits(callback_s=100.0))
        return rows

    rows = asyncio.run(play())
    assert not rows.rows
    assert rows.now - NOW <= 100
    assert len(rows.dues) == 6


def test_a_host_that_is_not_allowed_any_more_gets_nothing(hook: Hook) -> None:
    async def play() -> None:
        rows = Rows()
        rows.add(f"http://{hook.host}/")
        await served(rows, (), Limits(callback_s=5.0))

    asyncio.run(play())
    assert not hook.taken


def test_nothing_is_posted_twice_before_the_commit_that_forgets_it(hook: Hook) -> None:
    async def play() -> None:
        rows = Rows()
        for _ in range(9):
            rows.add(f"http://{hook.host}/")
        rows.is_slow = rows.is_broken = True
        await served(rows, (hook.host,))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pypes.runtime.worker.callbacks.REST_S", 0.0)
        asyncio.run(play())
    assert len({body for _, _, body in hook.taken}) == len(hook.taken) == 9


def test_what_comes_later_wakes_it(hook: Hook) -> None:
    async def play() -> None:
        rows = Rows()
        callbacks = Callbacks((hook.host,), "secret", Limits(), clock=Clock(lambda: rows.now))
        callbacks.add(rows, cast(Receipts, rows))
        try:
            async with asyncio.timeout(20):
                await rows.idle.wait()
                rows.idle.clear()
                rows.add(f"http://{hook.host}/")
                assert rows.on_due is not None
                rows.on_due()
                await rows.idle.wait()
        finally:
            await callbacks.close()

    asyncio.run(play())
    assert len(hook.taken) == 1


def test_back_off() -> None:
    assert [backoff_s(n, lambda: 0.0) for n in range(3)] == [FIRST_BACKOFF_S / 2, FIRST_BACKOFF_S, FIRST_BACKOFF_S * 2]
    assert backoff_s(10_000, lambda: 1.0) == MAX_BACKOFF_S


def test_signatures_are_those_of_the_documentation() -> None:
    digest = hmac.new(b"secret", b'1700000000.{"a":1}', "sha256").hexdigest()
    assert signature("secret", b'{"a":1}', 1_700_000_000.9) == f"t=1700000000,v1={digest}"


def test_an_address_is_taken_as_it_is() -> None:
    assert checked_url("https://example.com/a?b=c", ["example.com"]) == "https://example.com/a?b=c"
