"""The folder of graphs, read."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from pypes.runtime.graphs.checking import Checked
from pypes.runtime.graphs.files import GraphFiles
from pypes.runtime.graphs.store import ControlStore


def write(folder: Path, name: str, *routes: str) -> None:
    graph = {"pypes": 1, "name": name, "routes": routes, "nodes": {"json": {"component": "JSON"}}, "wires": []}
    (folder / f"{name}.json").write_text(json.dumps(graph))


def as_it_is(name: str, obj: Any) -> Checked:
    return Checked(dict(obj), dict(obj), ())


def test_of_two_new_files_with_one_route_only_the_first_is_deployed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = ControlStore(tmp_path / "control.db")
    write(tmp_path, "a", "people")
    write(tmp_path, "b", "people")
    write(tmp_path, "c", "places")
    files = GraphFiles(store)
    with caplog.at_level(logging.ERROR):
        assert [*files.fresh(tmp_path, as_it_is)] == ["a", "c"]
    (record,) = caplog.records
    (left,) = files.undeployed.values()
    assert (left.path, left.graph, left.routes) == (str(tmp_path / "b.json"), "b", ("people",))
    files.forget("b")
    assert not files.undeployed
    assert f"route 'people' belongs to graph 'a' ({tmp_path / 'a.json'})" in record.__dict__["reason"]
    store.close()
