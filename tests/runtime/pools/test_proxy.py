"""Filters in pools, in graphs that run outside of a node: what components find there, and what becomes of their packets."""

from __future__ import annotations

import json
import logging
import os
import threading
from typing import Any

import pytest

from pypes.errors import ComponentError
from pypes.graph.cases import Post
from pypes.runtime.trials.report import Report
from pypes.runtime.trials.trial import Trial
from tests.runtime.pools.orders import SPECS, graph

PROCESSES = {"processes": 2, "stride": 4}
POOLS = [PROCESSES, {"threads": 3}, "one-that-is-not-known-here"]


def ran(pool: Any, documents: list[dict[str, Any]], component: str = "Work", **params: Any) -> Report:
    body = b"\n".join(json.dumps(document).encode() for document in documents)
    with Trial(graph(pool, component, **params), SPECS) as trial:
        return trial.run([Post("application/x-ndjson", body)])


def fields(report: Report) -> list[dict[str, Any]]:
    return [packet["fields"] for packet in report.arrived["keep"]]


@pytest.mark.parametrize("pool", POOLS)
def test_components_find_what_they_find_in_an_instance(pool: Any) -> None:
    report = ran(pool, [{"n": n, "more": 2 if n == 3 else 0} for n in range(10)])
    found = [packet for packet in fields(report) if "n" in packet]
    assert [packet["n"] for packet in found] == list(range(10))
    assert {tuple(packet["connected"][0]) for packet in found} == {("in", "out", "more")}
    assert {packet["sent"] for packet in found} == {False}
    assert {packet["offloaded"] for packet in found} == {7}
    assert [packet["k"] for packet in fields(report) if "k" in packet] == [0, 1]
    is_here = {packet["pid"] for packet in found} == {os.getpid()}
    assert is_here == (pool == {"threads": 3})
    assert threading.get_ident() not in {packet["thread"] for packet in found}
    assert (report.published, report.dropped, report.failures) == (10, 0, [])


@pytest.mark.parametrize("pool", POOLS[:2])
def test_fates_are_as_in_an_instance(pool: Any) -> None:
    dos = ["", "reject", "drop", "away", "coroutine", "receive"]
    documents = [{"n": n, "do": do} for n, do in enumerate(dos)]
    report, alone = ran(pool, documents), ran(None, documents)
    assert (report.published, report.dropped) == (alone.published, alone.dropped) == (1, 1)
    # those that are tried again fail later where others are out meanwhile
    told = [sorted((f["code"], f["error"]) for f in each.failures) for each in (report, alone)]
    assert told[0] == told[1]
    assert {f["filter"] for f in report.failures} == {"work"}


@pytest.mark.parametrize("pool", POOLS[:2])
def test_what_goes_on_has_the_names_that_it_has_in_an_instance(pool: Any) -> None:
    """A packet that goes on beside others that were made of it, or in two ways, is told from them."""

    def names(pool: Any) -> list[tuple[Any, ...]]:
        documents: list[dict[str, Any]] = [
            {"id": "a", "more": 2},
            {"id": "b", "do": "twice"},
            {"id": "c", "do": "drop"},
            {"n": 1, "more": 1},
        ]
        found = ran(pool, documents).arrived["keep"]
        keys = ("id", "document", "part", "made")
        return sorted((str(packet["fields"].get("k")), *(str(packet["meta"].get(key)) for key in keys)) for packet in found)

    assert names(pool) == names(None)


@pytest.mark.parametrize("pool", POOLS[:2])
def test_a_set_up_that_fails_names_the_filter_and_hides_secrets(pool: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORK_SECRET", "correct horse battery")
    with pytest.raises(ComponentError) as caught:
        ran(pool, [{}], do="raise", secret="${WORK_SECRET}")
    assert caught.value.code == "graph.setup_failed"
    assert caught.value.where == "work"
    assert "RuntimeError: no set-up with" in caught.value.message
    assert "battery" not in str(caught.value)


def test_lines_that_are_logged_there_are_logged_here(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        ran(PROCESSES, [{"n": 5}])
    [line] = [record for record in caplog.records if record.name.startswith("pypes.component")]
    assert line.getMessage() == "at work on 5"
    assert (line.__dict__["graph"], line.__dict__["filter"]) == ("g", "work")


def test_a_line_that_cannot_be_formatted_costs_nothing(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORK_SECRET", "battery-staple")
    with caplog.at_level(logging.WARNING):
        report = ran({"processes": 1}, [{"n": 5}], "SpeaksBadly", secret="${WORK_SECRET}")
    assert (report.published, report.failures) == (1, [])
    at_set_up, line = (record for record in caplog.records if record.name in ("lib", "pypes.component.SpeaksBadly"))
    fault = "(cannot be formatted: TypeError: %d format: a real number is required, not str)"
    assert at_set_up.getMessage() == f"set up %d {fault}"
    assert line.getMessage() == "a %s %s (cannot be formatted: TypeError: not enough arguments for format string)"
    given: Any = vars(line)
    # its own process knows what is secret
    assert (given["path"], given["mute"]) == ("${WORK_SECRET}", "<Mute, and LookupError in its text>")


def test_components_are_torn_down_at_the_end(tmp_path: Any) -> None:
    mark = tmp_path / "mark"
    found = fields(ran(PROCESSES, [{"n": 5}], do=str(mark)))
    assert mark.read_text() == str(found[0]["pid"])
