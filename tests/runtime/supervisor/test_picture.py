"""The picture of a node: its processes, and what its filters and wires have done."""

from __future__ import annotations

from pypes.observe import metrics as m
from pypes.observe.gathering import Gathering
from pypes.runtime.contracts.supervisor import FilterWork, WireWork
from pypes.runtime.supervisor.picture import with_counts
from tests.runtime.supervisor.test_tallying import graph_of, node_of


def test_it_has_the_work_of_what_is_deployed_also_of_what_has_done_nothing() -> None:
    gathering = Gathering()
    gathering.own.counter(m.FILTER_IN, "g", "filter-0").add(3)
    gathering.own.counter(m.FILTER_PARKED, "g", "filter-0").add(0.5)
    gathering.own.counter(m.WIRE_PACKETS, "g", "filter-0.out-filter-1.in").add(2)
    gathering.own.counter(m.FILTER_IN, "g", "gone").add(7)
    gathering.own.counter(m.INSTANCE_RESTARTS, "SIGSEGV").add(2)
    found = with_counts(node_of(["g", "h"]), gathering, {"g": graph_of(2), "h": graph_of(1)})
    assert found.work["g"].filters == {"filter-0": FilterWork(packets_in=3, parked_s=0.5), "filter-1": FilterWork()}
    assert found.work["g"].wires == {"filter-0.out-filter-1.in": WireWork(packets=2)}
    assert (found.work["h"].filters, found.work["h"].wires) == ({"filter-0": FilterWork()}, {})
    assert found.restarts == {"SIGSEGV": 2}
    assert [process.name for process in found.processes] == ["supervisor"]
    assert isinstance(found.work["g"].filters["filter-0"].packets_in, int)
