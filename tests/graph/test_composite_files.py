"""Composites in the folder beside a graph's file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pypes.errors import InvalidGraph
from pypes.graph.composite_files import FolderLibrary, read_file

PART: dict[str, Any] = {"pypes": 1, "name": "part", "inputs": {"in": "x.in"}, "nodes": {"x": {"component": "X"}}}
GRAPH: dict[str, Any] = {
    "pypes": 1,
    "name": "g",
    "nodes": {"in": {"component": "In"}, "p": {"component": "part"}},
    "wires": [["in.out", "p.in"]],
}


def write(path: Path, value: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value))


def test_a_graph_has_the_composites_of_the_folder_beside_it(tmp_path: Path) -> None:
    write(tmp_path / "g.json", GRAPH)
    write(tmp_path / "composites" / "any.json", PART)

    found = read_file(tmp_path / "g.json")

    assert list(found.graph.nodes) == ["in", "p:x"]
    assert str(found.graph.wires[0]) == "in.out -> p:x.in"


def test_without_a_folder_there_are_none(tmp_path: Path) -> None:
    write(tmp_path / "g.json", GRAPH)

    assert list(read_file(tmp_path / "g.json").graph.nodes) == ["in", "p"]
    assert FolderLibrary(tmp_path / "composites").find("part", None) is None


def test_files_have_no_versions(tmp_path: Path) -> None:
    write(tmp_path / "g.json", {**GRAPH, "nodes": {**GRAPH["nodes"], "p": {"component": "part@1"}}})
    write(tmp_path / "composites" / "part.json", PART)

    with pytest.raises(InvalidGraph) as raised:
        read_file(tmp_path / "g.json")

    assert raised.value.problems[0].code == "composite.no_version"


def test_a_file_that_cannot_be_read_matters_to_those_who_name_it(tmp_path: Path) -> None:
    write(tmp_path / "g.json", GRAPH)
    write(tmp_path / "composites" / "other.json", "{")
    write(tmp_path / "composites" / "part.json", PART)
    assert list(read_file(tmp_path / "g.json").graph.nodes) == ["in", "p:x"]

    write(tmp_path / "composites" / "part.json", {**PART, "routes": []})
    with pytest.raises(InvalidGraph, match=r"part\.json cannot be read") as raised:
        read_file(tmp_path / "g.json")
    assert raised.value.problems[0].path == "routes"
