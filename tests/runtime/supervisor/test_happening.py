"""Who asks for events and counters, and what is done for it meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from pypes.core.watched_tasks import WatchedTasks
from pypes.observe import metrics as m
from pypes.observe.events import EventLog
from pypes.observe.gathering import Gathering
from pypes.runtime.supervisor import happening
from pypes.runtime.supervisor.happening import REASON_CHARS, EventDesk, Happenings, LogNews
from pypes.runtime.supervisor.rates import Rates


class Counting(Gathering):
    """Says how often it was read; something happens between two readings."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0

    def read(self) -> Any:
        self.reads += 1
        self.own.counter(m.FILTER_IN, "g", "a").add(1)
        return super().read()


def played(monkeypatch: pytest.MonkeyPatch, play: Callable[[EventDesk, Counting, EventLog], Coroutine[None, None, None]]) -> None:
    monkeypatch.setattr(happening, "EVERY_S", 0.0)
    monkeypatch.setattr(happening, "IDLE_S", 0.0)

    async def main() -> None:
        failed = list[str]()
        tasks = WatchedTasks(failed.append)
        gathering, log = Counting(), EventLog("a1", 10, lambda: "now")
        ticks = iter(range(1_000_000))
        desk = EventDesk(log, Rates(gathering, lambda: "now", lambda: float(next(ticks))), lambda: None, tasks)
        async with asyncio.timeout(20):
            await play(desk, gathering, log)
        await tasks.close()
        assert failed == []

    asyncio.run(main())


def test_nothing_is_counted_but_while_somebody_wants_counters(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(desk: EventDesk, gathering: Counting, log: EventLog) -> None:
        assert (await desk.after("a1-0", 0.001)).counters == []
        assert gathering.reads == 0
        told = await desk.after("a1-0", 60.0, 0)
        assert [(event.kind, event.body["filters"]) for event in told.counters] == [("counters", {"a": {"in": 1.0}})]
        assert told.tick >= 1
        tick = told.tick
        told = await desk.after("a1-0", 60.0, told.tick)
        assert told.tick > tick
        # until it is found that nobody asks
        reads = -1
        while reads != gathering.reads:
            reads = gathering.reads
            for _ in range(5):
                await asyncio.sleep(0)
        told = await desk.after("a1-0", 60.0, told.tick)
        assert (len(told.counters), told.events) == (1, [])

    played(monkeypatch, play)


def test_an_event_comes_whoever_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(desk: EventDesk, gathering: Counting, log: EventLog) -> None:
        waiting = asyncio.ensure_future(desk.after("a1-0", 60.0))
        await asyncio.sleep(0)
        Happenings(log).deployment_failed({"g": 3}, "at http://user:secret@host " + "x" * 1000)
        [event] = (await waiting).events
        assert (event.kind, event.graphs, event.body["version"]) == ("deployment", ("g",), 3)
        assert event.body["reason"].startswith("at http://***@host x")
        assert len(event.body["reason"]) == REASON_CHARS + 1

    played(monkeypatch, play)


def test_a_reason_for_several_graphs_is_about_all_of_them() -> None:
    log = EventLog("a1", 10, lambda: "now")
    happenings = Happenings(log)
    happenings.deployment_began({"g": 3, "other": 1})
    happenings.deployment_failed({"g": 3, "other": 1}, "other.json: no such model")
    assert [(event.graphs, event.body["graph"], event.body["state"]) for event in log.all()] == [
        (("g",), "g", "began"),
        (("other",), "other", "began"),
        (("g", "other"), "g", "failed"),
        (("g", "other"), "other", "failed"),
    ]


def test_of_a_draft_the_last_change_is_kept() -> None:
    log = EventLog("a1", 10, lambda: "now")
    happenings = Happenings(log)
    for counter in range(100):
        happenings.draft_changed("g", counter, "ann", is_gone=False)
    happenings.deployment_began({"g": 1})
    happenings.draft_changed("h", 100, "", is_gone=True)
    assert [(event.kind, event.graphs, event.body) for event in log.all()] == [
        ("draft", ("g",), {"time": "now", "graph": "g", "counter": 99, "by": "ann"}),
        ("deployment", ("g",), {"time": "now", "state": "began", "graph": "g", "version": 1}),
        ("draft", ("h",), {"time": "now", "graph": "h", "counter": 100, "by": "", "deleted": True}),
    ]


def test_warnings_are_events_once_and_bounded() -> None:
    lines: list[dict[str, Any]] = [{"time": "then", "level": "warning", "event": f"e{number}"} for number in range(150)]

    def since(number: int) -> tuple[list[dict[str, Any]], int]:
        return lines[number:], len(lines)

    log = EventLog("a1", 1000, lambda: "now")
    news = LogNews(log, since)
    news()
    assert [event.body["event"] for event in log.all()] == [f"e{number}" for number in range(50, 150)]
    usual = {"time": "then", "graph": "g", "failed": 3}
    lines.append({**usual, "kind": "k", "ids": ["a"], "error": "x" * 1000, "exception": "Traceback"})
    news()
    news()
    [event] = log.after("a1-100")[0]
    assert (event.kind, event.graphs) == ("log", ("g",))
    assert event.body == {**usual, "kind_": "k", "ids": "['a']", "error": "x" * REASON_CHARS + "…"}
    lines.append({"time": "then", "level": "warning", "event": "pool worker died", "graphs": ["a", "b"]})
    news()
    assert log.all()[-1].graphs == ("a", "b")
