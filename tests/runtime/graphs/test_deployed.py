"""What the supervisor tells its workers of the graphs that are deployed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from pypes.config import load_settings
from pypes.core.graph_limits import GraphLimits
from pypes.errors import InvalidGraph
from pypes.ingest.outcome import ExitReason
from pypes.registry import Code, discover
from pypes.runtime.generations.generation import Generation, Instance
from pypes.runtime.generations.generations import Generations
from pypes.runtime.graphs.deployed import DeployedGraphs
from pypes.runtime.graphs.store import ControlStore, StoredGraph
from pypes.runtime.instance.spec import InstanceSpec
from pypes.runtime.pools.node_pools import NodePools
from pypes.testing.node import DESCRIPTIONS


@contextmanager
def deployed(folder: Path, flags: dict[str, Any] | None = None) -> Iterator[DeployedGraphs]:
    settings = load_settings(flags=flags or {}, environ={}, folder=folder)
    reading, writing = os.pipe()
    generations = Generations(folder, reading, lambda: None, lambda *_: None, lambda *_: None)
    os.close(reading)
    os.close(writing)
    with closing(ControlStore(folder / "control.db")) as store:
        yield DeployedGraphs(store, generations, NodePools(folder, set, lambda _: None), settings)


@pytest.mark.parametrize("is_strict", [True, False])
def test_workers_hear_whether_routes_are_strict(tmp_path: Path, is_strict: bool) -> None:
    with deployed(tmp_path, {"server.strict_routes": is_strict}) as found:
        assert found.topology().strict_routes is is_strict


def test_workers_hear_which_graphs_have_limits_of_their_own(tmp_path: Path) -> None:
    with deployed(tmp_path) as found:
        for name, limits in (("g", {"limits": {"disk_bytes": 7}}), ("h", {})):
            found.live[name] = StoredGraph(name, 1, {"pypes": 1, "name": name, "nodes": {}, "wires": [], **limits}, 0.0)
        assert found.topology().limits == {"g": GraphLimits(disk_bytes=7)}


def test_a_graph_without_an_adapter_is_the_default_only_if_no_other_could_be(tmp_path: Path) -> None:
    graphs = {"fetches": ["HTTPPoll", "JSONLines"], "unknown": ["Nowhere"], "takes": ["JSON"], "reads": ["HTTPPoll", "JSON"]}
    with deployed(tmp_path) as found:
        found.catalogue = discover()

        def default(*names: str) -> str | None:
            found.live.clear()
            for name in names:
                nodes = {component: {"component": component} for component in graphs[name]}
                wires = [["HTTPPoll.out", "JSON.in"]] if name == "reads" else []
                found.live[name] = StoredGraph(name, 1, {"pypes": 1, "name": name, "nodes": nodes, "wires": wires}, 0.0)
            return found.default()

        assert default("fetches") == "fetches"
        assert default("fetches", "takes", "reads") == "takes"
        assert default("fetches", "unknown") == "unknown"
        assert default("fetches", "unknown", "takes") is None


def test_a_graph_says_which_of_its_filters_rest(tmp_path: Path) -> None:
    async def tell() -> None:
        graph = {"pypes": 1, "name": "g", "nodes": {"ask": {"component": "Ask"}}, "wires": []}
        spec = InstanceSpec(1, 1, "", {"g": (1, graph), "h": (1, graph)}, {})
        with deployed(tmp_path) as found:
            found.live.update({name: StoredGraph(name, 1, graph, 0.0) for name in "gh"})
            generation = Generation(1, spec, 2)
            for slot, since in enumerate((1_800_000_060.0, 1_800_000_000.0)):
                instance = generation.slots[slot] = Instance(spec, lambda _: None, lambda _: None)
                instance._on_message(("ready",))
                instance._on_message(("resting", "g", {"ask": (since, f"TimeoutError: {since:.0f}")}))
            found._generations.live = [generation]
            found._generations._all.append(generation)
            expected = {
                "filter": "ask",
                "since": "2027-01-15T08:00:00.000Z",
                "reason": "TimeoutError: 1800000000",
                "instances": 2,
            }
            assert found.get("g")["resting"] == [expected]
            assert [each.get("resting") for each in found.summaries()] == [[expected], None]
            for instance in generation.instances:
                instance._on_message(("resting", "g", {}))
            assert "resting" not in found.get("g")

    asyncio.run(tell())


def test_a_graph_says_what_its_filters_have_counted_also_in_instances_that_have_ended(tmp_path: Path) -> None:
    async def tell() -> None:
        graph = {"pypes": 1, "name": "g", "nodes": {"read": {"component": "Read"}}, "wires": []}
        spec = InstanceSpec(1, 1, "", {"g": (1, graph), "h": (1, graph)}, {})
        with deployed(tmp_path) as found:
            found.live.update({name: StoredGraph(name, 1, graph, 0.0) for name in "gh"})
            generation = Generation(1, spec, 2)
            generation.is_retired = True  # nobody follows
            found._generations.live = [generation]
            found._generations._all.append(generation)
            for slot in range(2):
                instance = generation.slots[slot] = Instance(spec, lambda _: None, lambda _: None)
                instance.exit_reason, instance.was_stopping, instance.exitcode = ExitReason("killed by SIGKILL"), False, -9
                # of a filter that the graph has no longer, too
                instance._on_message(("counts", {"g": {"read": {"pages": 3, "lost": 0}, "gone": {"n": 1}}}))
                instance._on_message(("counts", {"g": {"read": {"pages": 4, "lost": 0}}}))
            expected = {"read": {"lost": 0, "pages": 8}}
            assert found.get("g")["counts"] == expected
            assert [each.get("counts") for each in found.summaries()] == [expected, None]
            ended, generation.slots[1] = generation.instances[1], None
            found._generations._exited(generation, 1, ended)
            assert found.get("g")["counts"] == expected
            found._generations.switch(None, 0.0, ["g"])  # deleted: the next of its name begins anew
            assert "counts" not in found.get("g")
            generation.instances[0]._on_message(("counts", {"g": {"read": {"pages": 5}}, "h": {"read": {"pages": 1}}}))
            assert "counts" not in found.get("g"), "one that runs on tells the last of it when that is torn down"
            assert found.get("h")["counts"] == {"read": {"pages": 1}}

    asyncio.run(tell())


def test_a_component_that_is_missing_may_be_in_a_load_file_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "bad.py"
    path.write_text("x = (1\n")
    said = f"{path} cannot be used: SyntaxError: '(' was never closed ({path}, line 1)"
    graph = {"pypes": 1, "name": "g", "nodes": {"bad": {"component": "Bad"}}, "wires": []}
    with deployed(tmp_path) as found:
        found.catalogue = discover([path], Path(os.environ[DESCRIPTIONS]))
        with pytest.raises(InvalidGraph) as caught:
            found.checked("g", graph)
        assert caught.value.problems[-1].message == said
        failure = found.missing(StoredGraph("g", 1, graph, 0.0))
        assert failure is not None
        assert failure.message == f"component 'Bad' is not installed any more; {said}"


def test_a_component_that_is_missing_names_what_the_graph_ran_with(tmp_path: Path) -> None:
    graph = {"pypes": 1, "name": "g", "nodes": {"bad": {"component": "Bad"}}, "wires": []}
    here, gone, file = Code("pypes-basic", "1.0", "a"), Code("acme-parts", "2.1", "b"), Code("mine.py", "", "c")
    stored = StoredGraph("g", 1, graph, 0.0, code=(here, gone, file))
    with deployed(tmp_path) as found:
        found.catalogue = discover([], Path(os.environ[DESCRIPTIONS]))
        failure = found.missing(stored)
        assert failure is not None
        assert failure.message == (
            "component 'Bad' is not installed any more: it ran with acme-parts 2.1; run pip install acme-parts"
        )
        found.live["g"], found.failed["g"] = stored, failure
        shown = found.get("g")
        assert (shown["state"], shown["error_filter"]) == ("failed", "bad")
        assert failure.message in shown["error"]
        assert found.summaries()[0]["error_filter"] == "bad"


@pytest.mark.parametrize(("name", "shown"), [(None, "null"), (True, "true"), ({"a": "\u00fc"}, '{"a": "\u00fc"}'), ("h", '"h"')])
def test_another_name_is_shown_as_it_was_sent(tmp_path: Path, name: object, shown: str) -> None:
    with deployed(tmp_path) as found, pytest.raises(InvalidGraph) as caught:
        found.checked("g", {"pypes": 1, "name": name})
    assert caught.value.problems[0].message == f"is {shown}, but the graph is deployed as 'g'; make them the same"
