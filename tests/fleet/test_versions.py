"""One version of each graph: deployed through any node, on all members or on none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from urllib3.exceptions import HTTPError

from pypes.testing.node import Node, until
from tests.fleet.nodes import Fleet, fleet

PARTS = Path(__file__).parent.parent / "runtime" / "node_parts.py"


def graph(name: str, mark: str, do: str = "nothing", file: str = "") -> dict[str, Any]:
    """A graph whose filter does something at its set-up; a relative file is each node's own."""
    return {
        "pypes": 1,
        "name": name,
        "description": mark,
        "nodes": {
            "json": {"component": "JSON"},
            "odd": {"component": "Odd", "params": {"do": do, "file": file}},
            "out": {"component": "JSONLines", "params": {"path": f"{name}.jsonl", "form": "packet"}},
        },
        "wires": [["json.out", "odd.in"], ["odd.out", "out.in"]],
        "routes": [name],
    }


def call(node: Node, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    answer = node.http.request(method, node.url + path, body=data, headers={"Content-Type": "application/json"}, timeout=120.0)
    return answer.status, json.loads(answer.data) if answer.data else None


def marks(nodes: Fleet, name: str) -> list[str | None]:
    """The descriptions of a graph on all nodes, ``None`` where it is not."""
    found = [call(node, "GET", f"/graphs/{name}") for node in nodes.nodes]
    return [shown["graph"]["description"] if status == 200 else None for status, shown in found]


def name_of(node: Node) -> str:
    return node.url.removeprefix("http://")


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Three nodes with components that fail as they are told."""
    with fleet(tmp_path_factory.mktemp("fleet"), 3, flags=("--load", str(PARTS))) as nodes:
        yield nodes


def test_a_graph_is_deployed_changed_paused_and_taken_down_through_any_node(three: Fleet) -> None:
    first, second, third = three.nodes
    status, shown = call(first, "PUT", "/graphs/one", graph("one", "a"))
    assert (status, shown["fleet"]["away"]) == (201, []), shown
    assert marks(three, "one") == ["a"] * 3
    status, shown = call(third, "PUT", "/graphs/one?by=me&note=why", graph("one", "b"))
    assert (status, shown["fleet"]["switched"]) == (200, sorted([name_of(first), name_of(second)])), shown
    assert marks(three, "one") == ["b"] * 3
    versions = call(second, "GET", "/graphs/one/versions")[1]
    assert (versions[0]["by"], versions[0]["note"]) == ("me", "why")
    digests = {call(node, "GET", "/graphs/one/versions/2")[1]["digest"] for node in three.nodes}
    assert digests == {versions[0]["digest"]}
    assert versions[0]["fleet"] == shown["fleet"]["version"]
    assert call(second, "POST", "/graphs/one/pause")[0] == 200
    assert [call(node, "GET", "/graphs/one")[1]["state"] for node in three.nodes] == ["paused"] * 3
    assert call(first, "POST", "/graphs/one/resume")[0] == 200
    assert "members_differ" not in call(first, "GET", "/graphs/one")[1]
    found = call(second, "GET", "/fleet")[1]["graphs"]["one"]
    assert (found["differs"], len(found["members"])) == (False, 3)
    assert call(second, "DELETE", "/graphs/one")[0] == 204
    assert marks(three, "one") == [None] * 3


def test_none_switches_if_one_cannot(three: Fleet) -> None:
    first, second, third = three.nodes
    for node in (first, second):
        (node.base / "flag").touch()
    assert call(first, "PUT", "/graphs/none", graph("none", "a"))[0] == 201
    for node in (second, third):
        status, problem = call(node, "PUT", "/graphs/none", graph("none", "b", "raise-if-missing", "flag"))
        assert (status, problem["code"]) == (409, "graph.setup_failed"), problem
        assert "it is missing" in problem["detail"]
        assert (name_of(third) in problem["detail"]) == (node is second)
    assert marks(three, "none") == ["a"] * 3
    (third.base / "flag").touch()
    assert call(first, "PUT", "/graphs/none", graph("none", "b", "raise-if-missing", "flag"))[0] == 200
    assert marks(three, "none") == ["b"] * 3


def test_of_two_at_once_one_wins(three: Fleet) -> None:
    first, second, _ = three.nodes
    for node in three.nodes:
        (node.base / "go").unlink(missing_ok=True)
    with ThreadPoolExecutor(2) as pool:
        winner = pool.submit(call, first, "PUT", "/graphs/race", graph("race", "a", "wait", "go"))
        until(lambda: all((node.base / "go.waiting").exists() for node in three.nodes), 60, "prepared")
        status, problem = call(second, "PUT", "/graphs/race", graph("race", "b"))
        assert (status, problem["code"]) == (412, "fleet.busy")
        assert marks(three, "race") == [None] * 3
        for node in three.nodes:
            (node.base / "go").touch()
        assert winner.result(120)[0] == 201
    assert marks(three, "race") == ["a"] * 3


def test_nodes_die(tmp_path: Path) -> None:
    """One that was away takes what was decided, and what a coordinator has begun and not decided is dropped."""
    with fleet(tmp_path, 3, flags=("--load", str(PARTS))) as nodes:
        _one_is_away(nodes)
        _the_coordinator_dies(nodes)


def _one_is_away(three: Fleet) -> None:
    first, second, third = three.nodes
    assert call(first, "PUT", "/graphs/gone", graph("gone", "a"))[0] == 201
    assert call(first, "PUT", "/graphs/late", graph("late", "a"))[0] == 201
    third.kill()
    until(lambda: [m["state"] for m in three.members(first) if m["name"] == name_of(third)] == ["away"], 60, "missed")
    status, shown = call(first, "PUT", "/graphs/late", graph("late", "b"))
    assert (status, shown["fleet"]["away"]) == (200, [name_of(third)])
    assert call(second, "DELETE", "/graphs/gone")[0] == 204
    third.start()
    until(third.is_ready, 60, "ready again")
    assert marks(three, "late") == ["b"] * 3
    assert marks(three, "gone") == [None] * 3
    three.wait_whole()


def _unless_busy(answer: tuple[int, Any]) -> tuple[int, Any] | None:
    return None if answer[1].get("code") == "fleet.busy" else answer


def _the_coordinator_dies(three: Fleet) -> None:
    first, second, third = three.nodes
    assert call(first, "PUT", "/graphs/cut", graph("cut", "a"))[0] == 201
    for node in (second, third):
        (node.base / "cut").touch()
    with ThreadPoolExecutor(1) as pool:
        lost = pool.submit(call, first, "PUT", "/graphs/cut", graph("cut", "b", "wait", "cut"))
        until((first.base / "cut.waiting").exists, 60, "preparing")
        first.kill()
        with suppress(HTTPError):  # unless its worker dies after its supervisor
            assert lost.result(120)[0] == 503
    receipt = json.loads(second.post(b'{"text": "meanwhile"}', "/docs/cut").data)["receipt"]
    # 412 until the others know that the coordinator is away; then it waits until they have dropped what is prepared
    status, shown = until(lambda: _unless_busy(call(second, "PUT", "/graphs/cut", graph("cut", "c"))), 60, "free again")
    assert status == 200, shown
    assert shown["fleet"]["away"] == [name_of(first)]
    assert call(second, "GET", f"/receipts/{receipt}?wait=20")[1]["state"] == "done"
    first.start()
    until(first.is_ready, 60, "ready again")
    assert marks(three, "cut") == ["c"] * 3
    three.wait_whole()
