"""What an observer is told of deployments and instances: real ones, under a part of the supervisor that a test can hold."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Collection, Mapping
from contextlib import closing
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

import pytest

from pypes.config import load_settings
from pypes.core.lifeline import Lifeline
from pypes.errors import ComponentError
from pypes.observe import Observer
from pypes.registry import discover
from pypes.runtime.generations.generations import Generations
from pypes.runtime.graphs.deployer import Deployer
from pypes.runtime.graphs.store import ControlStore
from pypes.runtime.pools.node_pools import NodePools
from pypes.testing.node import DESCRIPTIONS

TUNED = '''
from pypes import Parameters, Publisher


class Tuned(Publisher):
    """Takes new parameters as it runs, but not a bad one."""

    class Params(Parameters):
        mark: str = ""

    def setup(self):
        if self.params.mark == "worse":
            raise RuntimeError("cannot be set up like this")

    def reconfigure(self, params):
        if params.mark in ("bad", "worse"):
            raise RuntimeError("not in place")

    def process(self, packet):
        pass
'''


class Notes(Observer):
    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.has_news = asyncio.Event()

    def note(self, *call: Any) -> None:
        self.calls.append(call)
        self.has_news.set()

    async def hears(self, *call: Any) -> None:
        """Wait until it has been told this."""
        async with asyncio.timeout(20):
            while call not in self.calls:
                self.has_news.clear()
                await self.has_news.wait()

    def deployment_began(self, graphs: Mapping[str, int]) -> None:
        self.note("began", dict(graphs))

    def deployment_switched(self, graphs: Mapping[str, int], seconds: float) -> None:
        self.note("switched", dict(graphs), seconds > 0)

    def deployment_failed(self, graphs: Mapping[str, int], reason: str) -> None:
        self.note("failed", dict(graphs), reason)

    def graph_undeployed(self, graph: str) -> None:
        self.note("undeployed", graph)

    def instance_started(self, instance: int, graphs: Collection[str], seconds: float) -> None:
        self.note("started", instance, list(graphs), seconds > 0)

    def instance_ended(self, instance: int, reason: str, filter: str) -> None:
        self.note("ended", instance, reason, filter)


class Node:
    """The deployments of a node with one instance for a graph, and what its observer was told."""

    def __init__(self, folder: Path, lifeline: Lifeline, store: ControlStore) -> None:
        (folder / "tuned.py").write_text(TUNED)
        loaded = [folder / "tuned.py"]
        flags = {"server.instances": 1, "server.load": [str(loaded[0])]}
        settings = load_settings(flags=flags, environ={}, folder=folder)
        self.notes = Notes()
        self.generations = Generations(folder, lifeline.fd, lambda: None, lambda *_: None, lambda name: None, observer=self.notes)
        self.deployer = Deployer(
            store,
            self.generations,
            NodePools(folder, lambda: self.generations.pools, lambda name: None),
            settings,
            self.unfinished,
            lambda: None,
            lambda name: None,
            self.discover,
            self.notes,
        )
        self.deployer.catalogue = discover(loaded, Path(os.environ[DESCRIPTIONS]))

    async def unfinished(self, graph: str) -> int:
        return 0

    async def discover(self, settings: object) -> Any:
        return self.deployer.catalogue

    async def put(self, mark: str, name: str = "g") -> list[tuple[Any, ...]]:
        """Deploy a version; what was told meanwhile, but for the ends of instances, which come when they like."""
        count = len(self.notes.calls)
        nodes = {"json": {"component": "JSON"}, "out": {"component": "Tuned", "params": {"mark": mark}}}
        await self.deployer.put(name, {"pypes": 1, "nodes": nodes, "wires": [["json.out", "out.in"]]})
        return [call for call in self.notes.calls[count:] if call[0] != "ended"]


def test_each_deployment_and_each_instance_is_told(tmp_path: Path) -> None:
    async def play(node: Node) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, node.generations.reap)
        assert await node.put("") == [("began", {"g": 1}), ("started", 1, ["g"], True), ("switched", {"g": 1}, True)]
        # in place: nothing is started
        assert await node.put("good") == [("began", {"g": 2}), ("switched", {"g": 2}, True)]
        assert await node.put("bad") == [
            *[("began", {"g": 3}), ("failed", {"g": 3}, "out: RuntimeError: not in place")],
            *[("began", {"g": 3}), ("started", 2, ["g"], True), ("switched", {"g": 3}, True)],
        ]
        await node.notes.hears("ended", 1, "stopped", "")
        count = len(node.notes.calls)
        with pytest.raises(ComponentError):
            await node.put("worse", "h")
        reason = "h.out: filter 'out' could not be set up: set-up failed: RuntimeError: cannot be set up like this"
        assert node.notes.calls[count:] == [
            *[("began", {"h": 1}), ("ended", 3, "exited with status 1", ""), ("failed", {"h": 1}, reason)],
        ]
        (pid,) = [instance.pid for instance in node.generations.ready()]
        os.kill(pid, signal.SIGKILL)
        await node.notes.hears("ended", 2, "killed by SIGKILL", "")
        await node.notes.hears("started", 4, ["g"], True)
        await node.deployer.delete("g")
        await node.notes.hears("ended", 4, "stopped", "")
        assert node.notes.calls[-2:] == [("undeployed", "g"), ("ended", 4, "stopped", "")]

    async def played() -> None:
        with closing(ControlStore(tmp_path / "control.db")) as store:
            node = Node(tmp_path, Lifeline(), store)
            try:
                await play(node)
            finally:
                await node.deployer.close()
                await node.generations.kill()

    try:
        asyncio.run(played())
    finally:
        # the process that multiprocessing starts beside the first of its own, which stays until ours ends
        resource_tracker._resource_tracker._stop()  # type: ignore[attr-defined]
