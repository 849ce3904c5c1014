"""``/outbox`` on a real node: results wait until they are acknowledged, whoever asks and whichever worker answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from pypes.testing.node import Node, running, until
from tests.api.asking import Asker

ONE, CURSOR = "/outbox/{name}", "/outbox/{name}/{cursor}"


def graph(name: str, **params: Any) -> dict[str, Any]:
    return {
        **{"pypes": 1, "name": name, "routes": [name]},
        "nodes": {"json": {"component": "JSON"}, "results": {"component": "Outbox", "params": {"name": name, **params}}},
        "wires": [["json.out", "results.in"]],
    }


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with running(tmp_path_factory.mktemp("outbox"), graph("base"), workers=2, instances=2) as node:
        yield node


@pytest.fixture(scope="module")
def ask(node: Node) -> Asker:
    return Asker(node, node.get("/openapi.json").json())


@pytest.fixture
def name(ask: Asker, request: pytest.FixtureRequest) -> str:
    """The name of a graph, and of its outbox, that is the test's own."""
    name: str = request.node.name[-60:]
    assert ask("PUT", f"/graphs/{name}", graph(name), template="/graphs/{name}")[0] == 201
    return name


def post(node: Node, name: str, *documents: Any) -> None:
    answer = node.http.request(
        "POST", f"{node.url}/docs/{name}", body=json.dumps([*documents]), headers={"Content-Type": "application/json"}
    )
    assert answer.status == 202, answer.data
    found = node.get(f"/receipts/{answer.json()['receipt']}?wait=30").json()
    assert (found["state"], found["published"]) == ("done", len(documents)), found


def get(ask: Asker, name: str, **query: Any) -> tuple[list[Any], str | None]:
    status, given = ask("GET", f"/outbox/{name}?{urlencode(query)}", template=ONE)
    assert status == 200, given
    return given["results"], given["cursor"]


def acknowledge(ask: Asker, name: str, cursor: str | None) -> Any:
    status, answer = ask("DELETE", f"/outbox/{name}/{quote(cursor or '')}", template=CURSOR)
    assert status == 200, answer
    return answer["acknowledged"]


def test_results_wait_until_they_are_acknowledged(node: Node, ask: Asker, name: str) -> None:
    assert get(ask, name) == ([], None)
    post(node, name, {"id": "a", "text": "one"}, {"id": "b", "text": "two"})
    found, cursor = get(ask, name)
    assert [(each["document"], each["fields"], each["complete"]) for each in found] == [
        (id, {"id": id, "text": text}, True) for id, text in (("a", "one"), ("b", "two"))
    ]
    assert get(ask, name) == (found, cursor)
    # a version that comes meanwhile is none of those that are acknowledged
    post(node, name, {"id": "a", "text": "three"})
    assert acknowledge(ask, name, cursor) == 2
    assert acknowledge(ask, name, cursor) == 0
    newer, cursor = get(ask, name)
    assert [each["fields"]["text"] for each in newer] == ["three"]
    assert newer[0]["version"] > found[0]["version"]
    assert newer[0]["id"] != found[0]["id"]
    assert acknowledge(ask, name, cursor) == 1


def test_a_deletion_is_a_result(node: Node, ask: Asker, name: str) -> None:
    assert node.http.request("DELETE", f"{node.url}/docs/{name}/a%2Fb").status == 202
    found, _ = until(lambda: (given := get(ask, name))[0] and given, 20, "the deletion")
    assert [(each["document"], each["deleted"], each["complete"]) for each in found] == [("a/b", True, True)]


def test_lines(node: Node, ask: Asker, name: str) -> None:
    def lines() -> Any:
        return node.http.request("GET", f"{node.url}/outbox/{name}", headers={"Accept": "application/x-ndjson"})

    assert (lines().data, "Pypes-Cursor" in lines().headers) == (b"", False)
    post(node, name, {"id": "a", "text": "é"}, {"id": "b"})
    answer = lines()
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert [json.loads(line)["document"] for line in answer.data.splitlines()] == ["a", "b"]
    assert acknowledge(ask, name, answer.headers["Pypes-Cursor"]) == 2


def test_who_waits_is_answered_when_a_result_comes(node: Node, ask: Asker, name: str) -> None:
    # more than there are threads in both workers: nobody's wait keeps another request from being answered
    with ThreadPoolExecutor(40) as pool:
        asked = threading.Barrier(41)

        def wait() -> list[Any]:
            asked.wait()
            found: list[Any] = node.http.request("GET", f"{node.url}/outbox/{name}?wait=60", timeout=70).json()["results"]
            return found

        waiting = [pool.submit(wait) for _ in range(40)]
        asked.wait()
        post(node, name, {"id": "a"})
        assert {len(each.result(30)) for each in waiting} == {1}
    assert acknowledge(ask, name, get(ask, name)[1]) == 1
    assert get(ask, name, wait=0.2) == ([], None)


