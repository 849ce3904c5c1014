"""Ports: results by the output where they came out."""

from __future__ import annotations

from typing import Any

import pytest

from pypes import Component, Done, Packet, Pipeline, node
from tests.pipeline.samples import add, double, no_three, same

PLACES: list[dict[str, Any]] = [{}, {"threads": 2}, {"processes": 2, "stride": 2}]


@pytest.mark.parametrize("place", PLACES, ids=["here", "threads", "processes"])
def test_results_are_told_by_port(place: dict[str, Any]) -> None:
    with Pipeline(add, node(double, **place)) as pipeline:
        assert pipeline.push_by_port([*range(20)]) == {"double.out": [(n + 1) * 2 for n in range(20)]}
        assert pipeline.push_by_port([1]) == {"double.out": [4]}
        assert pipeline.push_by_port([]) == {"double.out": []}
    nodes = {"split": same, "a": node(add, **place), "b": double, "c": str}
    with Pipeline(nodes=nodes, wires=[("split.out", "a.in"), ("split.out", "b.in"), ("b.out", "c.in")]) as pipeline:
        found = pipeline.push_by_port([*range(20)])
        assert found == {"a.out": [*range(1, 21)], "c.out": [str(2 * n) for n in range(20)]}
        assert [*pipeline.run([1])] == [2, "2"]


@pytest.mark.parametrize("place", PLACES[:2], ids=["here", "threads"])
def test_failures_are_at_the_port_error(place: dict[str, Any]) -> None:
    for errors in ("return", "skip"):
        with Pipeline(node(no_three, **place), errors=errors) as pipeline:
            found = pipeline.push_by_port([1, 3, 4])
            assert found.pop("no_three.out") == [1, 4]
            assert [each.value for each in found.pop("no_three.error", [])] == ([3] if errors == "return" else [])
            assert not found
            assert len(pipeline.dead_letters) == (errors == "skip")
    with Pipeline(node(no_three, **place), errors="raise") as pipeline:
        with pytest.raises(ValueError, match="three"):
            pipeline.push_by_port([1, 3, 4])
        assert pipeline.push_by_port([1]) == {"no_three.out": [1]}


def test_ports_of_components_are_told_beside_those_of_functions() -> None:
    class Parity(Component):
        outputs = {"even": "Even ones", "odd": "Odd ones"}

        def process(self, packet: Packet) -> None:
            self.send("odd" if packet["n"] % 2 else "even", packet)

    def opened(number: int) -> Any:
        return Done(number) if number == 3 else Packet({"n": number})

    def closed(packet: Packet) -> int:
        return int(packet["n"])

    nodes = {"opened": opened, "parity": Parity, "closed": closed}
    with Pipeline(nodes=nodes, wires=[("opened.out", "parity.in"), ("parity.odd", "closed.in")]) as pipeline:
        found = pipeline.push_by_port([1, 2, 3, 5])
        assert [packet["n"] for packet in found.pop("parity.even")] == [2]
        assert found == {"closed.out": [1, 5], "opened.done": [3]}
        assert {*pipeline.push_by_port([1])} == {"closed.out", "parity.even"}
