"""The short path answers as the application does: ``/docs`` takes it, ``/docs/`` is the same address without it."""

from __future__ import annotations

import asyncio
import gzip
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypes.api.protocol import MAX_PIPELINED
from pypes.api.reception import INLINE_BYTES, INLINE_COSTLY_BYTES
from pypes.api.short_path import MAX_HEAD_BYTES, MAX_HEADS
from pypes.core.limits import Limits
from pypes.ingest.store.shards import owner_of
from pypes.testing.node import Node, running
from tests.api.served import LAST, Answer, Served
from tests.api.test_docs import FILES, GRAPH, LINES, MULTIPART, NDJSON, ONE, PACKETS, nested
from tests.ingest.harness import until
from tests.runtime.worker.supervised import Supervisor, supervised

HOST = b"Host: 127.0.0.1\r\n"
JSON = b"Content-Type: application/json\r\n"
ACCEPTED = b"HTTP/1.1 202 Accepted"


def post(body: bytes = b'{"a": 1}', more: bytes = JSON, *, line: bytes = b"POST /docs HTTP/1.1", host: bytes = HOST) -> bytes:
    return b"%b\r\n%b%bContent-Length: %d\r\n\r\n%b" % (line, host, more, len(body), body)


def past_the_short_path(request: bytes) -> bytes:
    return request.replace(b"POST /docs HTTP", b"POST /docs/ HTTP")


# -- one request at a time, on a node ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with running(tmp_path_factory.mktemp("short_path"), GRAPH, workers=1, instances=1) as node:
        assert node.is_ready()  # and so the host is known
        yield node


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", ONE),
        ("application/json", b'[{"a": 1}, {"a": 2}]'),
        ("application/json", b'{"a": '),
        ("application/json", b""),
        ("application/json", b"[]"),
        ("application/json", b"3"),
        ("application/json", nested(201)),
        ("application/json", b'{"a": 123456789012345678901}'),
        (NDJSON, LINES),
        (NDJSON, b'{"a": 1}\n{"a": \n'),
        (MULTIPART, FILES),
        (MULTIPART, b"--cut"),
        (PACKETS, b'{"fields": {"a": 1}}'),
        ("text/plain; charset=utf-8", b"hello"),
        ("text/plain", b"x" * INLINE_BYTES),
        ("text/plain", b"x" * (INLINE_BYTES + 1)),
        ("text", b"hello"),
        ("application/x-www-form-urlencoded", b"a=b"),
    ],
)
def test_both_ways_answer_alike(node: Node, content_type: str, body: bytes) -> None:
    def told(path: str) -> Any:
        answer = node.post(body, path, content_type)
        document = answer.json()
        if answer.status == 202:
            assert answer.headers["location"] == f"/receipts/{document.pop('receipt')}"
        return answer.status, answer.headers["content-type"], answer.headers.get("pypes-graph"), document

    assert told("/docs") == told("/docs/")


def test_unusual_requests_go_to_the_application(node: Node) -> None:
    assert node.post(gzip.compress(ONE), **{"Content-Encoding": "gzip"}).json()["accepted"] == 1
    assert node.post(b"hello", content_type="text/plain", **{"Content-Disposition": 'attachment; filename="a.txt"'}).status == 202
    assert node.http.request("GET", f"{node.url}/docs").status == 405
    assert node.post(ONE, **{"Pypes-Id": "%"}).json()["code"] == "document.id"
    assert node.post(ONE, **{"Origin": "http://evil.example"}).json()["code"] == "origin.foreign"
    keyed = [node.post(ONE, **{"Idempotency-Key": "short_path"}).json()["receipt"] for _ in range(2)]
    assert keyed[0] == keyed[1]


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
    ]
)
TYPES = st.sampled_from(["", "application/json", NDJSON, MULTIPART, MULTIPART.title(), "text/plain", "text", "text/plain"]).map(
    lambda name: b"Content-Type: %b\r\n" % name.encode() if name else b""
)
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


# -- what it does -------------------------------------------------------------------------------------------


