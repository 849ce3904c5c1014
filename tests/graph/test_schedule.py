from datetime import UTC, datetime

import pytest

from pypes.graph.model import Graph, GraphNode, Wire
from pypes.graph.schedule import following, latest, sources, why_invalid
from pypes.graph.spec import ComponentSpec


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("schedule", "now", "last", "next_"),
    [
        ("*/5 * * * *", "2026-03-01 10:07:30", "2026-03-01 10:05", "2026-03-01 10:10"),
        # the time itself has come
        ("*/5 * * * *", "2026-03-01 10:05:00", "2026-03-01 10:05", "2026-03-01 10:10"),
        ("0 0 29 2 *", "2026-03-01 10:05:00", "2024-02-29 00:00", "2028-02-29 00:00"),
        ("30 2 * * SUN", "2026-03-30 00:00:00", "2026-03-29 02:30", "2026-04-05 02:30"),
    ],
)
def test_times(schedule: str, now: str, last: str, next_: str) -> None:
    assert latest(schedule, at(now)) == at(last)
    assert latest(schedule, at(now) + 0.9) == at(last)
    assert following(schedule, at(now)) == at(next_)


@pytest.mark.parametrize("schedule", ["", "* * * *", "* * * * * *", "60 * * * *", "* * 31 2 *", "@daily", "a b c d e"])
def test_what_is_no_schedule(schedule: str) -> None:
    assert why_invalid(schedule)


def test_what_is_a_schedule() -> None:
    assert why_invalid("*/5 8-18 * * MON-FRI") == ""


CATALOGUE = {
    "Files": ComponentSpec("Files", "ADAPTER", inputs={"in": ""}, outputs={"out": ""}, fetches=True),
    "JSON": ComponentSpec("JSON", "ADAPTER", inputs={"in": ""}, outputs={"out": ""}),
    "Loop": ComponentSpec("Loop", "ADAPTER", inputs={"in": ""}, outputs={"out": ""}, original=True),
    "Clock": ComponentSpec("Clock", "ADAPTER", outputs={"out": ""}),
    "Null": ComponentSpec("Null", "PUBLISHER", inputs={"in": ""}),
}


@pytest.mark.parametrize(
    ("components", "found"),
    [
        (("JSON",), []),
        (("Loop",), [""]),
        (("Clock", "JSON"), [""]),
        (("Loop", "Files", "Files"), ["n1", "n2"]),
        (("Gone",), []),
    ],
)
def test_sources_of_a_graph(components: tuple[str, ...], found: list[str]) -> None:
    nodes = {f"n{i}": GraphNode(f"n{i}", component) for i, component in enumerate(components)}
    wires = tuple(Wire(name, "out", "null", "in") for name in nodes)
    assert sources(Graph("g", {**nodes, "null": GraphNode("null", "Null")}, wires), CATALOGUE) == found


def test_what_a_wire_leads_to_is_no_source() -> None:
    nodes = {name: GraphNode(name, component) for name, component in (("json", "JSON"), ("loop", "Loop"), ("null", "Null"))}
    wires = (Wire("json", "out", "loop", "in"), Wire("loop", "out", "null", "in"))
    assert sources(Graph("g", nodes, wires), CATALOGUE) == []
