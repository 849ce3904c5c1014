"""Budgets on a real node with two workers: they hold over both, whoever is killed, and what is refused leaves nothing."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import pytest

from pypes.testing.node import Node, running, until
from tests.api.asking import GRAPH
from tests.api.callers import ADMIN, SEEN_S, Caller, calling, make, sign_in

#: Of so few a second, one passes, and the next one in more time than any test takes.
ONE = 0.001


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    base = tmp_path_factory.mktemp("budgets")
    with running(base, GRAPH, workers=2, instances=1, environ={"PYPES_TOKEN": ADMIN}) as node:
        yield node
        assert "Traceback" not in node.log()


def accepted(node: Node) -> int:
    """Documents that the node has taken so far."""
    status = node.http.request("GET", f"{node.url}/status", headers={"Authorization": f"Bearer {ADMIN}"}).json()
    return sum(graph["accepted"] for shard in status["shards"] for graph in shard["graphs"].values())


def spooled(node: Node) -> list[Path]:
    """Files of bodies that are there."""
    return [path for path in (node.base / "data").rglob("spool/*") if path.is_file()]


def post(caller: Caller, secret: str, path: str = "/docs", body: Any = None) -> int:
    return caller.ask("POST", path, secret, {"a": 1} if body is None else body)[0]


@pytest.mark.parametrize("path", ["/docs", "/docs/any"])
@pytest.mark.parametrize("is_even", [True, False])
def test_a_budget_holds_for_the_node_as_a_whole(node: Node, callers: list[Caller], path: str, is_even: bool) -> None:
    rate, before = 5, accepted(node)
    secret = make(callers[0], f"whole-{path.count('/')}-{is_even}", "ingest", budget={"requests_per_s": rate})
    began = time.monotonic()
    found = [post(callers[n % 2 if is_even else 1], secret, path) for n in range(40)]
    most = (2 + time.monotonic() - began) * rate
    assert {*found} <= {202, 429}
    assert found[: 2 * rate] == [202] * 2 * rate
    assert found.count(202) <= most
    assert accepted(node) - before == found.count(202)


def test_a_refusal_names_token_and_budget_and_the_time(callers: list[Caller]) -> None:
    secret = make(callers[0], "told", "ingest", "read", budget={"requests_per_s": ONE})
    assert post(callers[0], secret) == 202
    for caller in callers:
        for path in ("/docs", "/docs/any", "/status", "/nowhere"):
            method, body = ("POST", {"a": 1}) if "docs" in path else ("GET", None)
            status, fields, content = caller.raw(method, path, secret, body)
            problem = json.loads(content)
            assert (status, problem["code"]) == (429, "budget.exceeded")
            assert (problem["where"], problem["limit"]) == ("told", "requests_per_s")
            assert 900 < int(fields["retry-after"]) <= 1000
        # probes are answered in any case, and so are others
        assert caller.ask("GET", "/healthz", secret)[0] == 200
        assert post(caller, ADMIN) == 202


def test_who_keeps_to_the_time_passes(callers: list[Caller]) -> None:
    secret = make(callers[0], "keeping", "ingest", budget={"requests_per_s": 1})
    for caller in callers:
        while True:
            status, fields, _ = caller.raw("POST", "/docs", secret, {"a": 1})
            if status == 429:
                break
        threading.Event().wait(int(fields["retry-after"]))
        assert post(caller, secret) == 202


def test_a_change_holds_on_all_workers_and_ends_nothing(callers: list[Caller]) -> None:
    secret = make(callers[0], "raised", "ingest", "read", budget={"requests_per_s": ONE})
    assert post(callers[0], secret) == 202
    for caller in callers:
        assert post(caller, secret) == 429
    status, changed = callers[0].ask("PATCH", "/tokens/raised", ADMIN, {"budget": {"requests_per_s": 10_000}})
    assert (status, changed["budget"]) == (200, {"requests_per_s": 10_000})
    for caller in callers:
        until(lambda c=caller: post(c, secret) == 202, SEEN_S, "the new budget holds")
    assert callers[1].ask("PATCH", "/tokens/raised", ADMIN, {"budget": {"requests_per_s": ONE}})[0] == 200
    for caller in callers:
        until(lambda c=caller: post(c, secret) == 429, SEEN_S, "the smaller budget holds")
    assert callers[0].ask("PATCH", "/tokens/raised", ADMIN, {"budget": None})[1]["budget"] == {}
    for caller in callers:
        until(lambda c=caller: post(c, secret) == 202, SEEN_S, "no budget any more")
    assert callers[0].ask("DELETE", "/tokens/raised", ADMIN)[0] == 204
    for caller in callers:
        until(lambda c=caller: post(c, secret) == 401, SEEN_S, "it is revoked")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"budget": 5}, 400, "request.invalid"),
        ({"budget": {"requests_per_s": -1}}, 422, "token.budget"),
        ({"budget": {"bytes_per_s": "5MiB"}}, 422, "token.budget"),
        ({"budget": {"pages_per_s": 5}}, 422, "token.budget"),
    ],
)
def test_what_is_no_budget_is_refused(callers: list[Caller], body: Any, status: int, code: str) -> None:
    found, problem = callers[0].ask("POST", "/tokens", ADMIN, {"name": "x", "scopes": ["read"], **body})
    assert (found, problem["code"]) == (status, code)


# -- bodies ---------------------------------------------------------------------------------------------------


def test_a_body_is_refused_before_it_is_read(node: Node, callers: list[Caller]) -> None:
    secret = make(callers[0], "large", "ingest", budget={"bytes_per_s": 1000})
    before = accepted(node)
    # longer than a burst, and alone
    assert post(callers[0], secret, body=b'{"a": "%b"}' % (b"x" * 3_000_000)) == 202
    with socket.create_connection(("127.0.0.1", node.port), timeout=20) as connection:
        head = f"POST /docs HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {secret}\r\nContent-Length: 5000000\r\n\r\n"
        connection.sendall(head.encode())
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        problem = json.loads(answer.read())
        assert (answer.status, problem["limit"], answer.headers["connection"]) == (429, "bytes_per_s", "close")
        assert 2000 < int(answer.headers["retry-after"]) <= 3000
    # small ones on the short path, too
    for caller in callers:
        assert post(caller, secret) == 429
    assert accepted(node) == before + 1


def chunked(node: Node, secret: str, pieces: int, size: int, path: str = "/docs/any") -> tuple[int, Any, dict[str, str]]:
    """The answer to a body in pieces, which may come before all of them are sent."""
    connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=20)
    connection.putrequest("POST", path)
    for name, value in (("Transfer-Encoding", "chunked"), ("Authorization", f"Bearer {secret}"), ("Content-Type", "text/plain")):
        connection.putheader(name, value)
    connection.endheaders()
    with suppress(BrokenPipeError, ConnectionResetError):
        for _ in range(pieces):
            connection.send(b"%x\r\n%b\r\n" % (size, b"x" * size))
        connection.send(b"0\r\n\r\n")
    answer = connection.getresponse()
    content = json.loads(answer.read())
    connection.close()
    return answer.status, content, dict(answer.headers)


def test_a_body_of_unknown_length_ends_where_its_budget_does(node: Node, callers: list[Caller]) -> None:
    secret = make(callers[0], "chunked", "ingest", budget={"bytes_per_s": 1_000_000})
    before = accepted(node)
    assert chunked(node, secret, 3, 100_000)[0] == 202
    status, problem, _ = chunked(node, secret, 400, 100_000)
    assert (status, problem["code"], problem["limit"]) == (429, "budget.exceeded", "bytes_per_s")
    assert "without Content-Length it may have 2,000,000 bytes" in problem["detail"]
    assert accepted(node) == before + 1
    until(lambda: not spooled(node), SEEN_S, "nothing of it is left")
    # and what has used up its budget is refused with its head
    slow = make(callers[0], "slow-chunks", "ingest", budget={"bytes_per_s": 1})
    assert post(callers[0], slow, body=b'{"a": "%b"}' % (b"x" * 5000)) == 202
    for path in ("/docs", "/docs/any"):
        status, problem, _ = chunked(node, slow, 1, 5, path)
        assert (status, problem["limit"]) == (429, "bytes_per_s")


def test_documents_are_counted_when_they_are_known(callers: list[Caller]) -> None:
    lines = b"[%b]" % b",".join(b'{"a": %d}' % number for number in range(500))
    for path in ("/docs", "/docs/any"):
        secret = make(callers[0], f"documents-{path.count('/')}", "ingest", budget={"documents_per_s": 1})
        assert post(callers[0], secret, path, lines) == 202
        for caller in callers:
            status, fields, content = caller.raw("POST", path, secret, {"a": 1})
            assert (status, json.loads(content)["limit"]) == (429, "documents_per_s")
            assert 400 < int(fields["retry-after"]) <= 500
            # what brings none may pass
            assert caller.ask("GET", "/receipts?limit=1", secret)[0] == 200


@pytest.mark.parametrize("kind", ["requests_per_s", "bytes_per_s"])
def test_no_budget_locks_out_who_may_change_budgets(node: Node, callers: list[Caller], kind: str) -> None:
    name = f"boss-{kind}"
    secret = make(callers[0], name, "admin", budget={kind: ONE})
    assert post(callers[0], secret) == 202
    browser = sign_in(callers[0], secret)
    for caller in callers:
        assert post(caller, secret) == 429
        assert browser.ask(caller, "POST", "/docs", {"a": 1})[0] == 429
        assert caller.ask("GET", f"/tokens/{name}", secret)[0] == 200
        assert caller.ask("PATCH", "/tokens/none", secret, {"budget": None})[0] == 404
        assert browser.ask(caller, "GET", "/session")[0] == 200
        assert sign_in(caller, secret).raw(caller, "POST", "/session/end")[0] == 303
    with closing(http.client.HTTPConnection("127.0.0.1", node.port, timeout=20)) as connection:
        body = json.dumps({"budget": None}).encode()
        connection.request("PATCH", f"/tokens/{name}", iter([body[:5], body[5:]]), {"Authorization": f"Bearer {secret}"})
        assert connection.getresponse().status == 200
    for caller in callers:
        until(lambda c=caller: post(c, secret) == 202, SEEN_S, "no budget any more")


def test_who_may_not_change_budgets_is_charged_at_those_addresses_too(callers: list[Caller]) -> None:
    secret = make(callers[0], "curious", "edit", budget={"requests_per_s": ONE})
    assert callers[0].ask("GET", "/tokens", secret)[0] == 403
    for caller in callers:
        assert caller.ask("GET", "/tokens", secret)[0] == 429
        assert caller.ask("GET", "/session", secret)[0] == 429


# -- what is told, and what dies ------------------------------------------------------------------------------


def test_who_is_refused_is_counted_and_named(node: Node, callers: list[Caller]) -> None:
    secret = make(callers[0], "named", "ingest", "read", budget={"requests_per_s": ONE})
    statuses = [post(caller, secret, path) for caller in callers for path in ("/docs", "/docs/any", "/docs/any/id")]
    assert sorted(statuses) == [202, *[429] * 5]
    _, _, content = callers[0].raw("GET", "/metrics", ADMIN)
    counts = dict(line.rsplit(" ", 1) for line in content.decode().splitlines())
    assert float(counts['pypes_requests_over_budget_total{token="named",budget="requests_per_s"}']) == 5
    refused = 'pypes_posts_refused_total{{status="429",code="budget.exceeded",route="{}"}}'
    assert all(float(counts[refused.format(route)]) >= 1 for route in ("", "any"))

    def told() -> Any:
        status = callers[0].ask("GET", "/status", ADMIN)[1]
        over = {each["token"]: each["count"] for each in status["lately"]["over_budget"]}
        return over.get("named") == 5 and [each for each in status["concerns"] if each["kind"] == "budget"]

    [first, *_] = until(told, SEEN_S, "it is told")
    assert "refused with 429 in the last minute" in first["text"]


def test_a_kill_neither_frees_nor_blocks_a_budget(node: Node) -> None:
    with calling(node) as callers:
        once = make(callers[0], "once", "ingest", budget={"requests_per_s": ONE})
        often = make(callers[0], "often", "ingest", budget={"requests_per_s": 2000, "bytes_per_s": 1e9})
        assert post(callers[0], once) == 202
        statuses: list[int] = []
        is_over = threading.Event()

        def load() -> None:
            while not is_over.is_set():
                with suppress(OSError, http.client.HTTPException), closing(Caller(node.port)) as caller:
                    while not is_over.is_set():
                        statuses.append(post(caller, often))

        began = time.monotonic()
        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        until(lambda: len(statuses) > 100, SEEN_S, "they are at work")
        for worker in node.roles()["worker"]:
            number = len(statuses)
            worker.kill()
            until(lambda n=number: len(statuses) > n + 100, SEEN_S, "they go on")
        is_over.set()
        for thread in threads:
            thread.join(20)
        assert statuses.count(202) <= (2 + time.monotonic() - began + 4 * 0.01) * 2000
        assert {*statuses} <= {202, 429, 503}
    until(lambda: len(node.roles()["worker"]) == 2, 30, "two workers")
    with calling(node) as callers:
        for caller in callers:
            assert post(caller, once) == 429
            until(lambda c=caller: post(c, often) == 202, SEEN_S, "what came back passes")


# -- what all share -------------------------------------------------------------------------------------------


def test_half_of_the_connections_is_all_that_one_token_has(tmp_path: Path) -> None:
    environ = {"PYPES_TOKEN": ADMIN, "PYPES_LIMITS_CONNECTIONS": "8"}
    with (
        running(tmp_path, GRAPH, workers=1, instances=1, environ=environ) as node,
        calling(node) as [caller],
        ExitStack() as stack,
    ):
        greedy, polite = make(caller, "greedy", "ingest", "read"), make(caller, "polite", "ingest")
        for _ in range(4):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", node.port), timeout=20))
            head = f"POST /docs HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {greedy}\r\nContent-Length: 10\r\n"
            connection.sendall(f"{head}Expect: 100-continue\r\n\r\n".encode())
            # it waits for the body
            assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        for method, path, body in (("GET", "/status", None), ("POST", "/docs", {"a": 1}), ("POST", "/docs/any", {"a": 1})):
            status, problem = caller.ask(method, path, greedy, body)
            assert (status, problem["code"], problem["where"]) == (429, "token.connections", "greedy")
        for secret in (polite, ADMIN):
            assert post(caller, secret) == 202
        stack.close()
        until(lambda: caller.ask("GET", "/status", greedy)[0] == 200, SEEN_S, "they have gone")
        assert post(caller, greedy) == 202


def test_clients_that_need_no_token_have_a_budget_together(tmp_path: Path) -> None:
    environ = {"PYPES_ACCESS_DOCUMENTS_PER_S": str(ONE)}
    with running(tmp_path, GRAPH, workers=2, instances=1, environ=environ) as node, calling(node) as callers:
        assert sorted(caller.ask("POST", "/docs", None, {"a": 1})[0] for caller in callers * 2) == [202, 429, 429, 429]
        status, problem = callers[0].ask("POST", "/docs/any", None, {"a": 1})
        assert (status, problem["limit"], "where" in problem) == (429, "documents_per_s", False)
        assert callers[0].ask("GET", "/status")[0] == 200


def test_where_no_token_is_needed_addresses_about_tokens_have_the_budget_of_all(tmp_path: Path) -> None:
    environ = {"PYPES_ACCESS_REQUESTS_PER_S": str(ONE)}
    with running(tmp_path, GRAPH, workers=1, instances=1, environ=environ) as node, calling(node) as (caller,):
        assert [caller.ask("GET", "/tokens")[0] for _ in range(2)] == [200, 429]
