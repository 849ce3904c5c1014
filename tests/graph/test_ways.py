"""The filters that wires lead to."""

from __future__ import annotations

from pypes.graph.ways import reach, ways
from tests.graph.test_behind import GRAPH


def test_what_lies_behind() -> None:
    assert sorted(reach(("same",), ways(GRAPH))) == ["chunk", "index", "same"]
    assert sorted(reach(("log",), ways(GRAPH))) == ["log"]
    assert reach((), ways(GRAPH)) == set()
