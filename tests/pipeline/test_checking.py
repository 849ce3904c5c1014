"""Mistakes in what a user gives to a pipeline are told when it is made."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from pypes import Packet, Pipeline, Transformer, node
from pypes.errors import InvalidGraph


def same(value: Any) -> Any:
    return value


def pair(left: Any, right: Any) -> tuple[Any, Any]:
    return left, right


def scaled(value: int, by: int) -> int:
    return value * by


async def awaited(value: int) -> int:
    return value


async def generated(value: int) -> AsyncIterator[int]:
    yield value


class Passing(Transformer):
    def process(self, packet: Packet) -> Packet:
        return packet


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Pipeline(), "one function, component or pipeline at least"),
        (lambda: Pipeline(nodes={}), "one function, component or pipeline at least"),
        (lambda: Pipeline(same, nodes={"b": same}), "follow one another, or nodes= and wires=, not both"),
        (lambda: Pipeline(same, wires=[("a.out", "b.in")]), "follow one another, or nodes= and wires=, not both"),
        (lambda: Pipeline(nodes={"a": same, "b": same}, wires=[("a", "b")]), r"two ends with their ports.* not \('a', 'b'\)"),
        (lambda: Pipeline(nodes={"a": same}, wires=["a.out"]), "two ends with their ports.* not 'a.out'"),  # type: ignore[list-item]
        (lambda: Pipeline(nodes={"a": same}, wires=[("b.out", "a.in")]), "there is no filter 'b'; there are a"),
        (
            lambda: Pipeline(nodes={"a": same, "b": same}, wires=[("a.out", "b.in"), ("b.out", "a.in")]),
            "they close a cycle: a -> b -> a",
        ),
        (lambda: Pipeline(awaited), "'awaited' is async"),
        (lambda: Pipeline(generated), "'generated' is async"),
        (lambda: Pipeline(same, pair), "nothing gives 'right' to 'pair': lead a wire to pair.right, or give node"),
        (
            lambda: Pipeline(nodes={"a": same, "b": pair}, wires=[("a.out", "b.left")]),
            "nothing gives 'right' to 'b': lead a wire to b.right",
        ),
        (lambda: Pipeline(node(scaled, value=2)), "is called with the value as 'value', so that cannot be given"),
        (lambda: Pipeline(lambda: 3), "'function' takes no value"),
        (lambda: node(same, processes=1, memory="2 lots"), "memory must be a size, such as 1048576 or 64MiB, not '2 lots'"),
        (lambda: node(same, threads=1, timeout_s="3"), "timeout_s must be a number of seconds greater than zero, not '3'"),  # type: ignore[arg-type]
        (lambda: Pipeline(same, track="same"), r"track is a list of names, such as \['same'\]"),
    ],
)
def test_mistakes_are_told(make: Callable[[], Any], said: str) -> None:
    with pytest.raises(InvalidGraph, match=said):
        make()


def test_all_of_them_are_told_at_once() -> None:
    with pytest.raises(InvalidGraph) as raised:
        Pipeline(nodes={"a": awaited, "b": pair}, wires=[("c.out", "b.left")])
    assert [problem.code for problem in raised.value.problems] == [
        "graph.unknown_node",
        "pipeline.function",
        "pipeline.function",
    ]


@pytest.mark.parametrize("nodes", [{"a": same, "b": same}, {"a": Passing, "b": Passing}, {"a": same, "b": Passing}])
def test_a_wire_that_is_there_twice_would_double_what_goes_over_it(nodes: dict[str, Any]) -> None:
    with pytest.raises(InvalidGraph, match=r"a\.out -> b\.in: it occurs twice; remove one"):
        Pipeline(nodes=nodes, wires=[("a.out", "b.in"), ("a.out", "b.in")])


def test_functions_that_can_be_called_are_taken() -> None:
    def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*values: Any) -> Any:
            return function(*values, 3)

        return call

    functions = [int, str, dict.fromkeys, len, decorated(scaled), functools.partial(scaled, by=2), lambda *values: values]
    for function in functions:
        Pipeline(function).close()
    Pipeline(node(scaled, by=2), same).close()
    with Pipeline(nodes={"a": same, "b": node(pair, right=1)}, wires=[("a.out", "b.left")]) as pipeline:
        assert [*pipeline.run([3])] == [(3, 1)]
