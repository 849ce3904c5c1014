"""Sources over HTTP, on a real node with two workers: one of them owns the graph."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pypes.testing.node import Node, running, until
from tests.api.asking import GRAPH, Asker
from tests.snippets import ROOT, blocks_of

TEMPLATE = "/graphs/{name}/trigger"

#: A source that waits for a file between its two pairs, and one as the original had them.
COMPONENTS = '''
import threading
from pathlib import Path
from typing import Annotated

from pypes import Component, Help, Packet, Parameters, Source


class Gated(Source):
    """Fetches one document, and another when a file is there."""

    class Params(Parameters):
        gate: Annotated[str, Help("The file.")] = "gate"

    def fetch(self, cursor):
        start = cursor or 0
        yield [Packet({"id": str(start)})], start + 1
        while not Path(self.data_dir, self.params.gate).exists():
            threading.Event().wait(0.01)
        yield [Packet({"id": str(start + 1)})], start + 2


class Ticker(Component):
    """Sends one packet each time it is triggered."""

    __metatype__ = "ADAPTER"

    def run(self):
        while True:
            self.send("out", Packet({"tick": 1}))
            self.yield_ctrl()


class Broken(Source):
    """Cannot reach what it should fetch."""

    def fetch(self, cursor):
        yield [Packet({"id": "only"})], "first"
        raise ConnectionError("nobody there")
'''

#: The controller of the component guide.
(ROUNDS,) = [block.text for block in blocks_of((ROOT / "docs/component-guide.md").read_text()) if block.name == "rounds.py"]


def graph(name: str, source: str, **more: Any) -> dict[str, Any]:
    return {
        "pypes": 1,
        "name": name,
        "nodes": {
            "source": {"component": source, "params": {}},
            "out": {"component": "JSONLines", "params": {"path": f"{name}.jsonl", "form": "packet"}},
        },
        "wires": [["source.out", "out.in"]],
        **more,
    }


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    base = tmp_path_factory.mktemp("triggers")
    (base / "sources.py").write_text(COMPONENTS)
    (base / "rounds.py").write_text(ROUNDS)
    flags = ("--load", str(base / "sources.py"), "--load", str(base / "rounds.py"))
    with running(base, GRAPH, *flags, workers=2, instances=2) as node:
        yield node


def published(node: Node, name: str) -> list[dict[str, Any]]:
    path = node.base / "data" / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def ids(node: Node, name: str) -> list[str]:
    return [packet["fields"]["id"] for packet in published(node, name)]


def trigger(ask: Asker, name: str) -> tuple[int, Any]:
    return ask("POST", f"/graphs/{name}/trigger", template=TEMPLATE)


def triggered(ask: Asker, name: str) -> bool:
    """True once the sources of a graph could be triggered: the run before is over."""
    return trigger(ask, name)[0] == 202


def test_a_source_goes_on_where_it_stopped_and_runs_once_at_a_time(node: Node, ask: Asker) -> None:
    assert node.http.request("PUT", f"{node.url}/graphs/gated", json=graph("gated", "Gated")).status == 201
    gate = node.base / "data" / "gate"
    assert trigger(ask, "gated") == (202, {"graph": "gated", "sources": ["source"], "stopped": {}})
    until(lambda: ids(node, "gated") == ["0"], 10, "the first document published")
    status, problem = trigger(ask, "gated")
    assert (status, problem["code"]) == (409, "graph.triggered")
    gate.touch()
    until(lambda: ids(node, "gated") == ["0", "1"], 10, "the second")
    until(lambda: triggered(ask, "gated"), 10, "the first run over")
    until(lambda: ids(node, "gated") == ["0", "1", "2", "3"], 10, "the second run's")
    assert all(packet["meta"]["receipt"] for packet in published(node, "gated"))


def test_what_was_fetched_before_a_source_failed_stays(node: Node, ask: Asker) -> None:
    assert node.http.request("PUT", f"{node.url}/graphs/broken", json=graph("broken", "Broken")).status == 201
    assert triggered(ask, "broken")
    until(lambda: ids(node, "broken") == ["only"], 10, "published")
    until(lambda: triggered(ask, "broken"), 10, "the run over")
    until(lambda: "nobody there" in node.log(), 10, "the reason in the log")
    found = node.get("/graphs/broken/trigger").json()
    assert (found["stopped"], found["failed"]) == ({}, {"source": "ConnectionError: nobody there"})


def test_a_source_triggers_and_paces_others(node: Node, ask: Asker) -> None:
    """The second round of the graph that waits for its gate begins when the first is over, and no sooner."""
    gated, rounds = graph("paced", "Gated"), graph("rounds", "Rounds")
    gated["nodes"]["source"]["params"] = {"gate": "paced-gate"}
    rounds["nodes"]["source"]["params"] = {"graphs": ["paced", "ticking", "paced"], "url": node.url}
    for each in (gated, graph("ticking", "Ticker"), rounds):
        assert node.http.request("PUT", f"{node.url}/graphs/{each['name']}", json=each).status == 201

    def log() -> list[str]:
        return [packet["fields"]["triggered"] for packet in published(node, "rounds")]

    assert trigger(ask, "rounds")[0] == 202
    until(lambda: len(published(node, "ticking")) == 1 and log() == ["paced", "ticking"], 10, "two of three turns")
    assert trigger(ask, "rounds")[0] == 409
    assert ids(node, "paced") == ["0"]
    (node.base / "data" / "paced-gate").touch()
    until(lambda: ids(node, "paced") == ["0", "1", "2", "3"] and log() == ["paced", "ticking", "paced"], 10, "the third")


def test_filters_without_wires_run_as_in_the_original(node: Node, ask: Asker) -> None:
    assert node.http.request("PUT", f"{node.url}/graphs/ticker", json=graph("ticker", "Ticker")).status == 201
    assert trigger(ask, "ticker") == (202, {"graph": "ticker", "sources": [], "stopped": {}})
    until(lambda: len(published(node, "ticker")) == 1, 10, "one packet")
    until(lambda: triggered(ask, "ticker"), 10, "the first run over")
    until(lambda: len(published(node, "ticker")) == 2, 10, "one more")


def test_what_cannot_be_triggered(node: Node, ask: Asker) -> None:
    assert trigger(ask, "nowhere")[0] == 404
    status, problem = trigger(ask, "base")
    assert (status, problem["code"]) == (409, "graph.no_source")
    assert node.http.request("PUT", f"{node.url}/graphs/halted", json=graph("halted", "Broken")).status == 201
    assert node.http.request("POST", f"{node.url}/graphs/halted/pause").status == 200
    until(lambda: trigger(ask, "halted")[1].get("code") == "graph.paused", 10, "refused")


def test_a_schedule_needs_a_source_and_a_time(node: Node, ask: Asker) -> None:
    template = "/graphs/{name}"
    status, problem = ask("PUT", "/graphs/timed", {**GRAPH, "name": "timed", "schedule": "* * * * *"}, template=template)
    assert (status, [error["code"] for error in problem["errors"]]) == (422, ["graph.no_source"])
    wrong = graph("timed", "Broken", schedule="61 * * * *", missed="never")
    status, problem = ask("PUT", "/graphs/timed", wrong, template=template)
    assert (status, [error["path"] for error in problem["errors"]]) == (422, ["schedule", "missed"])
    right = graph("timed", "Broken", schedule="0 4 1 1 *", missed="skip")
    status, deployed = ask("PUT", "/graphs/timed", right, template=template)
    assert (status, deployed["graph"]["schedule"], deployed["graph"]["missed"]) == (201, "0 4 1 1 *", "skip")


def test_a_graph_of_a_fleet_needs_one(node: Node, ask: Asker) -> None:
    shared = graph("shared", "Broken", firing="fleet")
    status, problem = ask("PUT", "/graphs/shared", shared, template="/graphs/{name}")
    assert status == 422
    assert [(error["path"], error["code"]) for error in problem["errors"]] == [("firing", "graph.no_fleet")]
    assert "--fleet" in problem["errors"][0]["message"]
    status, found = ask("POST", "/graphs/shared/validate", shared, template="/graphs/{name}/validate")
    assert (status, [error["path"] for error in found["errors"]]) == (200, ["firing"])


def test_the_catalogue_says_what_fetches(ask: Asker) -> None:
    for name, fetches in (("Files", True), ("JSON", False)):
        assert ask("GET", f"/components/{name}", template="/components/{name}")[1]["fetches"] is fetches


def test_a_directory_that_is_emptied_deletes_when_that_is_confirmed(node: Node, ask: Asker, tmp_path: Path) -> None:
    files = graph("emptied", "Files")
    files["nodes"]["source"]["params"] = {"directory": str(tmp_path), "settle_s": 0}
    assert node.http.request("PUT", f"{node.url}/graphs/emptied", json=files).status == 201
    names = [f"{number:02}.txt" for number in range(11)]
    for name in names:
        (tmp_path / name).write_text(name)

    def known() -> list[str]:
        return sorted(packet["meta"]["id"] for packet in published(node, "emptied"))

    def runs() -> Any:
        return ask("GET", "/graphs/emptied/trigger", template=TEMPLATE)[1]

    until(lambda: triggered(ask, "emptied"), 10, "triggered")
    until(lambda: known() == names, 10, "published")
    until(lambda: not runs()["running"], 10, "the run over")
    for name in names:
        (tmp_path / name).unlink()
    assert triggered(ask, "emptied")
    until(lambda: runs()["stopped"], 10, "stopped")
    assert known() == names
    assert "confirm=deletions" in runs()["stopped"]["source"]
    until(lambda: not runs()["running"], 10, "the run over")
    status, problem = ask("POST", "/graphs/emptied/trigger?confirm=all", template=TEMPLATE)
    assert (status, problem["code"]) == (400, "request.invalid")
    status, answer = ask("POST", "/graphs/emptied/trigger?confirm=deletions", template=TEMPLATE)
    assert (status, list(answer["stopped"])) == (202, ["source"])
    until(lambda: known() == sorted([*names, *names]), 10, "deleted")
    deletions = published(node, "emptied")[len(names) :]
    assert {packet["meta"]["requestmethod"] for packet in deletions} == {"DELETE"}
    until(lambda: not (runs()["running"] or runs()["stopped"]), 10, "the run over")


def test_files_of_a_directory(node: Node, ask: Asker, tmp_path: Path) -> None:
    files = graph("files", "Files")
    files["nodes"]["source"]["params"] = {"directory": str(tmp_path)}
    assert node.http.request("PUT", f"{node.url}/graphs/files", json=files).status == 201
    (tmp_path / "a.txt").write_text("hello")
    until(lambda: triggered(ask, "files"), 10, "triggered")
    (packet,) = until(lambda: published(node, "files"), 10, "published")
    assert (packet["meta"]["filename"], packet["meta"]["mimetype"]) == ("a.txt", "text/plain")
