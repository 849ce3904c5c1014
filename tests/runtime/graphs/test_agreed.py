"""Changes that other members of a fleet coordinate."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from contextlib import closing
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

import pytest

from pypes.core.lifeline import Lifeline
from pypes.errors import Changed
from pypes.runtime.contracts.fleet import DROPPED, PENDING, SWITCHED, FleetVersion, GraphState
from pypes.runtime.graphs import agreed
from pypes.runtime.graphs.agreed import Agreed
from pypes.runtime.graphs.store import ControlStore
from tests.runtime.graphs.test_observed import Node

OTHER = 7


class Member(Node):
    """A node whose changes another one coordinates; ``word`` is what is said of them when it asks."""

    def __init__(self, folder: Path, lifeline: Lifeline, store: ControlStore) -> None:
        super().__init__(folder, lifeline, store)
        self.words: list[str | None] = []
        self.agreed = Agreed(self.deployer, store, store.node, self.asked, lambda name: None)

    async def asked(self, name: str, version: FleetVersion) -> str | None:
        return self.words.pop(0) if len(self.words) > 1 else self.words[0]

    def live(self) -> str | None:
        graph = self.deployer.live.get("g")
        return None if graph is None else graph.graph["nodes"]["out"].get("params", {}).get("mark", "")

    async def free(self) -> None:
        async with asyncio.timeout(20), self.deployer.lock:
            pass


def state(mark: str | None, counter: int, *, is_paused: bool = False) -> GraphState:
    nodes = {"json": {"component": "JSON"}, "out": {"component": "Tuned", "params": {"mark": mark}}}
    graph: dict[str, Any] = {"pypes": 1, "name": "g", "nodes": nodes, "wires": [["json.out", "out.in"]]}
    return GraphState("g", FleetVersion(counter, OTHER), None if mark is None else graph, is_paused, "me", "why")


def played(tmp_path: Path, play: Callable[[Member], Awaitable[None]]) -> None:
    async def run() -> None:
        with closing(ControlStore(tmp_path / "control.db")) as store:
            lifeline = Lifeline()
            node = Member(tmp_path, lifeline, store)
            asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, node.generations.reap)
            try:
                await play(node)
            finally:
                await node.agreed.close()
                await node.deployer.close()
                await node.generations.kill()
                lifeline.close()

    try:
        asyncio.run(run())
    finally:
        # the process that multiprocessing starts beside the first of its own, which stays until ours ends
        resource_tracker._resource_tracker._stop()  # type: ignore[attr-defined]


def test_it_switches_when_it_is_told(tmp_path: Path) -> None:
    async def play(node: Member) -> None:
        node.words = [PENDING]
        first = state("a", 1)
        await node.agreed.prepare(first)
        assert node.live() is None
        assert await node.agreed.commit("g", first.version)
        assert await node.agreed.commit("g", first.version)  # told again
        assert node.live() == "a"
        [head] = node.agreed.heads()
        assert (head.version, bool(head.digest)) == (first.version, True)
        assert node.agreed.state("g").author == "me"
        await node.agreed.prepare(state("b", 2))
        await node.agreed.abort("g", FleetVersion(2, OTHER))
        assert node.live() == "a"
        with pytest.raises(Changed):
            await node.agreed.prepare(state("b", 1))
        await node.free()

    played(tmp_path, play)


def test_who_hears_nothing_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreed, "SILENCE_S", 0.01)
    monkeypatch.setattr(agreed, "ASK_S", 0.01)
    monkeypatch.setattr(agreed, "UNKNOWN_S", 0.05)

    async def play(node: Member) -> None:
        node.words = [PENDING, None, SWITCHED]
        await node.agreed.prepare(state("a", 1))
        await node.free()
        assert node.live() == "a"
        for word in (DROPPED, None):
            node.words = [word]
            await node.agreed.prepare(state("b", 2))
            await node.free()
            assert node.live() == "a"
            assert not await node.agreed.commit("g", FleetVersion(2, OTHER))

    played(tmp_path, play)


def test_what_was_missed_is_taken(tmp_path: Path) -> None:
    async def play(node: Member) -> None:
        await node.agreed.take(state("a", 3, is_paused=True))
        assert (node.live(), node.deployer.paused) == ("a", {"g"})
        await node.agreed.take(state("b", 2))
        assert node.live() == "a"
        await node.agreed.take(state("a", 4))
        assert (node.live(), node.deployer.paused) == ("a", set())
        assert len(node.agreed.heads()) == 1
        await node.agreed.take(state(None, 5))
        assert node.live() is None
        [head] = node.agreed.heads()
        assert (head.version, head.digest) == (FleetVersion(5, OTHER), "")
        assert node.agreed.state("g").graph is None

    played(tmp_path, play)
