"""The short path answers as the application does: ``/docs`` takes it, ``/docs/`` is the same address without it."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterator
from typing import Any

import pytest

from pypes.access.account import PROMPT, Account
from pypes.access.budget import Budget
from pypes.access.client import EVERYONE
from pypes.api.protocol import MAX_PIPELINED
from pypes.api.reception import INLINE_BYTES
from pypes.api.short_path import MAX_HEAD_BYTES, MAX_HEADS
from pypes.ingest.store.shards import owner_of
from pypes.testing.node import Node, running
from tests.api.posts import ACCEPTED, JSON, post
from tests.api.served import LAST, Connection, Served
from tests.api.test_docs import FILES, GRAPH, LINES, MULTIPART, NDJSON, ONE, PACKETS, nested
from tests.ingest.harness import until
from tests.runtime.worker.supervised import Supervisor, supervised

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


@supervised
async def test_what_a_known_proxy_says_is_looked_at_and_not_remembered(supervisor: Supervisor) -> None:
    served = await Served.start(supervisor, proxies=("10.0.0.0/8",), hosts=("docs.example.org",))
    try:
        proxy, other = await served.connect(), await served.connect()
        proxy.protocol.client, other.protocol.client = ("10.0.0.1", 1), ("11.0.0.1", 1)

        async def asked(connection: Connection, field: bytes) -> tuple[bytes, bool]:
            connection.give(post(more=JSON + field))
            is_short = needs_no_task(served)
            return (await connection.answer()).status.split()[1], is_short

        for _ in range(2):
            assert await asked(proxy, b"X-Forwarded-For: 192.0.2.1\r\n") == (b"202", True)
            assert await asked(proxy, b"X-Forwarded-For: unknown\r\n") == (b"400", False)
            # the same head from somebody else, first: what it says means nothing then
            assert await asked(other, b"X-Forwarded-Host: evil.example\r\n") == (b"202", True)
            assert await asked(proxy, b"X-Forwarded-Host: evil.example\r\n") == (b"403", False)
        assert await asked(proxy, b"X-Forwarded-Host: docs.example.org\r\n") == (b"202", False)
        assert await asked(proxy, b"X-Forwarded-Host: docs.example.org\r\n") == (b"202", True)
        for connection in (proxy, other):
            connection.hang_up()
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
            assert heads == ({post(b""): (EVERYONE, "application/json", 0)} if post(b"") in pieces else {})
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


# -- budgets -------------------------------------------------------------------------------------------------

REFUSED = b"HTTP/1.1 429 Too Many Requests"


async def start_with_one(supervisor: Supervisor) -> tuple[Served, Account]:
    """A worker that takes one request, and the account of its clients; its time stands still."""
    served = await Served.start(supervisor, budget=Budget(requests_per_s=0.001))
    account = served.worker.register.everyone.account
    account._clock = lambda: 1000.0
    return served, account


@supervised
async def test_what_is_over_the_budget_is_refused_before_its_body_is_there(supervisor: Supervisor) -> None:
    served, account = await start_with_one(supervisor)
    try:
        connection = await served.connect()
        connection.give(post())
        assert (await connection.answer()).status == ACCEPTED
        for first, rest in ((post()[:-3], post()[-3:]), (post(), b""), (post(more=b"Prefer: lane=bulk\r\n"), b"")):
            connection.give(first)
            answer = await connection.answer()
            assert answer.status == REFUSED
            assert b'"code":"budget.exceeded"' in answer.body
            assert answer.fields[b"retry-after"] == b"SOON"
            # thrown away, and the connection goes on
            connection.give(rest)
        account.change(Budget(requests_per_s=1000))
        account._clock = lambda: 1100.0
        connection.give(post())
        assert (await connection.answer()).status == ACCEPTED
        connection.hang_up()
        assert served.accepted == 2
    finally:
        await served.stop()


@supervised
async def test_who_does_not_wait_is_answered_late(supervisor: Supervisor) -> None:
    served, account = await start_with_one(supervisor)
    try:
        connection, other = await served.connect(), await served.connect()
        for status in (ACCEPTED, *[REFUSED] * PROMPT):
            connection.give(post())
            assert (await connection.answer()).status == status
        for late, more in ((connection, JSON), (other, b"Prefer: lane=bulk\r\n")):
            late.give(post(more=more))
            await until(lambda: account.under_way == 1)
            assert (await late.answer()).status == REFUSED
            assert account.under_way == 0
        # one that does not wait for it is forgotten
        connection.give(post())
        assert account.under_way == 1
        connection.hang_up()
        await until(lambda: account.under_way == 0)
        other.hang_up()
        assert served.accepted == 1
    finally:
        await served.stop()


@supervised
async def test_a_body_that_does_not_come_counts_as_under_way(supervisor: Supervisor) -> None:
    served, account = await start_with_one(supervisor)
    try:
        account.change(Budget())
        account.is_one_of_many = True
        connection, other = await served.connect(), await served.connect()
        for each in (connection, other):
            each.give(post()[:-3])
        assert account.under_way == 2
        connection.give(post()[-3:])
        assert (await connection.answer()).status == ACCEPTED
        assert account.under_way == 1
        other.hang_up()
        await until(lambda: account.under_way == 0)
        connection.hang_up()
    finally:
        await served.stop()
