"""/logs of a real node: lines by what they are about, alike ones folded, those of a killed instance and of a killed node."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pypes.api.logs import _moment_of
from pypes.core.clock import wall
from pypes.errors import BadRequest
from pypes.testing.node import Node, running, until
from tests.api.asking import Asker

OWN = """
import os
from pypes import Transformer


class Odd(Transformer):
    def process(self, packet):
        what = packet.get("what")
        if what == "fail":
            raise ValueError(f"no {packet.get('n')}")
        if what == "say":
            self.log.warning("said something")
        return packet
"""
GRAPH: dict[str, Any] = {
    "pypes": 1,
    "name": "talk",
    "nodes": {"json": {"component": "JSON"}, "odd": {"component": "Odd"}, "null": {"component": "Null"}},
    "wires": [["json.out", "odd.in"], ["odd.out", "null.in"]],
}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    base = tmp_path_factory.mktemp("logs")
    (base / "own.py").write_text(OWN)
    with running(base, GRAPH, "--load", str(base / "own.py"), workers=2, instances=2) as node:
        yield node


def found(ask: Asker, query: str) -> list[dict[str, Any]]:
    status, page = ask("GET", f"/logs?{query}")
    assert status == 200, page
    logs: list[dict[str, Any]] = page["logs"]
    return logs


def posted(node: Node, **fields: Any) -> str:
    return str(node.post(json.dumps(fields).encode()).json()["receipt"])


def test_the_start_of_the_node_is_in_it(ask: Asker) -> None:
    events = [(line["process"], line["event"]) for line in found(ask, "level=info")]
    assert ("supervisor", "starting") in events
    assert ("supervisor", "ready") in events
    assert "graph deployed" in [line["event"] for line in found(ask, "graph=talk")]
    assert found(ask, "graph=other") == []


def test_a_line_of_a_component_and_of_its_failure_is_found_by_receipt(ask: Asker, node: Node) -> None:
    said, failed = posted(node, what="say"), posted(node, what="fail")
    until(lambda: found(ask, f"receipt={failed}&level=warning"), 20, "told of the failure")
    until(lambda: found(ask, f"receipt={said}"), 20, "told of what it says")
    [line] = found(ask, f"receipt={said}&graph=talk&filter=odd")
    assert (line["event"], line["process"][:9], line["logger"]) == ("said something", "instance-", "pypes.component.Odd")
    [line] = found(ask, f"receipt={failed}&graph=talk&filter=odd&since=1h")
    assert (line["event"], line["process"][:7], line["code"]) == ("documents failed", "ingest-", "component.raised")


def test_many_that_fail_alike_make_few_lines(ask: Asker, node: Node) -> None:
    def told() -> int:
        return sum(line.get("count", 1) for line in found(ask, "limit=1000") if line["event"] == "documents failed")

    before = told()
    receipts = [posted(node, what="fail", n=n) for n in range(100)]
    until(lambda: told() >= before + 100, 90, "told of all")
    assert told() == before + 100
    lines = [line for line in found(ask, "limit=1000") if line["event"] == "documents failed"]
    # two workers, and an interval that grows
    assert len(lines) < 40
    # as many lines on standard error as there are here
    assert node.log_path.read_text().count('"documents failed"') == len(lines)
    assert {each for line in lines for each in ([line["receipt"]] if isinstance(line["receipt"], str) else line["receipt"])} & {
        *receipts
    }


def test_pages(ask: Asker) -> None:
    status, last = ask("GET", "/logs?limit=2")
    assert status == 200
    _, before = ask("GET", f"/logs?limit=2&before={last['earlier']}")
    assert [line["time"] for line in before["logs"]] <= [line["time"] for line in last["logs"]]
    _, again = ask("GET", f"/logs?limit=2&after={before['later']}")
    assert again["logs"] == last["logs"]
    assert node_is_silent(ask, last["later"])


def node_is_silent(ask: Asker, later: str) -> bool:
    status, page = ask("GET", f"/logs?after={later}&level=critical")
    return bool(status == 200 and page["logs"] == [])


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ("level=loud", "level"),
        ("graph=", "graph"),
        ("limit=0", "limit"),
        ("since=yesterday", "since"),
        ("after=x", "after"),
        ("before=1", "before"),
        ("after=a-1&before=a-2", "before"),
        ("grpah=a", "grpah"),
    ],
)
def test_what_is_wrong_is_named(ask: Asker, query: str, where: str) -> None:
    status, problem = ask("GET", f"/logs?{query}")
    assert (status, problem["where"]) == (400, where)


def test_times() -> None:
    now = wall()
    for text, seconds in (("90s", 90), ("5m", 300), ("1.5h", 5400), ("2d", 172_800)):
        assert now - seconds <= _moment_of(text) <= now - seconds + 30
    assert _moment_of("2026-11-30T00:00:00Z") == 1_795_996_800
    assert _moment_of("12.5") == 12.5
    assert _moment_of(None) == 0
    assert _moment_of("999999999d") == 0
    for text in ("5 m", "m", "-5m", "5w"):
        with pytest.raises(BadRequest):
            _moment_of(text)


def test_the_last_lines_of_a_killed_instance_and_of_a_killed_node_are_there(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    with running(tmp_path, GRAPH, "--load", str(tmp_path / "own.py"), workers=1, instances=1) as node:

        def lines(query: str) -> list[dict[str, Any]]:
            answer = node.get(f"/logs?{query}")
            return answer.json()["logs"] if answer.status == 200 else []

        said = posted(node, what="say")
        until(lambda: lines(f"receipt={said}"), 20, "told")
        runtime = next(path.parent for path in _mapped(node, "supervisor"))
        [instance] = node.roles()["instance"]
        instance.kill()
        until(lambda: [line for line in lines("graph=talk") if line["event"] == "instance died"], 20, "told of its end")
        assert [line["event"] for line in lines(f"receipt={said}")] == ["said something"]
        assert not [*runtime.glob(f"instance-*.{instance.pid}.log")]
        node.kill()
        until(lambda: not node.leftovers(), 20, "gone with its supervisor")
        node.start()
        node.wait_ready()
        # of the former supervisor, which had taken them over, and of its children
        until(lambda: [line for line in lines("graph=talk") if line["event"] == "instance died"], 20, "told of the node before")
        assert len(lines("limit=1000")) > len([line for line in lines("limit=1000") if line["process"] == "supervisor"])


def _mapped(node: Node, role: str) -> list[Path]:
    """The log rings that a process has in its memory."""
    [process] = node.roles()[role]
    return [Path(each.path) for each in process.memory_maps() if each.path.endswith(".log")]
