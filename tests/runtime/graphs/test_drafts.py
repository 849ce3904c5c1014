"""Drafts on a node: those that earlier releases have left, and one that is saved while it is deployed."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pypes.errors import ComponentError, Conflict, NotFound
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


def test_what_is_saved_while_a_draft_is_deployed_stays(
    node: Any, a_graph: Callable[..., Any], wait_until: Callable[..., Any], tmp_path: Path
) -> None:
    def saved(seen: int, **params: str) -> int:
        draft = node.call("drafts.save", name="g", graph=a_graph(**params), base=1, seen=[seen])
        return int(draft["counter"])

    node.call("graphs.put", name="g", obj=a_graph())
    there = tmp_path / "there"
    slow = saved(0, do="wait", file=str(there))
    with ThreadPoolExecutor(1) as pool:
        deploying = pool.submit(node.call, "drafts.deploy", name="g", seen=[slow])
        wait_until(lambda: Path(f"{there}.waiting").exists(), "set-up")
        later = saved(slow, file="later")
        there.touch()
        assert deploying.result()["version"] == 2
    draft = node.call("drafts.get", name="g")
    assert (draft["counter"], draft["base"], draft["live"]) == (later, 1, 2)
    with pytest.raises(Conflict) as outdated:
        node.call("drafts.deploy", name="g")
    assert outdated.value.code == "draft.outdated"
    node.call("drafts.discard", name="g")
    # one that cannot be set up stays, too
    bad = saved(0, do="raise")
    node.call("drafts.save", name="g", graph=a_graph(do="raise"), base=2, seen=[bad])
    with pytest.raises(ComponentError):
        node.call("drafts.deploy", name="g")
    assert node.call("drafts.get", name="g")["graph"] == a_graph(do="raise")
