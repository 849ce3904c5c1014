"""What filters and wires did in the last second, from the counts of several processes."""

from __future__ import annotations

from pathlib import Path

from pypes.observe import metrics as m
from pypes.observe.gathering import Gathering
from pypes.observe.tallies import Tallies
from pypes.runtime.supervisor.rates import Rates


class Clock:
    now_s = 5.0

    def __call__(self) -> float:
        return self.now_s


def test_rates_are_differences_of_sums_over_all_processes(tmp_path: Path) -> None:
    paths = [str(tmp_path / f"i-{n}.tally") for n in range(2)]
    first, second = map(Tallies.own, paths)
    gathering, clock = Gathering(), Clock()
    rates = Rates(gathering, lambda: "now", clock)
    for path in paths:
        gathering.join(path)
    first.counter(m.FILTER_IN, "g", "a").add(1000)
    first.counter(m.DEPLOYMENTS, "switched").add(1)
    # what was before is no rate
    assert rates.step() == []
    clock.now_s += 2
    first.counter(m.FILTER_IN, "g", "a").add(10)
    second.counter(m.FILTER_IN, "g", "a").add(4)
    second.counter(m.WIRE_PACKETS, "g", "a.out-b.in").add(3)
    second.counter(m.FILTER_SECONDS, "h", "a").add(0.5)
    told = [(event.number, event.kind, event.graphs, event.body) for event in rates.step()]
    about = {"time": "now", "seconds": 2.0}
    g = {**about, "graph": "g", "filters": {"a": {"in": 7.0}}, "wires": {"a.out-b.in": {"packets": 1.5}}}
    h = {**about, "graph": "h", "filters": {"a": {"busy": 0.25}}, "wires": {}}
    assert told == [(0, "counters", ("g",), g), (0, "counters", ("h",), h)]
    # that a graph has come to rest is told once
    clock.now_s += 1
    second.counter(m.FILTER_SECONDS, "h", "a").add(0.1)
    assert [(event.body["graph"], event.body["filters"]) for event in rates.step()] == [("g", {}), ("h", {"a": {"busy": 0.1}})]
    clock.now_s += 1
    assert [event.body["graph"] for event in rates.step()] == ["h"]
    clock.now_s += 1
    assert rates.step() == []


def test_what_waits_and_what_rests_is_told_as_it_is(tmp_path: Path) -> None:
    paths = [str(tmp_path / f"i-{n}.tally") for n in range(2)]
    first, second = map(Tallies.own, paths)
    gathering, clock = Gathering(), Clock()
    rates = Rates(gathering, lambda: "now", clock)
    for path in paths:
        gathering.join(path)
    rates.step()
    for tallies, depth in ((first, 76), (second, 4)):
        tallies.gauge(m.WIRE_DEPTH, "g", "a.out-b.in").set(depth)
        tallies.gauge(m.WIRE_BOUND, "g", "a.out-b.in").set(2048)
    first.gauge(m.FILTER_RESTING, "g", "b").set(1)
    for _ in range(2):
        clock.now_s += 2
        [event] = rates.step()
        wires = {"a.out-b.in": {"depth": 80, "bound": 4096}}
        assert event.body == {"time": "now", "graph": "g", "seconds": 2.0, "filters": {"b": {"resting": 1}}, "wires": wires}
    # what the dead process had counts no more
    gathering.leave(paths[0])
    clock.now_s += 1
    [event] = rates.step()
    assert (event.body["filters"], event.body["wires"]) == ({}, {"a.out-b.in": {"depth": 4, "bound": 2048}})
    second.gauge(m.WIRE_DEPTH, "g", "a.out-b.in").set(0)
    second.gauge(m.WIRE_BOUND, "g", "a.out-b.in").set(0)
    clock.now_s += 1
    [event] = rates.step()
    assert (event.body["filters"], event.body["wires"]) == ({}, {})
    clock.now_s += 1
    assert rates.step() == []


def test_a_process_that_ends_and_a_pause_are_no_change(tmp_path: Path) -> None:
    path = str(tmp_path / "i-1.tally")
    counted, gathering, clock = Tallies.own(path), Gathering(), Clock()
    rates = Rates(gathering, lambda: "now", clock)
    counted.counter(m.FILTER_IN, "g", "a").add(5)
    gathering.join(path)
    rates.step()
    gathering.leave(path)
    clock.now_s += 1
    assert rates.step() == []
    rates.forget()
    gathering.own.counter(m.FILTER_IN, "g", "a").add(7)
    clock.now_s += 1
    assert rates.step() == []