def needs_no_task(served: Served) -> bool:
    """True if a task was needed for none of the requests that are under way."""
    return not any(isinstance(task, asyncio.Task) for task in served.state.tasks)


@supervised
async def test_a_small_document_needs_no_task(supervisor: Supervisor) -> None:
    served = await Served.start(supervisor)
    try:
        connection = await served.connect()
        for body in (ONE, b'{"a": ', b""):
            connection.give(post(body))
            assert needs_no_task(served)
            status = (await connection.answer()).status
            assert status == (ACCEPTED if body is ONE else b"HTTP/1.1 400 Bad Request")
            assert not served.state.tasks
        # a host that nobody knows yet is looked at by the guard, once
        for is_known in (False, True):
            connection.give(post(host=b"Host: localhost:1\r\n"))
            assert needs_no_task(served) is is_known
            assert (await connection.answer()).status == ACCEPTED
        connection.hang_up()
        assert served.state.total_requests == 6
    finally:
        await served.stop()


class NoParser:
    """Stands where a parser would that must not be asked."""

    def feed_data(self, data: bytes) -> None:
        raise AssertionError(data)


@supervised
async def test_a_head_is_parsed_once_for_all_connections(supervisor: Supervisor) -> None:
    served = await Served.start(supervisor)
    try:
        first, second = await served.connect(), await served.connect()
        first.give(post())
        assert (await first.answer()).status == ACCEPTED
        for connection in (first, second):
            parser, connection.protocol.parser = connection.protocol.parser, NoParser()  # type: ignore[assignment]
            connection.give(post(b'{"b": 2}'))
            assert (await connection.answer()).status == ACCEPTED
            connection.protocol.parser = parser
            # another length, so another head
            connection.give(post(ONE))
            assert (await connection.answer()).status == ACCEPTED
            connection.hang_up()
        assert served.accepted == 5
    finally:
        await served.stop()


@pytest.mark.parametrize(
    "pieces",
    [
        [post()[:-1], post()[-1:]],
        [post()[:20], post()[20:]],
        [post() + post()],
        [post() + post(b"{}")[:-2], b"{}"],
        [b"\r\n\r\n"],
        [post(b""), b"\r\n\r\n"],
        [post(more=JSON + b"X: %b\r\n" % (b"x" * MAX_HEAD_BYTES))],
        [post(more=JSON + b"Connection: close\r\n")],
        [post(more=JSON + b"Prefer: lane=bulk\r\n")],
    ],
)
def test_a_head_is_remembered_only_of_a_request_that_comes_alone_and_whole(pieces: list[bytes]) -> None:
    @supervised
    async def test(supervisor: Supervisor) -> None:
        served = await Served.start(supervisor)
        try:
            await served.said([*pieces, LAST])
            heads = served.short_path._heads
            assert heads == ({post(b""): ("application/json", 0)} if post(b"") in pieces else {})
        finally:
            await served.stop()

    test()


@supervised
async def test_heads_that_are_remembered_are_bounded(supervisor: Supervisor) -> None:
    served = await Served.start(supervisor)
    try:
        connection = await served.connect()
        for number in range(MAX_HEADS + 1):
            connection.give(post(b"{", more=b"X: %d\r\n" % number))
            assert (await connection.answer()).status == b"HTTP/1.1 202 Accepted"
        assert len(served.short_path._heads) == 1
        connection.hang_up()
    finally:
        await served.stop()


@supervised
async def test_a_document_whose_client_goes_away_within_it_is_not_taken(supervisor: Supervisor) -> None:
    served = await Served.start(supervisor)
    try:
        for begun in (post()[:-1], post() + post()[:-1], post()[:-9]):
            connection = await served.connect()
            before = served.accepted
            connection.give(begun)
            complete = begun.count(post())
            for _ in range(complete):
                assert (await connection.answer()).status == ACCEPTED
            connection.hang_up()
            await until(lambda: not served.state.connections)
            assert served.accepted == before + complete
            assert not served.state.tasks
    finally:
        await served.stop()


