"""Taking what the other members of a fleet have."""

from __future__ import annotations

import asyncio
from typing import Any

from pypes.errors import InvalidGraph, NotFound, Unavailable
from pypes.runtime.contracts.fleet import FleetVersion, GraphHead, GraphState, Member
from pypes.runtime.fleet.following import Follower


class Graphs:
    """The graphs of a member: versions and definitions by name."""

    def __init__(self, **graphs: tuple[int, int, str]) -> None:
        self.graphs = graphs
        self.is_away = False
        self.refused: set[str] = set()

    def listed(self) -> list[GraphHead]:
        found = self.graphs.items()
        return [GraphHead(name, FleetVersion(counter, node), digest) for name, (counter, node, digest) in found]

    async def state(self, name: str) -> GraphState:
        if name not in self.graphs:
            raise NotFound(name)
        counter, node, digest = self.graphs[name]
        return GraphState(name, FleetVersion(counter, node), {"name": digest} if digest else None)


class Own(Graphs):
    def heads(self) -> list[GraphHead]:
        return self.listed()

    def digest(self, name: str) -> str:
        return self.graphs[name][2] if name in self.graphs else ""

    async def take(self, state: GraphState) -> None:
        if state.name in self.refused:
            raise InvalidGraph("not here")
        digest = "" if state.graph is None else state.graph["name"]
        self.graphs[state.name] = (state.version.counter, state.version.node, digest)


class Other(Graphs):
    async def heads(self) -> list[GraphHead]:
        if self.is_away:
            raise Unavailable("away")
        return self.listed()


class Others:
    """Stands for the membership."""

    has_asked_all = True

    def __init__(self, *others: Other) -> None:
        self._others = others
        self.members = [Member(f"n{number}", "", number, "ready") for number in range(len(others))]

    def agreement(self, number: int, answer_s: float) -> Any:
        return self._others[number]


def follower(own: Own, *others: Other) -> Follower:
    members: Any = Others(*others)
    return Follower(members, own, lambda: None)


def look(made: Follower) -> bool:
    return asyncio.run(made._look())


def test_the_greatest_version_is_taken() -> None:
    own = Own(g=(1, 5, "a"), here=(2, 5, "h"), down=(1, 5, "d"))
    first = Other(g=(2, 1, "b"), here=(2, 4, "other half"), down=(3, 1, ""))
    second = Other(g=(2, 3, "c"), new=(1, 1, "n"), file=(0, 1, "f"))
    made = follower(own, first, second)
    assert not look(made)
    expected = {"g": (2, 3, "c"), "here": (2, 5, "h"), "down": (3, 1, ""), "new": (1, 1, "n"), "file": (0, 1, "f")}
    assert own.graphs == expected


def test_files_that_differ_stay_and_are_told() -> None:
    own = Own(g=(0, 5, "a"))
    made = follower(own, Other(g=(0, 9, "b")), Other(g=(0, 9, "a")), Other())
    assert not look(made)
    assert own.graphs == {"g": (0, 5, "a")}
    assert made.told("g") == {"members_differ": ["n0", "n2"]}
    made.changed("g")
    assert made.told("g") == {}


def test_what_cannot_be_taken_keeps_it_behind() -> None:
    own, other = Own(), Other(g=(1, 1, "a"))
    own.refused.add("g")
    made = follower(own, other)
    assert look(made)
    own.refused.clear()
    assert not look(made)
    other.is_away = True
    assert not look(made)
