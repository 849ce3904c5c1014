"""Whatever bytes come, the short path (``/docs``) answers as the application does (``/docs/``, the same address without it)."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Coroutine
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pypes.api.reception import INLINE_COSTLY_BYTES
from pypes.core.limits import Limits
from tests.api.posts import HOST, past_the_short_path, post
from tests.api.served import LAST, Answer, Served
from tests.api.test_docs import FILES, LINES, MULTIPART, NDJSON, ONE
from tests.ingest.harness import until
from tests.runtime.worker.supervised import Supervisor

# -- many requests, cut anywhere -----------------------------------------------------------------------------

BODIES = st.sampled_from(
    [
        ONE,
        b'[{"a": 1}, {"a": 2}]',
        b'{"a": ',
        b"",
        b"[" * 500,
        LINES,
        b'{"a": "%b"}' % (b"x" * INLINE_COSTLY_BYTES),
        FILES,
        FILES.replace(b"hello", b"x" * INLINE_COSTLY_BYTES),
        b"\x81\xa1a\xc5\x40\x00" + b"x" * 0x4000,
        b"\x0a\x00\x0a\x00",
    ]
)
TYPES = st.sampled_from(
    [
        "",
        "application/json",
        NDJSON,
        MULTIPART,
        MULTIPART.title(),
        "text/plain",
        "text",
        "application/MsgPack",
        "application/protobuf",
    ]
).map(lambda name: b"Content-Type: %b\r\n" % name.encode() if name else b"")
FIELDS = st.lists(
    st.sampled_from(
        [
            b"Accept: */*\r\n",
            b"Content-Type: text/plain\r\n",
            b"Content-Encoding: gzip\r\n",
            b"Content-Disposition: attachment; filename=a.txt\r\n",
            b"Connection: close\r\n",
            b"Connection: upgrade\r\nUpgrade: h2c\r\n",
            b"Expect: something\r\n",
            b"Prefer: lane=bulk\r\n",
            b"Pypes-Id: one\r\n",
            b"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n",
            b"Traceparent: none\r\ntracestate: a=1\r\n",
            b"pypes-meta-a: b\r\n",
            b"Origin: http://evil.example\r\n",
            b"Authorization: Bearer secret\r\n",
            b"Authorization: Bearer wrong\r\n",
        ]
    ),
    max_size=2,
).map(b"".join)
HOSTS = st.sampled_from([HOST] * 8 + [b"host: LOCALHOST:8080\r\n", b"Host: evil.example\r\n", HOST * 2, b""])
LINES_OF_REQUESTS = st.sampled_from(
    [b"POST /docs HTTP/1.1"] * 8
    + [
        b"POST /docs HTTP/1.0",
        b"PUT /docs HTTP/1.1",
        b"POST /docs?on_error=deadletter HTTP/1.1",
        b"POST /docs/news HTTP/1.1",
        b"POST /doc HTTP/1.1",
        b"POST /docs#a HTTP/1.1",
    ]
)
REQUESTS = st.builds(
    lambda line, host, type, more, body: post(body, type + more, line=line, host=host),
    LINES_OF_REQUESTS,
    HOSTS,
    TYPES,
    FIELDS,
    BODIES,
)
OTHERS = st.sampled_from(
    [LAST.replace(b"Connection: close\r\n", b""), b"nonsense\r\n\r\n", b"HEAD /healthz HTTP/1.1\r\n" + HOST + b"\r\n"]
)
STREAMS = st.lists(st.one_of(REQUESTS, REQUESTS, REQUESTS, OTHERS), min_size=1, max_size=8)


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    ends = [0, *sorted(place % len(stream) for place in places), len(stream)]
    return [stream[start:end] for start, end in pairwise(ends) if start < end]


class Pair:
    """Two workers of the same state: one is asked by the short path, the other past it."""

    def __init__(self, short: Served, app: Served) -> None:
        self._short = short
        self._app = app

    async def compare(self, requests: list[bytes], places: list[int]) -> list[Answer]:
        """The answers, which are the same from both, as is how much they accept."""
        before = self._short.accepted, self._app.accepted
        through = await self._short.said(cut(b"".join(requests), places))
        # the request that goes past it is longer by a byte, so its pieces are cut elsewhere; that must not matter
        past = await self._app.said(cut(b"".join(map(past_the_short_path, requests)), places))
        assert through == past
        assert self._short.accepted - before[0] == self._app.accepted - before[1]
        return through


@asynccontextmanager
async def pair(*, is_holding: bool = False, **changes: Any) -> Any:
    """Two workers. ``is_holding``: what they take is never worked off."""
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        supervisors = Supervisor(Path(one)), Supervisor(Path(two))
        served = []
        for supervisor in supervisors:
            supervisor.is_holding = is_holding
            await supervisor.start()
            served.append(await Served.start(supervisor, **changes))
        try:
            yield Pair(*served)
        finally:
            for each, supervisor in zip(served, supervisors, strict=True):
                await each.stop()
                await supervisor.close()
            # the instance that a supervisor plays closes its end
            await until(lambda: len(asyncio.all_tasks()) == 1)


def compared(test: Callable[[Pair, list[bytes], list[int]], Coroutine[None, None, None]], **options: Any) -> None:
    """Run a test of two workers for many streams of requests, cut at many places."""
    with asyncio.Runner() as runner:
        both = pair(**options)
        found = runner.run(both.__aenter__())

        @given(STREAMS, st.lists(st.integers(0, 1 << 16), max_size=6))
        def run(requests: list[bytes], places: list[int]) -> None:
            runner.run(test(found, requests, places))

        try:
            run()
        finally:
            runner.run(both.__aexit__(None, None, None))


async def compare(both: Pair, requests: list[bytes], places: list[int]) -> None:
    await both.compare([*requests, LAST], places)


def test_the_same_bytes_have_the_same_answers() -> None:
    compared(compare)


def test_the_same_bytes_have_the_same_answers_if_a_token_is_asked_for() -> None:
    compared(compare, token="secret")


def test_the_same_bytes_have_the_same_answers_while_the_queue_fills_up() -> None:
    async def whole(both: Pair, requests: list[bytes], places: list[int]) -> None:
        # of a body that comes in pieces, the application asks for room before it has read what may be wrong with it
        await both.compare([*requests, LAST], [])

    compared(whole, is_holding=True, limits=Limits(grace_s=0.0, queue_max_deliveries=30))


def test_the_same_bytes_have_the_same_answers_while_little_is_allowed() -> None:
    compared(compare, limits=Limits(json_bytes=20, line_bytes=100, spool_bytes=1 << 12, documents_per_post=1))


def test_the_same_bytes_have_the_same_answers_while_the_worker_drains() -> None:
    async def drained(both: Pair, requests: list[bytes], places: list[int]) -> None:
        for each in (both._short, both._app):
            if each.worker.state != "draining":
                await each.worker.drain()
        await both.compare([*requests, LAST], places)

    compared(drained)


def test_the_same_bytes_have_the_same_answers_while_the_server_ends() -> None:
    async def ending(both: Pair, requests: list[bytes], places: list[int]) -> None:
        for each in (both._short, both._app):
            each.state.is_ending = True  # type: ignore[attr-defined]
        await both.compare([*requests, LAST], places)

    compared(ending)