@supervised
async def test_what_waits_behind_others_is_bounded_and_answered_in_order(supervisor: Supervisor) -> None:
    served = await Served.start(supervisor)
    try:
        bodies = [b'{"a": 1}', b'{"a": ', b'[{"a": 1}, {"a": 2}]'] * (MAX_PIPELINED // 3)
        answers = await served.said([b"".join(map(post, bodies)) + LAST])
        assert [answer.body.partition(b",")[2] for answer in answers[:3]] == [
            b'"accepted":1}',
            b'"title":"Bad Request","status":400,"code":"ingest.malformed","detail":"malformed JSON at line 1, column 7: '
            b'unexpected end of data","where":"line 1, column 7"}',
            b'"accepted":2}',
        ]
        assert answers[:-1] == answers[:3] * (MAX_PIPELINED // 3)
        answers = await served.said([post() * (MAX_PIPELINED + 2) + post()])
        assert [answer.status for answer in answers] == [ACCEPTED] * (MAX_PIPELINED + 1) + [b"HTTP/1.1 400 Bad Request"]
    finally:
        await served.stop()


@pytest.mark.parametrize("begun", [post(host=b"Host: evil.example\r\n")[:-1], post()[:-1]])
def test_nothing_is_begun_behind_the_last_answer(begun: bytes, caplog: pytest.LogCaptureFixture) -> None:
    @supervised
    async def run(supervisor: Supervisor) -> None:
        served = await Served.start(supervisor)
        try:
            before = served.accepted
            answers = await served.said([post(more=b"Connection: close\r\n" + JSON) + begun])
            assert [answer.status for answer in answers] == [ACCEPTED]
            assert served.accepted == before + 1
        finally:
            await served.stop()

    run()
    assert not caplog.records


@supervised
async def test_nothing_is_taken_behind_a_refusal_that_ends_the_connection(supervisor: Supervisor) -> None:
    served = await Served.start(supervisor)
    try:
        before = served.accepted
        served.state.is_ending = True  # type: ignore[attr-defined]
        answers = await served.said([post(b'{"a": ') + post()])
        assert [answer.status for answer in answers] == [b"HTTP/1.1 400 Bad Request"]
        (accepted,) = await served.said([post()])
        assert (accepted.status, served.accepted) == (ACCEPTED, before + 1)
    finally:
        await served.stop()


@supervised
async def test_a_client_that_does_not_read_is_answered_when_it_does(supervisor: Supervisor) -> None:
    served = await Served.start(supervisor)
    try:
        connection = await served.connect(has_small_buffers=True)
        connection.give(post() * 200 + LAST)
        before = served.accepted
        await until(lambda: connection.protocol.flow.write_paused)
        # nothing more is begun while an answer waits
        assert served.accepted - before < 200
        assert len(await connection.rest()) == 201
        assert served.accepted - before == 200
    finally:
        await served.stop()


@supervised
async def test_a_worker_that_ends_answers_what_it_cannot_wait_for(supervisor: Supervisor) -> None:
    """The owner of the graph is another worker, which is not there."""
    graph = next(name for name in "abcdefgh" if owner_of(name, 2) == 1)
    supervisor.topology |= {"graphs": {graph: 1}, "default": graph, "ordered": [graph]}
    served = await Served.start(supervisor, workers=2)
    try:
        connection = await served.connect()
        connection.give(post(ONE) + post(ONE))
        await asyncio.sleep(0)
        (waiting,) = [task for task in served.state.tasks if not isinstance(task, asyncio.Task)]
        # as uvicorn does when the time is over
        connection.protocol.shutdown()
        for task in served.state.tasks:
            task.cancel(msg="timeout graceful shutdown exceeded")
        answer = await connection.answer()
        assert answer.status == b"HTTP/1.1 503 Service Unavailable"
        assert b'"worker.ending"' in answer.body
        assert waiting not in served.state.tasks
        connection.hang_up()
    finally:
        await served.stop()
