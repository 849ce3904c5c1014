"""The last events of a node, by their ids."""

from __future__ import annotations

import asyncio

import pytest

from pypes.observe.events import EventLog


def log_of(count: int, most: int = 5) -> EventLog:
    log = EventLog("a1", most, lambda: "now")
    for number in range(count):
        log.add("instance", ("g",), instance=number)
    return log


@pytest.mark.parametrize(
    ("id", "numbers", "gap"),
    [
        ("a1-8", [], ""),
        ("a1-6", [7, 8], ""),
        ("a1-3", [4, 5, 6, 7, 8], ""),
        ("a1-1", [4, 5, 6, 7, 8], "2 events are not kept any more"),
        ("a1-0", [4, 5, 6, 7, 8], "3 events are not kept any more"),
        # of another life of the node, of one that is to come, and no ids at all
        ("a0-7", [4, 5, 6, 7, 8], "the node has started anew"),
        ("a1-9", [4, 5, 6, 7, 8], "the node has started anew"),
        ("a1-\N{SUPERSCRIPT TWO}", [4, 5, 6, 7, 8], "the node has started anew"),
        ("", [4, 5, 6, 7, 8], "the node has started anew"),
        (f"a1-{'0' * 5000}7", [4, 5, 6, 7, 8], "the node has started anew"),
    ],
)
def test_events_behind_an_id_and_what_is_missing(id: str, numbers: list[int], gap: str) -> None:
    events, reason = log_of(8).after(id)
    assert [event.number for event in events] == numbers
    assert reason.startswith(gap)
    assert bool(reason) == bool(gap)


def test_an_event_that_takes_the_place_of_another_leaves_no_gap() -> None:
    log = log_of(2)
    for number in range(20):
        log.replace("draft", "g", counter=number)
        log.replace("draft", "h", counter=number)
    assert [(event.kind, event.graphs, event.number) for event in log.all()] == [
        ("instance", ("g",), 1),
        ("instance", ("g",), 2),
        ("draft", ("g",), 41),
        ("draft", ("h",), 42),
    ]
    assert log.all()[-1].body == {"time": "now", "counter": 19}
    # whoever has heard of the first event has missed nothing that matters
    events, reason = log.after("a1-1")
    assert ([event.number for event in events], reason) == ([2, 41, 42], "")
    log.replace("draft", "g", counter=20)
    assert log.after("a1-42")[0][0].body["counter"] == 20
    # nor when the oldest one had to go
    for _ in range(3):
        log.add("log")
    assert [event.number for event in log.all()] == [42, 43, 44, 45, 46]
    assert log.after("a1-1") == (log.all(), "1 events are not kept any more")
    assert log.after("a1-2") == (log.all(), "")


def test_a_node_that_has_just_started_has_nothing_to_tell() -> None:
    log = log_of(0)
    assert log.last == "a1-0"
    assert log.after("a1-0") == ([], "")
    assert log.after("a0-3")[0] == []


def test_who_waits_is_woken_by_an_event_or_by_time() -> None:
    async def main() -> None:
        log = log_of(0)
        waiting = [asyncio.ensure_future(log.wait(60)) for _ in range(2)]
        await asyncio.sleep(0)
        log.add("log", (), event="x")
        await asyncio.gather(*waiting)
        assert log.all()[0].body == {"time": "now", "event": "x"}
        await log.wait(0.001)
        given_up = asyncio.ensure_future(log.wait(60))
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.wait([given_up])
        log.add("log")

    asyncio.run(main())
