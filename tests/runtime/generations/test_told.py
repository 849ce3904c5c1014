"""What an observer is told of filters that rest in several instances."""

from __future__ import annotations

from typing import Any

from pypes.observe import Observer
from pypes.runtime.generations.told import RestingNews, resting


class Notes(Observer):
    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []

    def filter_rested(self, graph: str, filter: str, reason: str) -> None:
        self.calls.append(("rests", graph, filter, reason))

    def filter_went_on(self, graph: str, filter: str) -> None:
        self.calls.append(("goes on", graph, filter))


def test_the_first_that_rests_and_the_last_that_goes_on_are_told() -> None:
    instances: list[dict[str, tuple[float, str]]] = [{}, {}]

    def of(graph: str) -> list[dict[str, Any]]:
        return resting(instances)

    notes = Notes()
    news = RestingNews(notes, of)

    def told(graph: str = "g") -> list[tuple[str, ...]]:
        notes.calls.clear()
        news.look(graph)
        return list(notes.calls)

    assert told() == []
    instances[0] = {"out": (2.0, "refused")}
    assert told() == [("rests", "g", "out", "refused")]
    instances[1] = {"out": (1.0, "timed out"), "other": (1.0, "gone")}
    assert told() == [("rests", "g", "other", "gone")]
    instances[0] = {}
    assert told() == []
    instances[1] = {}
    news.look_at(["h"])
    news.look_at(["g", "h"])
    assert notes.calls == [("goes on", "g", "other"), ("goes on", "g", "out")]
    assert told() == []
