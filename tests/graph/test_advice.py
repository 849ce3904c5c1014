"""Advice: graphs that are valid and hardly do what was meant."""

from __future__ import annotations

from typing import Any

from pypes.component import Adapter, Operator, Publisher
from pypes.graph.advice import advise
from pypes.graph.codec import from_obj
from pypes.graph.spec import describe
from pypes.graph.validation import validate


class Read(Adapter):
    """Reads."""


class Split(Operator):
    """Splits."""

    outputs = {"out": "", "out2": ""}


class Window(Operator):
    """Holds."""

    holds = True


class Join(Operator):
    """Joins."""

    inputs = {"in": "", "in2": ""}


class Keep(Publisher):
    """Keeps."""


CATALOGUE = {cls.__name__: describe(cls) for cls in (Read, Split, Window, Join, Keep)}


def advised(*wires: str) -> list[tuple[str, str]]:
    """``wires`` are pairs of ends with an arrow between; filters are called as their components, in small letters."""
    ends = [wire.split(" -> ") for wire in wires]
    names = dict.fromkeys(end.split(".")[0] for pair in ends for end in pair)
    obj: dict[str, Any] = {"pypes": 1, "name": "g", "nodes": {n: {"component": n.title()} for n in names}, "wires": ends}
    graph = from_obj(obj)
    assert validate(graph, CATALOGUE) == []
    return [(problem.path, problem.code) for problem in advise(graph, CATALOGUE)]


def test_a_join_past_which_a_branch_holds_packets() -> None:
    split = ["read.out -> split.in", "join.out -> keep.in"]
    assert advised(*split, "split.out -> window.in", "window.out -> join.in", "split.out2 -> join.in2") == [
        ("nodes.join", "graph.held_branch")
    ]
    # before the branches part, behind the join, and where a port is fed by several wires
    assert (
        advised("read.out -> window.in", "window.out -> split.in", "split.out -> join.in", "split.out2 -> join.in2", split[1])
        == []
    )
    assert (
        advised(split[0], "split.out -> join.in", "split.out2 -> join.in2", "join.out -> window.in", "window.out -> keep.in")
        == []
    )
    assert advised(*split, "split.out -> window.in", "window.out -> join.in", "split.out2 -> join.in") == []
