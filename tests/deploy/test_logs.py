"""Shippers of logs read the fields that lines of a node really have."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from pypes.testing.node import running, until
from tests.api.test_docs import GRAPH
from tests.deploy.settings import DEPLOY, loaded

FOLDER = DEPLOY / "logs"


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The lines of a node to which something comes that it cannot read."""
    with running(tmp_path_factory.mktemp("logs"), GRAPH, workers=1, instances=1) as node:
        for _ in range(2):
            assert node.post(b"no picture", content_type="image/png").status == 202
        until(lambda: "documents failed" in node.log(), 20.0, "a line about failures")
        assert node.stop() == 0
        return [json.loads(line) for line in node.log_path.read_text().splitlines()]


def test_all_lines_are_json_with_what_is_said_of_them(lines: list[dict[str, Any]]) -> None:
    every = {"time", "level", "process", "logger", "event"}
    assert all(every <= line.keys() for line in lines)
    readme = (DEPLOY / "README.md").read_text(encoding="utf-8")
    failed = next(line for line in lines if line["event"] == "documents failed")
    assert {"graph", "filter", "receipt", "code", "error"} <= failed.keys()
    for name in every | {"graph", "filter", "receipt", "code", "error"}:
        assert f"`{name}`" in readme


def test_vector_and_alloy_ask_for_fields_that_there_are(lines: list[dict[str, Any]]) -> None:
    known = {name for line in lines for name in line}
    source = loaded(FOLDER / "vector.yaml")["transforms"]["pypes_lines"]["source"]
    assert set(re.findall(r"(?<![\w)])\.(\w+)", source)) - {"message", "timestamp"} <= known
    labels = loaded(FOLDER / "vector.yaml")["sinks"]["loki"]["labels"]
    assert set(re.findall(r"\{\{ (\w+) \}\}", "".join(labels.values()))) - {"host"} <= known
    alloy = (FOLDER / "config.alloy").read_text(encoding="utf-8")
    assert set(re.findall(r'(\w+) = ""', alloy)) == {"time", "level", "graph", "filter", "receipt"} <= known


def test_fluent_bit_reads_the_times(lines: list[dict[str, Any]]) -> None:
    [parser] = loaded(FOLDER / "fluent-bit.yaml")["parsers"]
    assert (parser["time_key"], parser["time_format"]) == ("time", "%Y-%m-%dT%H:%M:%S.%LZ")
    # of %L, milliseconds, Python has no word
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"]) for line in lines)


def test_files_are_there_as_the_page_says() -> None:
    readme = (DEPLOY / "README.md").read_text(encoding="utf-8")
    for name in re.findall(r"^\| `([^`*]+)`", readme, re.MULTILINE):
        assert (DEPLOY / Path(name)).exists(), name
