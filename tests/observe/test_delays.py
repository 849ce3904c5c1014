"""Graphs that are behind, and the filter that is the cause."""

from __future__ import annotations

from typing import Any

import pytest

from pypes.observe.delays import Delays, milliseconds
from tests.observe.test_picture import USE, status


def work(packets: int, seconds: float, waiting_s: float = 0.0) -> dict[str, Any]:
    return {
        "packets_in": packets,
        "packets_out": packets,
        "seconds": seconds,
        "waiting_s": waiting_s,
        "failures": 0,
        "parked_s": 0.0,
    }


def node(done: int = 60, oldest_s: float = 30.0, pools: Any = (), deliveries: int = 500, **filters: Any) -> dict[str, Any]:
    """Graph ``shop`` is given 2 documents a second; ``filters`` are named graph_filter."""
    lately = {"seconds": 60.0, "accepted": 120, "published": done, "dropped": 0, "failed": 0}
    lanes = {"live": {"oldest_s": oldest_s}}
    use = {**USE, "deliveries": deliveries, "lanes": lanes, "lately": lately}
    late: dict[str, dict[str, Any]] = {"shop": {}, "mail": {}}
    for name, counts in filters.items():
        graph, _, filter = name.partition("_")
        late[graph][filter] = counts
    return status(
        shards=[{"shard": 0, "queue": {}, "graphs": {"shop": use}}],
        lately={"seconds": 60.0, "work": late, "refused": {}},
        pools=[*pools],
    )


def told(*args: Any, **parts: Any) -> list[tuple[str, str, str]]:
    return [*Delays(node(*args, **parts)).told()]


@pytest.mark.parametrize("parts", [{"oldest_s": 5.0}, {"done": 120}, {"done": 115}, {"deliveries": 2}])
def test_a_graph_that_keeps_up_is_not_behind(parts: Any) -> None:
    assert told(shop_judge=work(100, 50.0), **parts) == []


def test_its_slow_filter_is_named() -> None:
    assert told(shop_judge=work(1100, 55.0), shop_json=work(1100, 0.1)) == [
        (
            "shop",
            "judge",
            "Graph shop is behind: 500 deliveries wait, the oldest for 30 s; 2.0 documents/s come in and 1.0 are done. "
            "Most of its time goes to its filter judge: 50 ms a packet, at work for 92% of the time.",
        )
    ]


def test_a_graph_of_which_nothing_is_done_stands_still() -> None:
    [(_, filter, text)] = told(done=0)
    assert filter == ""
    assert text == (
        "Graph shop stands still: 500 deliveries wait, the oldest for 30 s, and nothing was done in the last minute. "
        "None of its filters is busy: see pypes logs --graph shop."
    )


def test_the_filter_of_another_graph_that_takes_up_its_instances_is_named() -> None:
    [(_, filter, text)] = told(mail_scan=work(10, 59.0), shop_judge=work(10, 0.1))
    assert filter == ""
    assert text.endswith(
        "Its instances are taken up by filter scan of graph mail: 5,900 ms a packet, at work for 98% of the time."
    )


def test_another_graph_is_not_named_to_whom_it_may_not_be() -> None:
    filters: dict[str, Any] = {"mail_scan": work(30, 58.0), "shop_embed": work(5, 1.0)}
    for pools, end in (
        ([], "Its instances are taken up by another graph."),
        (
            [POOL],
            "Its filter embed waits for pool models, which has 1 process and is taken up by another graph. Give filter embed of "
            "graph shop a pool of its own, or the pool more processes.",
        ),
    ):
        [(_, _, text)] = Delays(node(pools=pools, **filters), lambda graph: graph == "shop").told()
        assert text.endswith(end)


POOL = {
    "name": "models",
    "state": "ready",
    "failure": "",
    "workers": [{}],
    "busy_lately": 0.0,
    "filters": ["mail.scan", "shop.embed"],
}


def test_the_filter_of_another_graph_that_takes_up_its_pool_is_named() -> None:
    [(_, filter, text)] = told(pools=[POOL], mail_scan=work(30, 58.0), shop_embed=work(5, 1.0))
    assert filter == "embed"
    assert text.endswith(
        "Its filter embed waits for pool models, which has 1 process and is taken up by filter scan of graph mail: 1,933 ms a "
        "packet. Give filter embed of graph shop a pool of its own, or the pool more processes."
    )


def test_a_pool_whose_packets_are_long_in_hand_is_busy_all_the_same() -> None:
    pool = {**POOL, "busy_lately": 0.9}
    slow = {**work(60, 15.0), "packets_out": 18}
    [(_, filter, text)] = told(pools=[pool], mail_scan=slow, shop_embed=work(50, 0.2), shop_json=work(50, 0.1))
    assert filter == "embed"
    assert "is taken up by filter scan of graph mail: 833 ms a packet. Give" in text
    [(_, _, text)] = told(pools=[pool], mail_scan={**slow, "packets_out": 0}, shop_embed=work(50, 0.2))
    assert "is taken up by filter scan of graph mail: with packets that are not done yet. Give" in text


def test_its_own_filter_that_fills_a_pool_is_named() -> None:
    pool = {**POOL, "workers": [{}, {}]}
    [(_, filter, text)] = told(pools=[pool], mail_scan=work(30, 10.0), shop_embed=work(500, 100.0))
    assert filter == "embed"
    assert "Its filter embed fills pool models, which has 2 processes: 200 ms a packet" in text


def test_a_pool_that_has_time_is_no_cause() -> None:
    [(_, filter, _)] = told(pools=[POOL], mail_scan=work(30, 5.0), shop_judge=work(500, 59.0))
    assert filter == "judge"


def test_packets_that_are_not_done_yet_are_no_time_of_packets() -> None:
    [(_, _, text)] = told(shop_judge=work(0, 59.0))
    assert text.endswith("judge: at work for 98% of the time, with packets that are not done yet.")


def test_a_filter_that_waits_for_answers_is_said_to() -> None:
    [(_, filter, text)] = told(shop_call=work(100, 1.0, 50.0))
    assert filter == "call"
    assert text.endswith("call: 510 ms a packet, most of it in calls beside the graph.")


def test_a_node_that_was_just_started_knows_nothing() -> None:
    found = node()
    found["lately"] = None
    found["shards"][0]["graphs"]["shop"]["lately"] = None
    assert [*Delays(found).told()] == []


def test_times_have_as_many_places_as_one_can_tell_apart() -> None:
    assert [milliseconds(each) for each in (1.5, 0.05, 0.0012, 0.00002)] == ["1,500 ms", "50 ms", "1.2 ms", "0.02 ms"]


def test_a_filter_that_hardly_works_is_no_cause() -> None:
    [(_, filter, text)] = told(done=0, shop_json=work(100, 1.0))
    assert filter == ""
    assert "None of its filters is busy" in text
