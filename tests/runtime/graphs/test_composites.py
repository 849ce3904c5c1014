"""Composites kept on a node: who may place what in them, files in any order, and what counts as a change."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pypes.access.client import UNPRIVILEGED
from pypes.config import load_settings
from pypes.errors import Changed, Conflict, Forbidden, InvalidGraph, NotFound
from pypes.registry import discover
from pypes.runtime.contracts.control import Edit
from pypes.runtime.graphs.checking import CheckedGraphs
from pypes.runtime.graphs.composites import Composites
from pypes.runtime.graphs.draft_store import GraphDraft
from pypes.runtime.graphs.store import ControlStore, StoredGraph

PART: dict[str, Any] = {
    "pypes": 1,
    "name": "part",
    "inputs": {"in": "set.in"},
    "outputs": {"out": "set.out"},
    "parameters": {"path": "write.path"},
    "nodes": {
        "set": {"component": "SetField", "params": {}},
        "write": {"component": "JSONLines", "params": {"path": "${NAME}"}},
    },
    "wires": [["set.out", "write.in"]],
}
SAFE: dict[str, Any] = {"nodes": {"set": {"component": "SetField"}}}


class Kept:
    """A store, what is deployed, and the composites of both."""

    def __init__(self, folder: Path) -> None:
        self.store = ControlStore(folder / "control.db")
        self.graphs = CheckedGraphs(self.store, load_settings(flags={}, environ={}, folder=folder))
        self.graphs.catalogue = discover()
        self.composites = Composites(self.store, self.graphs)


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kept]:
    monkeypatch.setenv("NAME", "out.jsonl")
    made = Kept(tmp_path)
    with closing(made.store):
        yield made


def test_what_only_admin_places_needs_admin_in_a_composite_and_where_it_is_placed(kept: Kept) -> None:
    editing = Edit("ed", rights=UNPRIVILEGED)
    assert kept.composites.put("safe", SAFE, editing)["created"]
    with pytest.raises(Forbidden, match="write"):
        kept.composites.put("part", PART, editing)
    kept.composites.put("part", PART)
    # what is just so may stay
    assert kept.composites.put("part", {**PART, "description": "told"}, editing)["version"] == 2
    with pytest.raises(Forbidden):
        kept.composites.put("around", {"nodes": {"p": {"component": "part"}}}, editing)

    graph = {"nodes": {"json": {"component": "JSON"}, "p": {"component": "part"}}, "wires": [["json.out", "p.in"]]}
    assert kept.graphs.checked("g", graph).composites[0].version == 2
    with pytest.raises(Forbidden) as raised:
        kept.graphs.checked("g", graph, UNPRIVILEGED)
    assert raised.value.where == "g.p:write"
    for node in ({"component": "part"}, {"component": "Subgraph", "params": {"graph": "part"}}):
        with pytest.raises(Forbidden):
            kept.graphs.permit_filters({}, {"p": node})
    within = {key: PART[key] for key in PART if key not in ("name", "pypes")}
    with pytest.raises(Forbidden):
        kept.graphs.permit_filters({}, {"p": {"component": "Subgraph", "params": {"graph": within}}})
    kept.graphs.permit_filters({}, {"p": {"component": "safe"}})


def test_a_deployed_graph_keeps_what_it_was_expanded_to(kept: Kept, tmp_path: Path) -> None:
    kept.composites.put("part", PART)
    graph = {"nodes": {"json": {"component": "JSON"}, "p": {"component": "part"}}, "wires": [["json.out", "p.in"]]}
    checked = kept.graphs.checked("g", graph)
    kept.store.deploy(checked.stored("g", 1, 5.0, "ann"))
    kept.graphs.live = kept.store.live()
    stored = kept.graphs.live["g"]
    assert checked.is_of(stored)
    assert (stored.source["nodes"]["p"]["component"], set(stored.graph["nodes"])) == ("part", {"json", "p:set", "p:write"})

    more = {"nodes": {**PART["nodes"], "more": {"component": "Null"}}, "wires": [*PART["wires"], ["set.out", "more.in"]]}
    kept.composites.put("part", {**PART, **more})
    assert not kept.graphs.checked("g", graph).is_of(stored)
    again = kept.graphs.checked_again("g", stored)
    assert again.is_of(stored)
    assert kept.composites.get("part")["users"]["graphs"] == ["g"]
    assert kept.composites.get("part", ("h",))["users"]["graphs"] == []

    plain = {"pypes": 1, "name": "h", "nodes": {"json": {"component": "JSON", "params": {}}}, "wires": []}
    assert StoredGraph("h", 1, plain, 0.0).source is plain


def test_files_are_kept_in_an_order_in_which_they_can_be(kept: Kept, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = {
        "a": {"nodes": {"x": {"component": "b"}}},
        "b": {"nodes": {"x": {"component": "c"}}},
        "c": SAFE,
        "d": {"nodes": {"x": {"component": "nothing"}}},
        "e": {"nodes": {}},
    }
    for name, obj in files.items():
        (tmp_path / f"{name}.json").write_text(json.dumps({"pypes": 1, "name": name, **obj}))
    with caplog.at_level(logging.ERROR):
        kept.composites.load_files(tmp_path)
    assert [each["name"] for each in kept.composites.summaries()] == ["a", "b", "c"]
    assert {Path(record.__dict__["file"]).name for record in caplog.records} == {"d.json", "e.json"}
    assert kept.composites.get("a")["by"] == str(tmp_path / "a.json")

    # a file that has not changed does not undo what was saved since
    kept.composites.put("c", {"nodes": {"set": {"component": "Null"}}})
    kept.composites.load_files(tmp_path)
    assert kept.composites.get("c")["version"] == 2


def test_what_is_the_same_makes_no_version(kept: Kept) -> None:
    first = kept.composites.put("safe", SAFE)
    again = kept.composites.put("safe", {**SAFE, "pypes": 1, "name": "safe"})
    assert (first["created"], again["created"], again["version"]) == (True, False, 1)
    assert len(kept.composites.versions("safe")) == 1


def test_preconditions(kept: Kept) -> None:
    with pytest.raises(Changed, match="there is no such composite"):
        kept.composites.put("safe", SAFE, Edit(expected=[1]))
    kept.composites.put("safe", SAFE, Edit(expected=[0]))
    with pytest.raises(Changed, match="version 1 is the newest"):
        kept.composites.put("safe", SAFE, Edit(expected=[0]))
    with pytest.raises(Changed):
        kept.composites.delete("safe", [2])
    kept.composites.delete("safe", [1])
    with pytest.raises(NotFound):
        kept.composites.get("safe")
    assert kept.composites.version("safe", 1)["composite"]["name"] == "safe"
    with pytest.raises(NotFound):
        kept.composites.version("safe", 2)
    with pytest.raises(NotFound):
        kept.composites.versions("never")


def test_another_name_in_it_and_what_is_too_large_is_refused(kept: Kept) -> None:
    with pytest.raises(InvalidGraph):
        kept.composites.put("safe", {**SAFE, "name": "other"})
    with pytest.raises(InvalidGraph):
        kept.composites.put("safe", [])
    with pytest.raises(InvalidGraph, match="too large"):
        kept.composites.put("safe", {"nodes": {f"n{n}": {"component": "Null"} for n in range(2001)}})


def test_a_draft_that_names_one_within_a_subgraph_uses_it(kept: Kept) -> None:
    kept.composites.put("safe", SAFE)
    within = {"component": "Subgraph", "params": {"graph": {"nodes": {"x": {"component": "safe@1"}}}}}
    kept.store.drafts.put(GraphDraft("d", 0, graph={"nodes": {"s": within, "half": {}}}))
    assert kept.composites.get("safe")["users"]["drafts"] == ["d"]
    with pytest.raises(Conflict, match="drafts: d"):
        kept.composites.delete("safe")