def test_clients_share_the_work_by_leases(node: Node, ask: Asker, name: str) -> None:
    count = 60
    for version in range(3):
        post(node, name, *({"id": str(n), "n": version} for n in range(count)))
    seen: dict[str, list[int]] = {}
    lock = threading.Lock()

    def work() -> int:
        taken = 0
        while taken < 3 * count:
            found, cursor = get(ask, name, limit=7, lease=60, wait=1)
            if cursor is None:
                break
            with lock:
                for each in found:
                    seen.setdefault(each["document"], []).append(each["fields"]["n"])
            taken += acknowledge(ask, name, cursor)
        return taken

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(lambda _: work(), range(4))) == 3 * count
    assert seen == {str(n): [0, 1, 2] for n in range(count)}


def test_a_full_outbox_has_documents_wait_in_the_queue(node: Node, ask: Asker, name: str) -> None:
    assert ask("PUT", f"/graphs/{name}", graph(name, max_bytes=200), template="/graphs/{name}")[0] == 200
    receipts = []
    for n in range(20):
        answer = node.http.request(
            "POST",
            f"{node.url}/docs/{name}",
            body=json.dumps({"id": str(n), "text": "x" * 150}),
            headers={"Content-Type": "application/json"},
        )
        receipts.append(answer.json()["receipt"])

    def resting() -> Any:
        _, found = ask("GET", f"/graphs/{name}", template="/graphs/{name}")
        return found["resting"]

    (rest,) = until(resting, 20, "resting")
    assert f"outbox '{name}' is full" in json.dumps(rest)
    seen: list[str] = []
    while len(seen) < 20:
        found, cursor = get(ask, name, wait=20)
        assert sum(len(json.dumps(each)) for each in found) < 200 + 20 * 500
        seen += [each["document"] for each in found]
        acknowledge(ask, name, cursor)
    assert sorted(seen, key=int) == [str(n) for n in range(20)]
    for receipt in receipts:
        found = node.get(f"/receipts/{receipt}?wait=30").json()
        assert (found["state"], found["published"], found["failed"]) == ("done", 1, 0)


def test_they_are_listed_and_the_status_tells_of_them(node: Node, ask: Asker, name: str) -> None:
    post(node, name, {"id": "a"}, {"id": "b"})
    _, cursor = get(ask, name, lease=60, limit=1)
    for uses in (ask("GET", "/outbox")[1], ask("GET", "/status")[1]["outboxes"]):
        (use,) = (each for each in uses if each["name"] == name)
        assert (use["waiting"], use["leased"], use["reason"]) == (2, 1, "")
        assert use["bytes"] > 100
        assert 0 <= use["oldest_s"] < 60
    acknowledge(ask, name, cursor)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/outbox/none", 404, "outbox.unknown"),
        ("/outbox/..%2Fcontrol", 404, "outbox.unknown"),
        ("/outbox/base?limit=0", 400, "request.invalid"),
        ("/outbox/base?limit=1001", 400, "request.invalid"),
        ("/outbox/base?wait=x", 400, "request.invalid"),
        ("/outbox/base?lease=-1", 400, "request.invalid"),
        ("/outbox/base?leese=1", 400, None),
    ],
)
def test_what_is_wrong_is_told(path: str, status: int, code: str | None, ask: Asker) -> None:
    answered, problem = ask("GET", path, template=ONE)
    assert answered == status, problem
    assert code is None or problem["code"] == code


def test_a_cursor_that_was_not_given_is_refused(ask: Asker) -> None:
    for path in ("/outbox/base/1-9", "/outbox/base/1-9~0123456789abcdef"):
        status, problem = ask("DELETE", path, template=CURSOR)
        assert (status, problem["code"]) == (404, "outbox.unknown_cursor")
    assert ask("DELETE", "/outbox/none/1-9", template=CURSOR)[1]["code"] == "outbox.unknown"


def test_an_outbox_that_cannot_be_read_is_told(node: Node, ask: Asker) -> None:
    path = node.base / "data" / "outbox" / "odd.db"
    path.write_bytes(b"no database" * 1000)
    try:
        status, problem = ask("GET", "/outbox/odd", template=ONE)
        assert (status, problem["code"]) == (503, "outbox.failed")
        (use,) = (each for each in ask("GET", "/outbox")[1] if each["name"] == "odd")
        assert "outbox 'odd' cannot be used now" in use["reason"]
    finally:
        path.unlink()
