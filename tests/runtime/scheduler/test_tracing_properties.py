"""Traces of random graphs say what a model says that runs one document after the other, whatever runs beside them."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pypes.component import Component
from pypes.core.limits import Limits
from pypes.packet import Packet
from pypes.runtime.scheduler import Feed, Scheduler
from pypes.runtime.scheduler.tracing import Trace
from tests.runtime.scheduler.destinations import NoRest
from tests.runtime.scheduler.graphs import graph_of
from tests.runtime.scheduler.test_properties import WORK, Collect, CollectBatch, CollectGathers, CollectLoop, built, graphs


class Expected:
    """Packets by filter: those that come, go on, fail, and of which nothing goes on."""

    def __init__(self) -> None:
        self.arrived = Counter[str]()
        self.sent = Counter[str]()
        self.failed = Counter[str]()
        self.dropped = Counter[str]()
        #: Documents of which nothing goes on from a filter, and nothing failed there.
        self.ended = Counter[str]()

    def add(self, other: Expected) -> None:
        """Add what is expected of one document more."""
        for name in ("arrived", "sent", "failed", "dropped"):
            getattr(self, name).update(getattr(other, name))
        self.ended.update(name for name in other.dropped if not (other.sent[name] or other.failed[name]))


def model(nodes: list[Any], wires: list[tuple[int, int]], at: int, n: int, expected: Expected) -> None:
    name = f"n{at}"
    expected.arrived[name] += 1
    found = WORK[nodes[at][1]](n)
    if found is None:
        expected.failed[name] += 1
        return
    expected.sent[name] += len(found)
    if not found:
        expected.dropped[name] += 1
    targets = [b for a, b in wires if a == at]
    for value in found:
        if not targets:
            expected.arrived[f"end{at}"] += 1
        for target in targets:
            model(nodes, wires, target, value, expected)


@given(
    graphs(),
    st.lists(st.tuples(st.integers(1, 40), st.booleans()), min_size=1, max_size=5),
    st.sampled_from([4, 16, 256]),
    st.sampled_from([7, 60]),
    st.sampled_from([Collect, CollectBatch, CollectGathers, CollectLoop]),
    st.sampled_from([0, 3]),
)
def test_traces_say_what_a_sequential_model_says(
    graph: tuple[list[tuple[type[Component], str]], list[tuple[int, int]]],
    feeds: list[tuple[int, bool]],
    wire_packets: int,
    wave: int,
    sink: type[Collect],
    flaky: int,
) -> None:
    """Of each epoch: so many documents, and whether it is traced."""
    nodes, wires = graph
    components, sinks, lines = built(nodes, wires, sink)
    for each in sinks.values():
        each.flaky = flaky
    everything: dict[str, Component] = {**components, **sinks}
    scheduler = Scheduler(graph_of(everything, lines), everything, limits=Limits(wire_packets=wire_packets), rng=NoRest())
    scheduler.setup()
    sources = [i for i in range(len(nodes)) if not any(b == i for _, b in wires)]
    traces: list[tuple[int, int, Trace]] = []
    low = 0
    for count, is_traced in feeds:
        parts = [range(start, min(start + wave, count)) for start in range(0, count, wave)]
        batches = [(f"n{i}", [Packet({"n": low + n, "of": (low, n)}) for n in part], part) for part in parts for i in sources]
        trace = Trace(lambda packet: {"n": packet.get("n")}, scheduler.core.clock) if is_traced else None
        scheduler.submit(Feed(iter(batches), count, [low], trace=trace))
        if trace is not None:
            traces.append((low, count, trace))
        low += count
    scheduler.drain()
    core = scheduler.core
    assert (core.special, core.turn_times.epochs) == (0, 0)
    scheduler.teardown()

    for first, count, trace in traces:
        expected = Expected()
        for n in range(first, first + count):
            of_one = Expected()
            for i in sources:
                model(nodes, wires, i, n, of_one)
            expected.add(of_one)
        assert trace.passages.keys() >= expected.arrived.keys()
        for name in everything:
            passage = trace.of(name)
            assert passage.arrived.count == expected.arrived[name]
            assert sum(shown.count for shown in passage.sent.values()) == expected.sent[name]
            assert passage.failed == expected.failed[name]
            if name not in sinks:
                # packets, or documents, where a filter does not say of which packet something goes on
                assert expected.ended[name] <= passage.dropped <= expected.dropped[name]
            else:
                assert passage.published == expected.arrived[name]
            if expected.arrived[name]:
                assert passage.attempts >= 1
