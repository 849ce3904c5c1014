"""Nodes under test: they start with what others of the session have found out."""

from __future__ import annotations

from pathlib import Path

import pytest

from pypes.testing.node import DESCRIPTIONS, running

GRAPH = {
    "pypes": 1,
    "name": "lines",
    "nodes": {"json": {"component": "JSON"}, "out": {"component": "Null"}},
    "wires": [["json.out", "out.in"]],
}


def test_nodes_share_descriptions_of_components_wherever_they_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = tmp_path / "shared"
    monkeypatch.setenv(DESCRIPTIONS, str(shared))
    found = []
    for name in ("one", "two"):
        with running(tmp_path / name, GRAPH, workers=1, instances=1):
            found.append({file.name: file.stat().st_mtime_ns for file in shared.iterdir()})
    assert found[0]
    assert found[0] == found[1]
