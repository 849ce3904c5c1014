"""``pypes export`` and ``pypes import``: what was on one node is on the other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from pypes.cli.commands import pypes
from pypes.testing.node import Node, running

GRAPH: dict[str, Any] = {
    "pypes": 1,
    "name": "first",
    "routes": ["r"],
    "nodes": {"json": {"component": "JSON", "params": {}}, "null": {"component": "Null", "params": {}}},
    "wires": [["json.out", "null.in"]],
}


def run(command: str, node: Node, *arguments: str) -> Result:
    return CliRunner().invoke(pypes, [command, "--url", node.url, *arguments])


def ask(node: Node, method: str, path: str, body: Any = None) -> Any:
    answer = node.http.request(method, node.url + path, body=json.dumps(body), headers={"Content-Type": "application/json"})
    assert answer.status < 300, answer.data
    return answer.json()


def test_graphs_and_drafts_move(tmp_path: Path) -> None:
    second = {**GRAPH, "name": "second", "routes": []}
    file = tmp_path / "node.json"
    with running(tmp_path / "one", GRAPH, workers=1, instances=1) as node:
        ask(node, "PUT", "/graphs/second?by=ann&note=why", second)
        ask(node, "PUT", "/graphs/second?by=ann&note=why", {**second, "description": "again"})
        ask(node, "POST", "/graphs/second/pause")
        part = {"inputs": {"in": "set.in"}, "outputs": {"out": "set.out"}, "nodes": {"set": {"component": "SetField"}}}
        ask(node, "PUT", "/composites/part", part)
        ask(node, "PUT", "/composites/around", {**part, "nodes": {"set": {"component": "part"}}})
        a, b = (ask(node, "POST", "/filters", {"component": name})["id"] for name in ("JSON", "Null"))
        ask(node, "POST", "/filters", {"component": "Text"})
        c = ask(node, "POST", "/filters", {"component": "Null"})["id"]
        ask(node, "POST", "/graphs/drafted/wires", {"source": f"{a}.out", "target": f"{b}.in"})
        ask(node, "POST", "/graphs/second/wires", {"source": "json.out", "target": f"{c}.in"})
        done = run("export", node)
        assert done.exit_code == 0, done.output
        file.write_text(done.stdout)
        assert "say which with --graph (first, second)" in run("export", node, "--format", "pypes1").stderr
        project = run("export", node, "--format", "pypes1", "--graph", "first")
        assert [each["filterName"] for each in json.loads(project.stdout)["containers"]] == ["SimpleJSON", "Null"]
        assert [each["type"] for each in json.loads(project.stdout)["containers"]] == ["Adapters", "Publishers"]
        assert project.stderr == "first: routes: has no place in a project and is left out [pypes1.left_out]\n"
        drafted = ask(node, "GET", "/graphs/drafted/draft")["graph"]
        changed = ask(node, "GET", "/graphs/second/draft")
        assert (changed["base"], changed["live"]) == (2, 2)
    other = {**GRAPH, "name": "other", "routes": ["s"]}
    with running(tmp_path / "two", other, workers=1, instances=1) as node:
        done = run("import", node, str(file))
        assert done.exit_code == 0, done.output
        kept = "part: composite, version 1\naround: composite, version 1\n"
        said = kept + "first: version 1\nsecond: version 1, paused\n{}1 drafted filter\n"
        assert done.stdout == said.format("drafted: draft\nsecond: draft\n")
        states = {each["name"]: each["state"] for each in ask(node, "GET", "/graphs")}
        assert states == {"first": "live", "other": "live", "second": "paused"}
        assert ask(node, "GET", "/graphs/second")["graph"] == {**{k: v for k, v in second.items() if v}, "description": "again"}
        (version,) = ask(node, "GET", "/graphs/second/versions")
        assert version["note"].startswith("imported, version 2 by ann of 2")
        assert version["note"].endswith(": why")
        assert ask(node, "GET", "/graphs/drafted/draft")["graph"] == drafted
        assert [(head["name"], head["base"]) for head in ask(node, "GET", "/drafts")] == [("drafted", 0), ("second", 1)]
        assert ask(node, "GET", "/graphs/second/draft")["graph"] == changed["graph"]
        # once more: what is the same makes no version
        ask(node, "POST", "/graphs/second/resume")
        done = run("import", node, str(file))
        # those that are there already can be saved in any order
        said = said.replace(kept, "around: composite, version 1\npart: composite, version 1\n")
        assert (done.exit_code, done.stdout) == (0, said.format(""))
        assert len(ask(node, "GET", "/graphs/second/versions")) == 1
        assert ask(node, "GET", "/graphs/second")["state"] == "paused"
        # another draft that is there is not overwritten; it keeps the others from nothing
        exported = json.loads(file.read_text())
        exported["drafts"]["graphs"][0]["graph"] = {"name": "drafted"}
        file.write_text(json.dumps(exported))
        done = run("import", node, str(file))
        assert (done.exit_code, done.stdout) == (1, said.format(""))
        assert done.stderr.startswith("drafted: draft refused: ")
        assert ask(node, "GET", "/graphs/drafted/draft")["graph"] == drafted


def test_drafts_in_a_file_of_an_earlier_release_are_wires(tmp_path: Path) -> None:
    file = tmp_path / "node.json"
    filters = [{"id": id, "component": component, "params": {}} for id, component in (("a", "JSON"), ("b", "Null"))]
    wires = [["gone.out", "b.in"], ["a.out", "b.in"]]
    drafts = {"filters": filters, "graphs": [{"name": "drafted", "wires": wires}]}
    file.write_text(json.dumps({"pypes_node": 1, "graphs": [], "drafts": drafts}))
    with running(tmp_path / "node", GRAPH, workers=1, instances=1) as node:
        done = run("import", node, str(file))
        # one lacked a filter
        assert (done.exit_code, done.stdout) == (1, "2 drafted filters\n")
        assert done.stderr.startswith("drafted: draft: wire from gone.out to ")
        assert ask(node, "GET", "/graphs/drafted/draft")["graph"]["wires"] == [["json.out", "null.in"]]


def test_what_is_refused_is_named_and_the_rest_is_moved(tmp_path: Path) -> None:
    file = tmp_path / "node.json"
    made = {"version": 1, "time": "t", "by": "", "note": "", "paused": False}
    bad = {**GRAPH, "name": "bad", "nodes": {"none": {"component": "None"}}}
    good = {**GRAPH, "name": "good", "routes": []}
    graphs = [{**made, "graph": bad}, {**made, "graph": good}]
    with running(tmp_path / "node", GRAPH, workers=1, instances=1) as node:
        file.write_text(json.dumps({"pypes_node": 1, "graphs": graphs, "drafts": {"filters": [], "graphs": []}}))
        done = run("import", node, str(file))
        assert done.exit_code == 1
        assert done.stdout == "good: version 1\n"
        assert done.stderr.startswith("bad: refused: ")
        for text, said in (("{", "is not JSON"), ('{"pypes": 1}', "was not written by")):
            file.write_text(text)
            done = run("import", node, str(file))
            assert done.exit_code == 1
            assert said in done.output
