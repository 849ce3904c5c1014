from dataclasses import replace

import msgspec
import pytest

from pypes.core.graph_limits import NO_LIMITS, GraphLimits
from pypes.errors import NotDeployed, NotFound
from pypes.ingest.dispatch.topology import Topology, cannot_serve

SOCKETS = {1: "i-1", 2: "i-2"}


def test_which_graphs_only_queue() -> None:
    assert Topology(graphs={"a": 1}, instances=SOCKETS).degraded() == {}
    failed = Topology(graphs={"a": 1}, instances=SOCKETS, failed={"b": "no model"}, paused=frozenset("c"))
    assert failed.degraded() == {"b": "no model"}
    assert failed.waiting == {"b", "c"}
    stalled = Topology(graphs={"a": 1}, instances=SOCKETS, stalled={"a": "no process"}, failed={"b": "no model"})
    assert stalled.degraded() == {"a": "no process", "b": "no model"}
    # instances keep what they have of it
    assert stalled.waiting == {"b"}
    shared = Topology(graphs={"a": 1, "b": 1}, instances=SOCKETS, runs={1: frozenset("a"), 2: frozenset("a")})
    assert shared.degraded() == {"b": "no instance that runs the graph is ready"}
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


def test_each_shard_enforces_its_part_of_the_limits_of_a_graph() -> None:
    limits = {"a": GraphLimits(queue_max_deliveries=10), "o": GraphLimits(queue_max_deliveries=10)}
    topology = Topology(graphs={"a": 1, "o": 1}, failed={"b": "no model"}, ordered=frozenset("o"), limits=limits)
    # a graph with order lies in one shard
    assert topology.limits_in_shard(4) == {"a": GraphLimits(queue_max_deliveries=3), "b": NO_LIMITS, "o": limits["o"]}
    sent = msgspec.convert(msgspec.to_builtins(topology, str_keys=True), Topology, str_keys=True)
    assert sent == topology


def test_what_no_graph_names_goes_to_the_default_graph() -> None:
    topology = Topology(graphs={"g": 1, "n": 1}, routes={"news": "n"}, default="g")
    assert [topology.resolve(route) for route in (None, "news", "nwes")] == ["g", "n", "g"]
    with pytest.raises(NotDeployed):
        Topology(graphs={"n": 1}, routes={"news": "n"}).resolve("nwes")


def test_a_strict_node_refuses_a_route_that_no_graph_names() -> None:
    topology = Topology(graphs={"g": 1, "n": 1}, routes={"news": "n", "people": "n"}, default="g", strict_routes=True)
    assert [topology.resolve(route) for route in (None, "news")] == ["g", "n"]
    with pytest.raises(NotFound) as raised:
        topology.resolve("nwes")
    assert raised.value.code == "route.unknown"
    assert raised.value.message == (
        "no graph has the route 'nwes'; did you mean 'news'? GET /graphs lists all routes; "
        "without a route, /docs goes to the default graph"
    )
    with pytest.raises(NotFound) as raised:
        replace(topology, default=None).resolve("x")
    assert raised.value.message == "no graph has the route 'x'; there are news, people. GET /graphs lists all routes"
    with pytest.raises(NotFound) as raised:
        replace(topology, routes={f"r{n:03}": "g" for n in range(500)}).resolve("x")
    assert "there are r000, r001, r002, r003, r004, r005, r006, r007, r008, r009 and 490 more. GET" in raised.value.message
    with pytest.raises(NotFound, match=r"'x'; no graph has any\. GET"):
        replace(topology, routes={}).resolve("x")


def test_a_strict_node_says_not_yet_while_its_graphs_are_not_known() -> None:
    with pytest.raises(NotDeployed):
        Topology(strict_routes=True, is_complete=False).resolve("news")
