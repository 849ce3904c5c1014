"""Drafts that earlier releases have left, on a node."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pypes.errors import NotFound
from pypes.runtime.graphs.store import ControlStore
from tests.runtime.graphs import format_6


def test_drafts_of_an_earlier_release_are_gone_on_with(tmp_path: Path, start_node: Callable[..., Any]) -> None:
    (tmp_path / "data").mkdir()
    ControlStore(tmp_path / "data" / "control.db").close()
    made: dict[str, Any] = {"one": ("In", {}), "two": ("In", {}), "shared": ("Odd", {"do": "secret"})}
    wires = [("z", "one.out", "shared.in"), ("a", "two.out", "shared.in"), ("stuck", "gone.out", "lost.in")]
    format_6.turn_back(tmp_path / "data" / "control.db", made, wires)
    node = start_node()
    node.ready()
    (head,) = node.listed("drafts")
    assert (head["name"], head["base"], head["live"], head["by"]) == ("z", 0, 0, "")
    draft = node.call("drafts.get", name="z")
    assert draft["names"] == {"one": "in", "shared": "odd"}
    assert [each["code"] for each in draft["errors"]] == ["graph.no_publisher"]
    assert {each["id"]: each["graph"] for each in node.listed("filters")} == {"one": "z", "shared": "z", "two": None}
    assert node.call("filters.update", id="shared", params={"file": "f"})["params"] == {"file": "f"}
    node.call("drafts.discard", name="z")
    assert {each["id"] for each in node.listed("filters")} == {"two"}
    assert node.listed("drafts") == []
    with pytest.raises(NotFound):
        node.call("drafts.discard", name="z")
