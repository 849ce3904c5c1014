"""A pool worker that a document has taken over costs that document: its user believes nothing, and maps nothing of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pypes.core.limits import MIB
from pypes.placement.keeper import LocalKeeper
from pypes.placement.pool_process import Bounds
from pypes.placement.process_executor import ProcessExecutor
from pypes.placement.words import UserWords
from tests.placement import jobs
from tests.placement.pooling import PATIENCE_S, begun, job, shown

LONG = Bounds(timeout_s=5.0)
Start = Callable[..., ProcessExecutor]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    running: list[ProcessExecutor] = []

    def started(bounds: Bounds = LONG) -> ProcessExecutor:
        speech = UserWords()
        executor = ProcessExecutor(LocalKeeper(job(tmp_path, jobs.TakenOver), 1, bounds, speech=speech), speech, 10 * MIB)
        executor.setup()
        running.append(executor)
        return executor

    yield started
    for executor in running:
        executor.close()


def test_plain_values_pass_and_others_do_not(start: Start) -> None:
    outcomes = start().submit([("good", 0), ("odd", 1), ("large", 2), ("big", 3)]).result(PATIENCE_S)
    assert outcomes[0].value == 0
    assert shown(outcomes)[1] == (
        "pool.value",
        "the result cannot be sent from its process: lock cannot travel to another process",
    )
    assert len(outcomes[2].value) == 60_000
    assert len(outcomes[3].value) == 3_000_000


def test_what_was_done_before_it_died_is_not_done_again(start: Start, tmp_path: Path) -> None:
    outcomes = start().submit([("good", 0), ("good", 1), ("abort", 2), ("good", 3)]).result(PATIENCE_S)
    assert shown(outcomes) == [0, 1, ("pool.killed", "killed by SIGABRT"), 3]
    assert begun(tmp_path) == [0, 1, 2, 2, 3]


def test_the_first_item_of_a_pool_worker_is_tried_once(start: Start, tmp_path: Path) -> None:
    outcomes = start().submit([("abort", 0), ("good", 1)]).result(PATIENCE_S)
    assert shown(outcomes) == [("pool.killed", "killed by SIGABRT"), 1]
    assert begun(tmp_path) == [0, 1]


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("nonsense", "a frame of kind 255 with 18446744073709551615 bytes"),
        ("too_much", "a frame of kind 6 with 1073741824 bytes"),
        ("no_parcel", "a parcel without its head"),
        ("half_an_entry", "a parcel with half an entry"),
        ("short", "a parcel that is shorter than it says"),
        ("other_stride", "an answer to stride 4711, which is not out"),
        ("other_item", "an answer to item 4711, which is not out"),
        ("in_memory", "a frame without its descriptor"),
        ("pickled", "invalid"),
        ("no_line", "a line that is none"),
    ],
)
def test_an_invalid_answer_costs_the_item(start: Start, what: str, reason: str) -> None:
    outcomes = start().submit([("good", 0), (what, 1), ("good", 2)]).result(PATIENCE_S)
    assert [outcome.value for outcome in outcomes] == [0, None, 2]
    assert str(outcomes[1].error).startswith("the process sent an invalid answer (")
    assert reason.lower() in str(outcomes[1].error).lower()


def test_false_progress_hides_no_hanging_item(start: Start) -> None:
    outcomes = start(Bounds(timeout_s=0.5)).submit([("good", 0), ("busy", 1), ("good", 2)]).result(PATIENCE_S)
    assert shown(outcomes) == [0, ("pool.timeout", "not done after 0.5 s"), 2]


def test_a_false_item_in_hand_is_not_believed(start: Start) -> None:
    outcomes = start().submit([("good", 0), ("blame", 1), ("good", 2)]).result(PATIENCE_S)
    assert shown(outcomes) == [0, ("pool.killed", "killed by SIGABRT"), 2]


def test_descriptors_are_not_taken(start: Start) -> None:
    executor = start()
    assert executor.submit([("good", 0)]).result(PATIENCE_S)[0].value == 0
    before = len([*Path("/dev/fd").iterdir()])
    assert executor.submit([("pass_many", 1)]).result(PATIENCE_S)[0].value == 1
    assert len([*Path("/dev/fd").iterdir()]) <= before
