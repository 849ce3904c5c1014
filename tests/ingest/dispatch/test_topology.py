import pytest

from pypes.ingest.dispatch.topology import Topology, cannot_serve

SOCKETS = {1: "i-1", 2: "i-2"}


def test_which_graphs_only_queue() -> None:
    assert Topology(graphs={"a": 1}, instances=SOCKETS).degraded() == {}
    failed = Topology(graphs={"a": 1}, instances=SOCKETS, failed={"b": "no model"}, paused=frozenset("c"))
    assert failed.degraded() == {"b": "no model"}
    assert failed.waiting == {"b", "c"}
    shared = Topology(graphs={"a": 1, "b": 1}, instances=SOCKETS, runs={1: frozenset("a"), 2: frozenset("a")})
    assert shared.degraded() == {"b": "no instance that runs it is ready"}
    # one that is not listed runs all
    assert Topology(graphs={"a": 1, "b": 1}, instances=SOCKETS, runs={1: frozenset("a")}).degraded() == {}


@pytest.mark.parametrize(
    ("graphs", "degraded", "default", "expected"),
    [
        ("ab", "", "a", False),
        ("ab", "b", "a", False),
        ("ab", "a", "a", True),
        ("ab", "ab", None, True),
        ("ab", "a", None, False),
        ("", "", None, False),
    ],
)
def test_who_should_be_sent_nothing(graphs: str, degraded: str, default: str | None, expected: bool) -> None:
    assert cannot_serve(set(graphs), set(degraded), default) is expected
