"""Lengths of positions, in graphs however long."""

from __future__ import annotations

from pypes import Pipeline, node
from pypes.pipeline.depths import Depths
from tests.pipeline.samples import add, pair, same


def test_ways_meet_where_they_have_parted() -> None:
    sources = {
        "many": {"in": ["first"]},
        "left": {"in": ["many"]},
        "more": {"in": ["many"]},
        "join": {"left": ["left"], "right": ["more"]},
    }
    depths = Depths(sources, {"many", "more"})
    assert [depths.of_input(name) for name in ("first", "many", "left", "more", "join")] == [1, 1, 2, 2, 3]
    assert depths.of_meeting("join") == 2


def test_a_chain_longer_than_the_stack_of_python() -> None:
    count = 400  # of which each took several calls
    with Pipeline(node(lambda value: [value, value], produces=2), *[add] * count, node(sum, consumes=2)) as pipeline:
        assert [*pipeline.run([1])] == [2 * (1 + count)]
    nodes = {f"f{number}": add for number in range(count)}
    wires = [(f"f{number}.out", f"f{number + 1}.in") for number in range(count - 1)]
    ends = [(f"f{count - 1}.out", "pair.left"), ("same.out", "pair.right"), ("same.out", "f0.in")]
    with Pipeline(nodes={"same": same, **nodes, "pair": pair}, wires=[*wires, *ends]) as pipeline:
        assert [*pipeline.run([1])] == [(1 + count, 1)]
