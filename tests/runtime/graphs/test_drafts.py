"""Drafts that earlier releases have left."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pypes.errors import InvalidGraph, NotFound
from pypes.runtime.graphs.store import ControlStore, Draft


def test_of_two_drafts_with_one_filter_the_first_has_it(tmp_path: Path, start_node: Callable[..., Any]) -> None:
    (tmp_path / "data").mkdir()
    with closing(ControlStore(tmp_path / "data" / "control.db")) as store:
        store.put_draft(Draft("one", "In", {}))
        store.put_draft(Draft("two", "In", {}))
        store.put_draft(Draft("shared", "Odd", {"do": "secret"}))
        store.put_wire("z", "one.out", "shared.in")
        store.put_wire("a", "two.out", "shared.in")
        store.put_wire("stuck", "gone.out", "lost.in")
    node = start_node()
    node.ready()
    assert [each["name"] for each in node.listed("drafts")] == ["a", "stuck", "z"]
    assert node.call("drafts.get", name="z")["names"] == {"one": "in", "shared": "odd"}
    draft = node.call("drafts.get", name="a")
    assert (draft["names"], draft["graph"]["wires"]) == ({"two": "in"}, [])
    assert draft["errors"][0]["code"] == "filter.wired"
    assert "secret" not in str(draft)
    with pytest.raises(InvalidGraph) as invalid:
        node.call("drafts.deploy", name="a")
    assert [problem.code for problem in invalid.value.problems] == ["filter.wired"]
    node.call("drafts.discard", name="a")
    assert {each["id"] for each in node.listed("filters")} == {"one", "shared"}
    assert [each["code"] for each in node.call("drafts.get", name="stuck")["errors"]][:2] == ["filter.not_found"] * 2
    node.call("drafts.discard", name="stuck")
    node.call("drafts.discard", name="z")
    assert (node.listed("drafts"), node.listed("filters")) == ([], [])
    with pytest.raises(NotFound):
        node.call("drafts.discard", name="z")
