"""The work of filters as differences of two answers of a node."""

from __future__ import annotations

from typing import Any

import pytest

from pypes.observe.work import FilterRate, filter_rates


def status(packets: int, seconds: float, *more: str, uptime_s: float = 100.0, pid: int = 1) -> dict[str, Any]:
    counts = {"packets_in": packets, "packets_out": packets, "retries": 0}
    judge = {**counts, "failures": packets // 10, "seconds": seconds, "waiting_s": seconds / 2, "parked_s": 0.0}
    json = {**counts, "failures": 0, "seconds": seconds / 4, "waiting_s": 0.0, "parked_s": seconds}
    filters = {"json": json, "judge": judge, **{name: {**judge, "packets_in": 8} for name in more}}
    return {"pid": pid, "uptime_s": uptime_s, "work": {"shop": {"filters": filters, "wires": {}}}}


def test_rates_are_differences_and_the_busiest_comes_first() -> None:
    found = filter_rates(status(100, 1.0), status(300, 3.0), 4.0)
    assert found == [
        FilterRate("shop", "judge", 50.0, 5.0, 0.5, 0.25, 0.0, 50.0),
        FilterRate("shop", "json", 50.0, 0.0, 0.125, 0.0, 0.5, 50.0),
    ]
    assert found[0].packet_s == pytest.approx(0.015)


def test_a_filter_that_is_new_has_begun_at_nothing() -> None:
    [new] = [rate for rate in filter_rates(status(100, 1.0), status(100, 1.0, "new"), 4.0) if rate.filter == "new"]
    assert new.packets == 2.0
    [new, *_] = filter_rates({**status(0, 0), "work": {}}, status(100, 1.0), 4.0)
    assert new.packets == 25.0


def test_a_filter_that_did_nothing_is_idle() -> None:
    found = filter_rates(status(100, 1.0), status(100, 1.0), 4.0)
    assert [rate.is_idle for rate in found] == [True, True]
    assert found[0].packet_s is None
    assert not any(rate.is_idle for rate in filter_rates(status(100, 1.0), status(100, 1.5), 4.0))


@pytest.mark.parametrize(
    ("after", "seconds"),
    [(status(5, 0.1, uptime_s=3.0), 4.0), (status(500, 9.0, pid=2, uptime_s=200.0), 4.0), (status(300, 3.0), 0.0)],
)
def test_nothing_is_compared_over_a_start_of_the_node(after: dict[str, Any], seconds: float) -> None:
    assert filter_rates(status(100, 1.0), after, seconds) == []


def test_a_count_never_falls() -> None:
    assert all(rate.is_idle for rate in filter_rates(status(100, 1.0), status(50, 0.5), 4.0))
