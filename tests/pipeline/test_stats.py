"""Stats: counts of functions here and in pools, and of components."""

from __future__ import annotations

import time
from typing import Any

import pytest

from pypes import Packet, Pipeline, Transformer, node
from pypes.observe import Observer
from tests.pipeline.samples import add, no_three, odd

#: Clocks of threads and processes may differ by so much.
EXACT_S = 1e-6


def busy_for_2_ms(value: int) -> int:
    until = time.perf_counter() + 0.002
    while time.perf_counter() < until:
        pass
    return value


@pytest.mark.parametrize("place", [{}, {"threads": 2}, {"processes": 2, "stride": 3}], ids=["here", "threads", "processes"])
def test_functions_are_counted(place: dict[str, Any]) -> None:
    with Pipeline(node(no_three, **place), odd, node(busy_for_2_ms, **place), add) as pipeline:
        assert all(each.items == each.seconds == 0 for each in pipeline.stats.values())
        assert [*pipeline.run(range(8))] == [2, 6, 8]
        pipeline.push([1])
        stats = pipeline.stats
    assert {name: (each.items, each.failures) for name, each in stats.items()} == {
        "no_three": (9, 1),
        "odd": (8, 0),
        "busy_for_2_ms": (4, 0),
        "add": (4, 0),
    }
    busy = stats["busy_for_2_ms"]
    assert busy.seconds >= 4 * 0.002 - EXACT_S
    assert stats["add"].waiting_s == stats["odd"].waiting_s == 0
    assert busy.waiting_s > 0 if place else busy.waiting_s == 0
    assert all(each.seconds >= 0 for each in stats.values())


def test_waiting_is_that_for_workers() -> None:
    with Pipeline(node(busy_for_2_ms, threads=1)) as pipeline:
        pipeline.push([*range(10)])
        [stats] = pipeline.stats.values()
    assert stats.items == 10
    assert stats.seconds >= 0.02 - EXACT_S
    assert stats.waiting_s > stats.seconds  # several at once are with the pool


def test_components_are_counted_beside_functions() -> None:
    class Busy(Transformer):
        def process(self, packet: Packet) -> Packet:
            busy_for_2_ms(0)
            if packet["n"] == 3:
                raise ValueError
            return packet

    def opened(number: int) -> Packet:
        return Packet({"n": number})

    for observer in (None, Observer()):
        with Pipeline(opened, Busy, observer=observer) as pipeline:
            assert len([*pipeline.run(range(5))]) == 4
            stats = pipeline.stats
        assert stats["opened"].items == 5
        assert (stats["busy2"].items, stats["busy2"].failures) == (5, 1)
        assert stats["busy2"].seconds >= 5 * 0.002 - EXACT_S
