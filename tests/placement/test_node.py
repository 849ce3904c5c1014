"""Isolated components on a real node: in processes of their own, which neither stay behind nor take the instance along."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from pypes.testing.node import Node, until
from tests.placement import hostile

GRAPH: dict[str, Any] = {
    "pypes": 1,
    "name": "read",
    "nodes": {
        "html": {"component": "NaiveHTML", "timeout_s": 1.5},
        "pdf": {"component": "NaivePDF"},
        "sheet": {"component": "NaiveXLSX"},
        "lines": {"component": "JSONLines", "params": {"path": "out.jsonl"}},
    },
    "wires": [["html.out", "lines.in"], ["pdf.out", "lines.in"], ["sheet.out", "lines.in"]],
}


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    running = Node(tmp_path, GRAPH, "--load", hostile.__file__, workers=1, instances=1)
    try:
        running.start()
        running.wait_ready()
        yield running
    finally:
        running.close()


def children(node: Node) -> list[psutil.Process]:
    return [process for process in node.roles()["other"] if "pypes.placement.pool_worker" in " ".join(process.cmdline())]


def published(node: Node) -> list[str]:
    path = node.base / "data" / "out.jsonl"
    return [json.loads(line)["text"].strip() for line in path.read_text().splitlines()] if path.exists() else []


def test_hostile_documents_cost_themselves_and_leave_the_instance_alone(node: Node) -> None:
    [instance] = node.roles()["instance"]
    assert len(children(node)) == 3
    bodies = [
        ("text/html", hostile.GOOD_HTML, hostile.nested_html()),
        ("application/pdf", hostile.GOOD_PDF, hostile.doubling_pdf()),
        (hostile.NaiveXLSX.accepts[0], hostile.GOOD_XLSX, hostile.sparse_xlsx()),
    ]
    receipts = []
    for content_type, good, bad in bodies:
        for body in (good, bad, good):
            answer = node.post(body, content_type=content_type)
            assert answer.status == 202
            receipts.append(answer.json()["receipt"])
    for number, receipt in enumerate(receipts):
        path = f"/receipts/{receipt}?wait=10"
        until(lambda p=path: node.get(p).json()["finished"], 60, f"receipt of {number} is final")
        found = node.get(path).json()
        assert (found["published"], found["failed"]) == ((0, 1) if number % 3 == 1 else (1, 0)), found
    letters = {letter["filter"]: letter for letter in node.get("/deadletters").json()["deadletters"]}
    assert letters["html"]["error"] == "not done after 1.5 s in filter html"
    assert letters["html"]["component"] == "NaiveHTML"
    assert letters["sheet"]["error"] == "killed by SIGABRT in filter sheet"
    assert {letters[name]["code"] for name in letters} <= {"isolated.timeout", "isolated.killed"}
    assert published(node) == ["good text"] * 6
    assert [process.pid for process in node.roles()["instance"]] == [instance.pid]


def test_its_processes_end_with_the_instance(node: Node) -> None:
    before = children(node)
    [instance] = node.roles()["instance"]
    instance.kill()
    until(lambda: not any(process.is_running() for process in before), 10, "they have ended, and are reaped")
    until(lambda: len(children(node)) == 3, 20, "the next instance has its own")
    assert node.stop() == 0
    until(lambda: not node.leftovers(), 5, "no process is left")
