"""``pypes test`` and ``pypes debug``: what they say about a graph that works and one that does not."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from pypes.cli.commands import pypes

GRAPHS = sorted((Path(__file__).parents[2] / "graphs").rglob("*.json"))
GRAPH: dict[str, Any] = {
    "pypes": 1,
    "name": "g",
    "nodes": {
        "json": {"component": "JSON"},
        "lower": {"component": "NormalizeCase", "params": {"fields": ["title"]}},
        "out": {"component": "JSONLines", "params": {"path": "out.jsonl"}},
    },
    "wires": [["json.out", "lower.in"], ["lower.out", "out.in"]],
}
GOOD = {"name": "lower", "post": {"body": {"title": "A"}}, "expect": [{"node": "out", "packets": 1, "fields": {"title": "a"}}]}
BAD = {
    "name": "upper",
    "post": {"body": {"title": "A", "n": 1}},
    "expect": [{"node": "out", "packets": 2, "fields": {"title": "A"}}],
    "dropped": 1,
}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(pypes, list(arguments))


def write(*tests: Any, **changes: Any) -> None:
    Path("g.json").write_text(json.dumps({**GRAPH, **changes, "tests": tests}))


def test_tests_that_pass() -> None:
    write(GOOD)
    done = run("test", "g.json")
    assert (done.exit_code, done.output) == (0, "g.json: lower: ok\n1 passed, 0 failed\n")
    assert not Path("out.jsonl").exists()


def test_a_failure_is_shown_and_reported() -> None:
    write(GOOD, BAD)
    done = run("test", "g.json", "--junit", "junit.xml")
    assert done.exit_code == 1
    assert done.output == (
        "g.json: lower: ok\n"
        "g.json: upper: FAILED\n"
        "  packets at out:\n"
        "    expected 2\n"
        "    found    1\n"
        "  a packet at out:\n"
        '    expected {"fields":{"title":"A"}}\n'
        '    found    {"fields":{"title":"a"}}\n'
        "  documents dropped:\n"
        "    expected 1\n"
        "    found    0\n"
        "1 passed, 1 failed\n"
    )
    suite = ElementTree.parse("junit.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "1", "0")
    assert suite[1][0].get("message") == "packets at out:"


@pytest.mark.parametrize("path", GRAPHS, ids=lambda path: path.stem)
def test_the_graphs_of_this_project_pass(path: Path) -> None:
    done = run("test", str(path))
    assert done.exit_code == 0, done.output
    assert re.search(r"^[1-9]\d* passed, 0 failed$", done.output, re.MULTILINE)


#: What is said of graphs/search.json without its HTML adapter: the one for text takes pages, too, and leaves them as they are.
BROKEN = r"""broken.json: a page gives its title and text: FAILED
  a packet at index:
    expected {"fields":{"title":"Pypes"},"patterns":{"text":"Push\\s+documents\\s+in"}}
    found    {"fields":{"text":"<html><head><title>Pypes</title></head><body><p>Push <b>documents</b> in.</p><script>no()</script></body></html>","title":null}}
broken.json: a JSON object keeps its fields: ok
broken.json: every row of a table is a document: ok
broken.json: plain text is taken as it is: ok
3 passed, 1 failed
"""  # noqa: E501 - as it is printed


def test_a_broken_graph_is_reported() -> None:
    graph = json.loads(next(path for path in GRAPHS if path.stem == "search").read_text(encoding="utf-8"))
    del graph["nodes"]["html"]
    graph["wires"].remove(["html.out", "index.in"])
    Path("broken.json").write_text(json.dumps(graph))
    done = run("test", "broken.json", "--junit", "junit.xml")
    assert (done.exit_code, done.output) == (1, BROKEN)
    [suite] = ElementTree.parse("junit.xml").getroot()
    assert [(case.get("name"), [(child.tag, child.get("message")) for child in case]) for case in suite] == [
        ("a page gives its title and text", [("failure", "a packet at index:")]),
        ("a JSON object keeps its fields", []),
        ("every row of a table is a document", []),
        ("plain text is taken as it is", []),
    ]
    assert suite[0][0].text == "\n".join(line.removeprefix("  ") for line in BROKEN.splitlines()[1:4])


def test_what_cannot_be_run_is_an_error() -> None:
    write({"post": 3}, nodes={**GRAPH["nodes"], "lower": {"component": "Lowr"}})
    done = run("test", "g.json", "--junit", "junit.xml")
    assert done.exit_code == 1
    assert "nodes.lower.component" in done.output
    assert "tests.0.post" in done.output
    assert ElementTree.parse("junit.xml").getroot()[0].get("errors") == "1"
    write({"name": "broken", "post": {"body": "{"}})
    assert "ingest.malformed" in run("test", "g.json").output


def test_a_variable_that_only_publishers_read_need_not_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = {**GRAPH["nodes"], "out": {"component": "JSONLines", "params": {"path": "${FOLDER_OF_A_TEST}/out.jsonl"}}}
    write(GOOD, nodes=nodes)
    assert run("test", "g.json").exit_code == 0
    nodes["more"] = {"component": "SetField", "params": {"field": "x", "value": "${FOLDER_OF_A_TEST}"}}
    write(GOOD, nodes=nodes, wires=[*GRAPH["wires"][:1], ["lower.out", "more.in"], ["more.out", "out.in"]])
    assert "environment variable not set: FOLDER_OF_A_TEST" in run("test", "g.json").output
    monkeypatch.setenv("FOLDER_OF_A_TEST", "set")
    assert run("test", "g.json").exit_code == 0


def test_a_graph_without_tests_passes() -> None:
    write()
    assert run("test", "g.json").output == "no tests\n"


def test_debug_shows_each_step() -> None:
    write()
    Path("a.json").write_text('{"title": "ABC"}')
    done = run("debug", "g.json", "a.json")
    assert done.exit_code == 0
    assert [line.split()[0] for line in done.output.splitlines() if " ms " in line] == ["json", "lower", "out"]
    assert "abc" in done.output
    assert not Path("out.jsonl").exists()
    steps = json.loads(run("debug", "g.json", "a.json", "--json").output)["steps"]
    assert steps[2]["in"][0]["fields"] == {"title": "abc"}
    run("debug", "g.json", "a.json", "--publish")
    assert '"abc"' in Path("out.jsonl").read_text()
