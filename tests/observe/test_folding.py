import logging
import math
import tracemalloc
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypes.observe import folding
from pypes.observe.folding import MAX_RECEIPTS, Folding, kind_of
from pypes.observe.hiding import Hiding
from pypes.observe.log_line import Line, line_of


def record(event: str = "documents failed", logger: str = "pypes.ingest", level: int = 30, **given: Any) -> logging.LogRecord:
    made = logging.LogRecord(logger, level, "/x.py", 1, event, (), given.pop("exc_info", None))
    vars(made).update(given)
    return made


class Log:
    """Folded lines under a clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.lines: list[Line] = []
        self.folding = Folding(lambda record: line_of(record, "p", Hiding()), self.lines.append, lambda: self.now)

    def log(self, event: str = "documents failed", **given: Any) -> None:
        made = record(event, **given)
        made.created = self.now
        self.folding.take(made)

    def wait(self, seconds: float) -> None:
        """Let time pass, and flush whenever it is asked for, as a loop does."""
        until = self.now + seconds
        while self.folding.due <= until:
            self.now = max(self.now, self.folding.due)
            self.folding.flush()
        self.now = until

    def told(self) -> list[tuple[str, int]]:
        found = [(line["event"], line.get("count", 0)) for line in self.lines]
        self.lines.clear()
        return found


def test_the_first_comes_at_once_and_the_rest_with_a_count() -> None:
    log = Log()
    for number in range(1000):
        log.log(receipt=f"r{number}", graph="g", filter="f", code="c", error=f"ValueError: {number}")
    [first] = log.lines
    assert first["receipt"] == "r0"
    assert "count" not in first
    log.wait(0.9)
    assert len(log.lines) == 1
    log.wait(0.1)
    [_, folded] = log.lines
    assert (folded["count"], folded["graph"], folded["filter"], folded["error"]) == (999, "g", "f", "ValueError: 1")
    assert folded["receipt"] == [f"r{number}" for number in range(1, MAX_RECEIPTS + 1)]
    assert folded["since"] == folded["time"] == first["time"]
    assert log.folding.due == math.inf


def test_the_interval_grows_while_they_come_and_begins_anew_after_a_pause() -> None:
    log = Log()
    for _ in range(300):
        log.log()
        log.wait(1.0)
    # one a second: a line for each, at once
    assert log.told() == [("documents failed", 0)] * 300
    gaps, last = [], log.now
    for _ in range(3000):
        log.log()
        before = len(log.lines)
        log.wait(0.1)
        if len(log.lines) > before:
            gaps.append(round(log.now - last, 1))
            last = log.now
    assert [round(gap) for gap in gaps] == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    log.wait(60.0)
    log.wait(60.0)
    log.told()
    log.log()
    log.log()
    assert log.told() == [("documents failed", 0)]
    log.wait(1.0)
    assert log.told() == [("documents failed", 1)]


def test_one_that_was_alone_is_told_as_it_was() -> None:
    log = Log()
    log.log(receipt="a")
    log.now += 0.5
    log.log(receipt="b", failed=3)
    log.wait(10)
    [_, second] = log.lines
    assert (second["receipt"], second["failed"], second["count"]) == ("b", 3, 1)
    assert "since" not in second
    assert second["time"].endswith(":40.500Z")


def test_the_end_tells_of_all() -> None:
    log = Log()
    for event in "abab":
        log.log(event)
    log.folding.close()
    assert log.told() == [("a", 0), ("b", 0), ("a", 1), ("b", 1)]
    assert log.folding.due == math.inf


def test_a_process_that_was_forked_tells_nothing_of_its_parent() -> None:
    log = Log()
    log.log()
    log.log()
    log.folding.drop()
    log.folding.close()
    assert log.told() == [("documents failed", 0)]


def test_kinds_beyond_the_bound_come_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "MAX_KINDS", 2)
    log = Log()
    for event in "abccab":
        log.log(event)
    assert log.told() == [("a", 0), ("b", 0), ("c", 0), ("c", 0)]
    log.wait(5)
    assert log.told() == [("a", 1), ("b", 1)]
    log.log("c")
    log.log("c")
    assert log.told() == [("c", 0)]


def test_long_messages_are_told_apart_and_not_kept() -> None:
    log = Log()
    tracemalloc.start()
    for number in (0, 1, 2, 0, 1, 2):
        text = f"{number}{'x' * 100_000}"
        assert kind_of(record(text)) != kind_of(record(text[:-1]))
        log.log(text, logger="pypes.component.X", graph=text, error=f"{text}: odd")
        log.lines.clear()
        log.wait(2)
        del text
    kept_bytes = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(log.folding._kinds) == 3
    assert kept_bytes < 100_000


def raised(error: Exception) -> Any:
    try:
        raise error
    except Exception as caught:
        return (type(caught), caught, caught.__traceback__)


def raised_elsewhere(error: Exception) -> Any:
    try:
        raise error
    except Exception as caught:
        return (type(caught), caught, caught.__traceback__)


COMPONENT = "pypes.component.Shout"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"logger": "a"}, {"logger": "b"}),
        ({"level": 30}, {"level": 40}),
        ({"event": "a"}, {"event": "b"}),
        ({"graph": "a"}, {"graph": "b"}),
        ({"graph": "a"}, {}),
        ({"filter": "a"}, {"filter": "b"}),
        ({"code": "a"}, {"code": "b"}),
        ({"instance": 1}, {"instance": 2}),
        ({"reason": "a"}, {"reason": "b"}),
        ({"seconds": 1.5}, {"seconds": 2.5}),
        ({"error": "ValueError: a"}, {"error": "KeyError: a"}),
        ({"logger": COMPONENT, "filter": "a"}, {"logger": COMPONENT, "filter": "b"}),
        ({"exc_info": raised(ValueError())}, {"exc_info": raised(KeyError())}),
        ({"exc_info": raised(ValueError())}, {"exc_info": raised_elsewhere(ValueError())}),
        ({"exception": "Traceback\nValueError: a"}, {"exception": "Traceback\nKeyError: a"}),
    ],
)
def test_lines_that_differ_are_of_several_kinds(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert kind_of(record(**one)) == kind_of(record(**one))
    assert kind_of(record(**one)) != kind_of(record(**other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"receipt": "a", "index": 1, "id": "x", "file": "f"}, {"receipt": ["b", "c"], "index": 2}),
        ({"error": "ValueError: a"}, {"error": "ValueError: b"}),
        ({"error": "free text"}, {"error": "other text"}),
        ({"exc_info": raised(ValueError(1))}, {"exc_info": raised(ValueError(2))}),
        ({"logger": COMPONENT, "ms": 1.25}, {"logger": COMPONENT, "ms": 2.5}),
    ],
)
def test_lines_that_differ_in_their_document_are_alike(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert kind_of(record(**one)) == kind_of(record(**other))


def test_each_step_that_somebody_may_wait_for_is_told_at_once() -> None:
    log = Log()
    for level, logger in ((20, "pypes.supervisor"), (20, COMPONENT), (20, "httpx"), (30, "pypes.supervisor")):
        for _ in range(3):
            log.log("reloaded", level=level, logger=logger)
        assert len(log.told()) == (3 if (level, logger) == (20, "pypes.supervisor") else 1)


def test_a_value_that_has_no_text_makes_a_line_like_no_other() -> None:
    class Mute:
        def __str__(self) -> str:
            raise LookupError

    assert kind_of(record(mute=Mute())) is None
    log = Log()
    log.log(code=Mute())
    log.log(code=Mute())
    assert len(log.told()) == 2


#: What happens in a log: a line of some kind, or time that passes.
STEPS = st.lists(st.one_of(st.tuples(st.sampled_from("abcd"), st.integers(0, 3)), st.floats(0, 200)), max_size=200)


@given(STEPS)
def test_nothing_is_lost_nothing_is_told_twice_and_nothing_that_differs_is_hidden(steps: list[Any]) -> None:
    log = Log()
    logged: Counter[tuple[str, int]] = Counter()
    known: set[tuple[str, int]] = set()
    for step in steps:
        if isinstance(step, float):
            log.wait(step)
            # nobody waits for longer than the longest interval
            assert log.folding.due == math.inf or log.folding.due - log.now <= folding.MOST_S
            continue
        event, shard = step
        before = len(log.lines)
        log.log(event, shard=shard)
        logged[step] += 1
        if step not in known:
            known.add(step)
            assert log.lines[before:][-1]["event"] == event
            assert log.lines[-1]["shard"] == shard
    log.folding.close()
    told: Counter[tuple[str, int]] = Counter()
    for line in log.lines:
        told[line["event"], line["shard"]] += line.get("count", 1)
    assert told == logged


@given(STEPS)
def test_a_kind_has_few_lines_however_many_there_are(steps: list[Any]) -> None:
    log = Log()
    began = log.now
    for step in steps:
        if isinstance(step, float):
            log.wait(step)
        else:
            for _ in range(20):
                log.log(step[0])
    log.folding.close()
    told = Counter(line["event"] for line in log.lines)
    # a first one, and one for each interval, none of which is shorter than a second; and one for each at the end
    assert all(count <= 2 * (log.now - began) + 3 for count in told.values())
