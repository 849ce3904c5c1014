"""Order, ancestors and cycles."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypes.graph.model import Graph, GraphNode, Wire
from pypes.graph.plan import Plan, find_cycle


def graph(names: list[str], edges: list[tuple[str, str]]) -> Graph:
    return Graph("g", {n: GraphNode(n, "C") for n in names}, tuple(Wire(a, "out", b, "in") for a, b in edges))


@st.composite
def any_graphs(draw: st.DrawFn, acyclic: bool = False) -> Graph:
    names = draw(st.permutations([f"n{i}" for i in range(draw(st.integers(1, 12)))]))
    pairs = draw(st.lists(st.tuples(st.integers(0, len(names) - 1), st.integers(0, len(names) - 1)), max_size=25))
    ranked = sorted(names)
    edges = (
        [(ranked[min(p)], ranked[max(p)]) for p in pairs if p[0] != p[1]]
        if acyclic
        else [(ranked[a], ranked[b]) for a, b in pairs]
    )
    return graph(names, edges)


@given(any_graphs(acyclic=True))
def test_every_filter_comes_before_those_it_leads_to(g: Graph) -> None:
    plan = Plan(g)
    assert sorted(plan.order) == sorted(g.nodes)
    for wire in g.wires:
        assert plan.order.index(wire.source) < plan.order.index(wire.target)
        assert wire.source in plan.ancestors[wire.target]
        assert plan.ancestors[wire.source] <= plan.ancestors[wire.target]
    for name, ancestors in plan.ancestors.items():
        assert name not in ancestors
    assert find_cycle(g) is None


@given(any_graphs())
def test_a_cycle_is_found_exactly_when_there_is_no_order(g: Graph) -> None:
    cycle = find_cycle(g)
    if cycle is None:
        Plan(g)
        return
    wires = {(w.source, w.target) for w in g.wires}
    assert cycle[0] == cycle[-1]
    assert all(pair in wires for pair in itertools.pairwise(cycle))
    assert len(set(cycle)) == len(cycle) - 1
    with pytest.raises(ValueError, match="close a cycle"):
        Plan(g)


def test_what_is_written_first_goes_first() -> None:
    assert Plan(graph(list("zyxa"), [("z", "a"), ("y", "a")])).order == ("z", "y", "x", "a")
    assert Plan(graph(list("az"), [("z", "a")])).order == ("z", "a")


def test_a_long_chain_is_no_recursion() -> None:
    names = [f"n{i}" for i in range(3000)]
    chain = graph(names, list(itertools.pairwise(names)))
    assert find_cycle(chain) is None
    assert find_cycle(graph(names, [*((w.source, w.target) for w in chain.wires), (names[-1], names[0])])) == [*names, names[0]]
