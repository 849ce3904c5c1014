"""A real instance lets go of one of its graphs: nothing is lost or done twice, and what the graph had in memory is free."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from pypes.component import Transformer
from pypes.core.limits import Limits
from pypes.graph.model import Graph, GraphNode
from pypes.graph.spec import ComponentSpec, describe
from pypes.ingest.delivery import Header
from pypes.ingest.dispatch.topology import Topology
from pypes.runtime.instance.leaving import Leaving
from pypes.runtime.instance.runner import Runner
from pypes.runtime.instance.spec import InstanceSpec
from pypes.runtime.making import Site
from tests.runtime.instance.harness import Process, Stage, spec_of, staged, until

MODEL_BYTES = 64 << 20

BIG = f'''
from pypes.component import Transformer


class Big(Transformer):
    """Has a model, in a circle, so that counting references does not free it."""

    def setup(self):
        self.model = bytearray(b"x") * {MODEL_BYTES}
        self.circle = self

    def process(self, packet):
        return packet
'''


def spec_with(stage: Stage, id: int, *graphs: str) -> InstanceSpec:
    """An instance of graphs like the usual one; ``g`` has a large model in it."""
    spec = spec_of(stage.folder, id, stage.limits)
    big = stage.folder / "big.py"
    big.write_text(BIG)
    _, usual = spec.graphs["g"]
    made: dict[str, Any] = {}
    for name in graphs:
        nodes = usual["nodes"] | ({"big": {"component": "Big"}} if name == "g" else {})
        wires = [["in.out", "big.in"], ["big.out", "out.in"], *usual["wires"][1:]] if name == "g" else usual["wires"]
        made[name] = (id, {**usual, "name": name, "nodes": nodes, "wires": wires})
    components = {**spec.components, "Big": ComponentSpec(name="Big", module=str(big), attr="Big").to_obj()}
    return replace(spec, graphs=made, components=components)


def start(stage: Stage, *graphs: str) -> Process:
    stage.last_id += 1
    process = stage.processes[stage.last_id] = Process(spec_with(stage, stage.last_id, *graphs))
    process.hear("ready")
    return process


def announce(stage: Stage, **runs: set[str]) -> None:
    sockets = {id: process.spec.socket for id, process in stage.processes.items()}
    named = {int(id.lstrip("i")): frozenset(graphs) for id, graphs in runs.items()}
    stage.dispatcher.apply(Topology(instances=sockets, graphs={"g": 1, "h": 1}, runs=named))


async def post(stage: Stage, graph: str, body: bytes) -> str:
    header = Header(graph, content_type="application/json", length=len(body))
    return await stage.queue.intake.append(header, body)


@staged()
async def test_what_runs_is_finished_what_waits_goes_elsewhere_and_memory_is_free(stage: Stage) -> None:
    go = stage.folder / "go"
    old = start(stage, "g", "h")
    announce(stage)
    first = await post(stage, "g", b'{"do": "wait", "path": "%s"}' % str(go).encode())
    await until(Path(f"{go}.begun").exists)
    waiting = [await post(stage, "g", b'{"n": %d}' % n) for n in range(20)]
    await until(lambda: stage.queue.stats().leased == 21)
    before = psutil.Process(old.process.pid).memory_info().rss
    old.control.send(("leave", ["g"]))
    go.touch()
    assert (await asyncio.to_thread(old.hear, "left")) == ("left", ["g"])
    assert (await stage.receipt(first)).state == "done"
    assert before - psutil.Process(old.process.pid).memory_info().rss > MODEL_BYTES * 0.9
    # the supervisor's word has not come yet: what is sent here all the same comes back, and is no dead letter
    late = await post(stage, "g", b'{"n": 20}')
    assert (await stage.receipt(await post(stage, "h", b'{"n": "h"}'))).state == "done"
    start(stage, "g")
    announce(stage, i1={"h"}, i2={"g"})
    assert [(await stage.receipt(id)).state for id in (*waiting, late)] == ["done"] * 21
    assert (await stage.receipt(await post(stage, "h", b'{"n": "i"}'))).state == "done"
    numbers = [fields.get("n") for fields, _ in stage.published() if "do" not in fields]
    assert sorted(map(str, numbers)) == sorted(map(str, [*range(21), "h", "i"]))
    old.control.send(("stop", 20.0))
    assert await asyncio.to_thread(old.process.wait, 20.0) == 0
    assert stage.lost == []


class Model:
    def __init__(self, graph: str = "") -> None:
        self.is_open = True

    def close(self) -> None:
        self.is_open = False


class Uses(Transformer):
    """Uses a model that graphs share, and one of its graph alone."""

    def setup(self) -> None:
        self.models = [self.shared(Model), self.shared(Model, self.graph_name)]

    def teardown(self) -> None:
        assert all(model.is_open for model in self.models)


def test_only_what_no_other_graph_uses_is_closed() -> None:
    site = Site()
    spec = describe(Uses, module=__name__, attr="Uses")
    made, runners = [], []
    for name in ("g", "h"):
        nodes = {node: GraphNode(node, "Uses") for node in ("one", "two")}
        components = {node: site.make(spec, {}, node) for node in nodes}
        runners.append(Runner(Graph(name, nodes, ()), 1, components, Limits()))
        runners[-1].scheduler.setup()
        made.append(components["one"].models)  # type: ignore[attr-defined]
        assert components["two"].models == made[-1]  # type: ignore[attr-defined]
    (common, alone), (also, other) = made
    assert common is also
    leaving = Leaving()
    for runner, are_open in zip(runners, ((True, False, True), (False, False, False)), strict=True):
        leaving.begin(runner)
        leaving.part(runner)
        assert (common.is_open, alone.is_open, other.is_open) == are_open
