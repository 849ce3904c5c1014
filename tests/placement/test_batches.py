"""Items that are run together, and what becomes of them when their pool worker ends."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pypes.placement.pool_process import NO_BOUNDS, Bounds
from pypes.placement.process_executor import processes
from tests.placement.jobs import Together
from tests.placement.pooling import PATIENCE_S, begun, job, shown

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="progress is read as on Linux")


def does(folder: Path, what: Sequence[str], bounds: Bounds = NO_BOUNDS) -> list[Any]:
    executor = processes(job(folder, Together), 1, bounds)
    executor.setup()
    try:
        items = [(each, number) for number, each in enumerate(what)]
        return shown(executor.submit(items, together=True).result(PATIENCE_S))
    finally:
        executor.close()


def test_the_item_that_kills_twice_has_failed_and_no_other(tmp_path: Path) -> None:
    found = does(tmp_path, ["good", "good", "exit", "good"])
    assert found == [0, 1, ("pool.killed", "exited with status 3"), 3]
    # as a batch, then each by itself: the one that killed is tried once more
    assert begun(tmp_path) == [0, 1, 2, 0, 1, 2, 3]


def test_a_batch_that_is_killed_once_is_done_all_the_same(tmp_path: Path) -> None:
    assert does(tmp_path, ["good", "killed_once", "good"]) == [0, 1, 2]
    assert begun(tmp_path) == [0, 1, 0, 1, 2]


def test_a_batch_that_is_late_is_run_one_by_one(tmp_path: Path) -> None:
    found = does(tmp_path, ["good", "hang", "good"], Bounds(timeout_s=0.5))
    assert found == [0, ("pool.timeout", "not done after 0.5 s"), 2]


def test_a_batch_that_takes_all_memory_is_run_one_by_one(tmp_path: Path) -> None:
    found = does(tmp_path, ["good", "exhaust", "good"], Bounds(max_bytes=1 << 30))
    assert found == [0, ("pool.killed", "ran out of memory: it may have 1024 MiB"), 2]


def test_an_item_that_cannot_travel_is_in_no_batch(tmp_path: Path) -> None:
    executor = processes(job(tmp_path, Together), 1)
    executor.setup()
    try:
        items: list[Any] = [("good", 0), (sys._getframe(), 1), ("good", 2)]
        found = executor.submit(items, together=True).result(PATIENCE_S)
    finally:
        executor.close()
    assert [outcome.value for outcome in found] == [0, None, 2]
    assert getattr(found[1].error, "code", "") == "pool.value"


def test_a_result_that_cannot_travel_costs_no_other(tmp_path: Path) -> None:
    [first, odd, last] = does(tmp_path, ["good", "odd", "good"])
    assert (first, odd[0], last) == (0, "pool.value", 2)
