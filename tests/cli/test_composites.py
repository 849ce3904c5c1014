"""Graphs with composites, without a server: the folder beside the graph's file has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pypes.cli.commands import pypes
from pypes.pipeline import Pipeline

PART: dict[str, Any] = {
    "pypes": 1,
    "name": "part",
    "inputs": {"in": "lower.in"},
    "outputs": {"out": "set.out"},
    "parameters": {"case": "lower.case", "mark": "set.value"},
    "nodes": {
        "lower": {"component": "NormalizeCase", "params": {"fields": ["title"]}},
        "set": {"component": "SetField", "params": {"field": "mark", "value": "m"}},
    },
    "wires": [["lower.out", "set.in"]],
}
GRAPH: dict[str, Any] = {
    "pypes": 1,
    "name": "g",
    "nodes": {
        "json": {"component": "JSON"},
        "tidy": {"component": "part", "params": {"mark": "own"}},
        "out": {"component": "JSONLines", "params": {"path": "-"}},
    },
    "wires": [["json.out", "tidy.in"], ["tidy.out", "out.in"]],
    "tests": [
        {
            "name": "titles are lower case",
            "post": {"content_type": "application/json", "body": {"title": "HELLO"}},
            "expect": [{"node": "out", "fields": {"title": "hello", "mark": "own"}}, {"node": "tidy:set", "packets": 1}],
        }
    ],
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "composites").mkdir()
    (tmp_path / "composites" / "part.json").write_text(json.dumps(PART))
    (tmp_path / "g.json").write_text(json.dumps(GRAPH))
    (tmp_path / "in.json").write_text('{"title": "HELLO"}')
    return tmp_path / "g.json"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(pypes, [str(each) for each in arguments])


def test_run(file: Path) -> None:
    done = run("run", file, file.parent / "in.json", "--json")

    assert done.exit_code == 0, done.output
    *_, line, summary = done.stdout.splitlines()
    assert json.loads(line) == {"title": "hello", "mark": "own"}
    assert "tidy:lower" in summary


def test_the_tests_of_a_graph_name_filters_inside(file: Path) -> None:
    done = run("test", file)

    assert done.exit_code == 0, done.output
    assert "1 passed" in done.output


def test_debug(file: Path) -> None:
    done = run("debug", file, file.parent / "in.json", "--json")

    assert done.exit_code == 0, done.output
    assert [step["filter"] for step in json.loads(done.stdout)["steps"]] == ["json", "tidy:lower", "tidy:set", "out"]


def test_lint_checks_graphs_and_composites(file: Path) -> None:
    composite = file.parent / "composites" / "part.json"
    done = run("lint", file, composite)
    assert (done.exit_code, done.output.count(": ok")) == (0, 2), done.output

    (wrong := file.parent / "wrong.json").write_text(
        json.dumps({**GRAPH, "name": "w", "nodes": {**GRAPH["nodes"], "tidy": {"component": "part", "params": {"case": "no"}}}})
    )
    done = run("lint", wrong)
    assert done.exit_code == 1
    assert "nodes.tidy.params.case:" in done.output
    assert "parameter 'case' of tidy:lower" in done.output

    composite.write_text(json.dumps({**PART, "inputs": {"in": "lower.inn"}}))
    done = run("lint", composite)
    assert "inputs.in: filter 'lower' (NormalizeCase) has no input 'inn'" in done.output
    composite.write_text(json.dumps({**PART, "nodes": {**PART["nodes"], "set": {"component": "None"}}}))
    done = run("lint", file)
    assert "nodes.tidy: inside, at tidy:set, component: unknown component 'None'" in done.output


def test_a_pipeline_is_loaded_run_and_saved_without_it(file: Path) -> None:
    with Pipeline.load(file) as pipeline:
        pipeline.save(file.parent / "saved.json")

    saved = json.loads((file.parent / "saved.json").read_text())
    assert sorted(saved["nodes"]) == ["json", "out", "tidy-lower", "tidy-set"]
    assert ["tidy-lower.out", "tidy-set.in"] in saved["wires"]
