"""``pypes record``: what a node processes becomes tests, which ``pypes test`` then passes."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pypes.cli.commands import pypes
from pypes.testing.node import Node, running

PARTS = '''
import time

from pypes import Reject, Transformer


class Stamp(Transformer):
    """Says when, and refuses or drops what says so."""

    def process(self, packet):
        if packet.get("do") == "refuse":
            raise Reject("refused")
        packet.set("at", time.time())
        packet.set("greeting", f"Hello {packet.get('name')}")
        return None if packet.get("do") == "drop" else packet
'''


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    base = tmp_path_factory.mktemp("record")
    (base / "parts.py").write_text(PARTS)
    graph = {
        "pypes": 1,
        "name": "g",
        "nodes": {
            "json": {"component": "JSON"},
            "stamp": {"component": "Stamp"},
            "out": {"component": "JSONLines", "params": {"path": str(base / "out.jsonl")}},
        },
        "wires": [["json.out", "stamp.in"], ["stamp.out", "out.in"]],
    }
    with running(base, graph, "--load", str(base / "parts.py"), workers=1, instances=1) as node:
        yield node


@contextmanager
def posting(node: Node, *documents: Any) -> Iterator[None]:
    """Post the documents, over and over."""
    stop = threading.Event()

    def post() -> None:
        while not stop.is_set():
            for document in documents:
                if isinstance(document, bytes):
                    node.post(document, content_type="text/plain")
                else:
                    node.post(json.dumps(document).encode())
            stop.wait(0.02)

    thread = threading.Thread(target=post, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)


def run(node: Node, *arguments: str) -> Result:
    return CliRunner().invoke(pypes, ["record", "g", "--url", node.url, *arguments])


def test_recorded_tests_pass(node: Node, tmp_path: Path) -> None:
    file = tmp_path / "g.json"
    file.write_bytes((node.graphs / "g.json").read_bytes())
    with posting(
        node, {"name": "Ann"}, {"name": "Bo", "do": "drop"}, {"name": "Cy", "do": "refuse"}, [{"name": "D"}, {"name": "E"}]
    ):
        done = run(node, "--sample", "8", "--into", str(file))
    assert (done.exit_code, done.stderr) == (0, "8 recorded\n"), done.output
    tests = json.loads(file.read_text())["tests"]
    assert len(tests) == 8
    kinds = {json.dumps(test["expect"], sort_keys=True): test for test in tests}
    assert len(kinds) == 3
    assert {test["dropped"] for test in tests} == {0, 1}
    assert [{"filter": "stamp", "code": "rejected"}] in [test.get("failed") for test in tests]
    passed = CliRunner().invoke(pypes, ["test", str(file), "--load", str(node.base / "parts.py")])
    assert passed.exit_code == 0, passed.output
    assert "8 passed, 0 failed" in passed.output


def test_fields_are_redacted_in_post_and_expectation(node: Node) -> None:
    with posting(node, {"name": "Ann", "n": 1}, b"Ann is no field here"):
        done = run(node, "--sample", "2", "--redact", "name,title")
    assert done.exit_code == 0, done.output
    assert "could not be" in done.stderr
    tests = json.loads(done.stdout)
    assert "Ann" not in done.stdout
    for test in tests:
        assert json.loads(test["post"]["body"]) == {"name": "REDACTED", "n": 1}
        assert test["expect"] == [
            {"node": "out", "packets": 1, "fields": {"name": "REDACTED", "n": 1, "greeting": "Hello REDACTED"}}
        ]


def test_fewer_than_wanted(node: Node) -> None:
    done = run(node, "--sample", "5", "--wait", "0.5")
    assert (done.exit_code, json.loads(done.stdout), done.stderr) == (1, [], "0 recorded\n")
    assert run(node, "--sample", "5", "--redact", ",", "--wait", "0").exit_code == 1
