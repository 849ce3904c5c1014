"""Real nodes that share a directory: what one of them fetches, no other does, also when one is killed in the middle."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from pypes.runtime.contracts.shard import worker_socket
from pypes.runtime.folders import find_runtime_dir
from pypes.runtime.graphs.store import ControlStore
from pypes.runtime.rpc import RpcClient
from pypes.testing.node import Node, running, until
from tests.faults.test_sources import ALL, COMPONENTS
from tests.published import receipts


def graph(component: str, **params: Any) -> dict[str, Any]:
    return {
        "pypes": 1,
        "name": "shared",
        "schedule": "0 0 1 1 *",
        "firing": "fleet",
        "nodes": {
            "source": {"component": component, "params": params},
            "out": {"component": "JSONLines", "params": {"path": "out.jsonl", "form": "packet"}},
        },
        "wires": [["source.out", "out.in"]],
    }


class Pair:
    """Two nodes of one fleet."""

    def __init__(self, base: Path, nodes: list[Node]) -> None:
        self.file = base / "fleet" / "shared.json"
        self.lock = base / "fleet" / "shared.lock"
        self.nodes = nodes

    def at(self) -> float:
        """The scheduled time up to which the fleet has run the source."""
        sources = json.loads(self.file.read_text())["sources"] if self.file.exists() else {}
        return float(sources.get("source", {}).get("at", 0.0))

    def published(self, key: str) -> dict[Any, set[str]]:
        """The receipts under which each document was published, on any node: one that was fetched twice has two."""
        return receipts(key, *(node.base / "data" / "out.jsonl" for node in self.nodes))

    def holder(self) -> Node | None:
        """The node that has the lock, or had it last."""
        holder = self.lock.read_text().rpartition(" ")[2].strip() if self.lock.exists() else ""
        return next((node for node in self.nodes if holder in [str(p.pid) for p in node.roles()["worker"]]), None)

    def trigger(self, at: float, *nodes: Node) -> None:
        """Have the sources run for a scheduled time, as the supervisors do."""

        async def ask(node: Node) -> None:
            client = await RpcClient.connect(str(worker_socket(find_runtime_dir(node.base / "data"), 0)))
            try:
                await client.call("trigger", graph="shared", at=at)
            finally:
                await client.close()

        async def ask_all() -> None:
            await asyncio.gather(*map(ask, nodes))

        asyncio.run(ask_all())


@pytest.fixture
def pair(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Pair]:
    """Two nodes with the graph that the test is given, ready."""
    (tmp_path / "fleet").mkdir()
    (tmp_path / "counting.py").write_text(COMPONENTS)
    flags = ("--fleet", str(tmp_path / "fleet"), "--load", str(tmp_path / "counting.py"))
    component, params = request.param
    with ExitStack() as stack:
        nodes = []
        for name in ("a", "b"):
            wanted = graph(component, **{key: str(tmp_path / value) for key, value in params.items()})
            nodes.append(stack.enter_context(running(tmp_path / name, wanted, *flags, workers=1, instances=1)))
        yield Pair(tmp_path, nodes)


def write(folder: Path, name: str) -> None:
    """Put a file there whole."""
    (folder / f".{name}").write_text(name)
    (folder / f".{name}").rename(folder / name)


@pytest.mark.parametrize("pair", [("Files", {"directory": "incoming"})], indirect=True)
def test_every_file_comes_once(pair: Pair, tmp_path: Path) -> None:
    incoming = tmp_path / "incoming"
    incoming.mkdir()
    for number in range(300):  # more than are fetched at once
        write(incoming, f"{number}.txt")
    # the time that both nodes missed is made up for by one of them
    for node in pair.nodes:
        assert node.stop() == 0
        store = ControlStore(node.base / "data" / "control.db")
        schedule, first = until(lambda store=store: store.fired("shared"), 1, "the schedule known")
        store.set_fired("shared", schedule, first - 400 * 86400)
        store.close()
    for node in pair.nodes:
        node.start()
    for node in pair.nodes:
        node.wait_ready()
        until(lambda node=node: "sources triggered" in node.log_path.read_text(), 20, "triggered")
    until(pair.at, 20, "the run over")
    until(lambda: len(pair.published("filename")) == 300, 20, "published")
    assert sum(node.log_path.read_text().count("sources run for the fleet") for node in pair.nodes) == 1
    first_run = pair.at()
    for time in range(1, 4):
        for number in range(5):
            write(incoming, f"{time}-{number}.txt")
        pair.trigger(first_run + time, *pair.nodes)
        until(lambda time=time: pair.at() == first_run + time, 20, "the run over")
    until(lambda: len(pair.published("filename")) == 315, 20, "published")
    assert {len(receipts) for receipts in pair.published("filename").values()} == {1}
    assert sum(node.log_path.read_text().count("sources run for the fleet") for node in pair.nodes) == 4


@pytest.mark.parametrize("pair", [("Numbers", {})], indirect=True)
def test_what_a_killed_node_had_begun_another_completes(pair: Pair) -> None:
    pair.trigger(100.0, *pair.nodes)
    killed: list[Node] = []
    for least in (20, 60):
        until(lambda least=least: len(pair.published("id")) >= least, 20, f"{least} published")
        victim = until(pair.holder, 5, "a node that runs the source")
        assert victim not in killed, "another has taken over"
        victim.kill()
        until(lambda victim=victim: not victim.leftovers(), 10, "all processes gone")
        assert pair.at() == 0.0, "it was in the middle"
        killed.append(victim)
    first, second = killed
    first.start()
    first.wait_ready()
    until(lambda: pair.at() == 100.0, 20, "completed by one alone")
    second.start()
    second.wait_ready()
    until(lambda: len(pair.published("id")) == ALL, 20, "all published")
    found = pair.published("id")
    assert sorted(found) == list(range(ALL))
    assert not {number: receipts for number, receipts in found.items() if len(receipts) > 1}
    # nothing is left to do for whoever still wanted that time
    pair.trigger(100.0, *pair.nodes)
    assert json.loads(pair.file.read_text())["sources"]["source"]["cursor"] == str(ALL)
