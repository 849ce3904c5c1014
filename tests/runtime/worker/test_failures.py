"""Dead letters in groups, once a second."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pypes.core.watched_tasks import WatchedTasks
from pypes.errors import Unavailable
from pypes.ingest.outcome import DeadLetter
from pypes.runtime.contracts.events import FailedGroup
from pypes.runtime.worker import failures
from pypes.runtime.worker.failures import GROUPS_AT_ONCE, MOST_GROUPS, Failures
from tests.ingest.harness import until


def letter(id: str, code: str = "x", failed: int = 1, graph: str = "g") -> DeadLetter:
    return DeadLetter(id, (0,), graph, 1, "f", "F", code, f"error of {id}", "", 1, b"", 0.0, failures=failed)


class Calls:
    def __init__(self) -> None:
        self.heard: list[list[FailedGroup]] = []
        self.has_gone = False

    async def failed(self, groups: list[FailedGroup]) -> None:
        if self.has_gone:
            raise Unavailable("gone")
        self.heard.append(groups)


def played(monkeypatch: pytest.MonkeyPatch, play: Any) -> Calls:
    monkeypatch.setattr(failures, "EVERY_S", 0.0)
    calls, failed = Calls(), list[str]()

    async def main() -> None:
        tasks = WatchedTasks(failed.append)
        counting: Any = calls
        await play(Failures(counting, tasks), calls)
        await tasks.close()

    asyncio.run(main())
    assert failed == []
    return calls


async def heard(calls: Calls, count: int) -> None:
    await until(lambda: len(calls.heard) >= count)


def test_letters_that_are_alike_are_one_group(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(counted: Failures, calls: Calls) -> None:
        counted.add([letter("a"), letter("b")])
        counted.add([letter("c", failed=7), letter("d", "y")])
        await heard(calls, 1)
        counted.add([letter("e")])
        await heard(calls, 2)

    calls = played(monkeypatch, play)
    assert calls.heard == [
        [FailedGroup("g", "f", "x", 9, "a", "error of a"), FailedGroup("g", "f", "y", 1, "d", "error of d")],
        [FailedGroup("g", "f", "x", 1, "e", "error of e")],
    ]


def test_groups_are_bounded_and_none_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(counted: Failures, calls: Calls) -> None:
        counted.add([letter(f"{n}", f"c{n}") for n in range(MOST_GROUPS + 50)])
        await until(lambda: sum(group.count for groups in calls.heard for group in groups) == MOST_GROUPS + 50)

    calls = played(monkeypatch, play)
    assert max(map(len, calls.heard)) == GROUPS_AT_ONCE
    assert [(group.code, group.count) for groups in calls.heard for group in groups][-1] == ("", 50)


def test_without_a_supervisor_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(counted: Failures, calls: Calls) -> None:
        calls.has_gone = True
        counted.add([letter("a")])
        for _ in range(5):
            await asyncio.sleep(0)
        calls.has_gone = False
        counted.add([letter("b")])
        await heard(calls, 1)

    assert [group.letter for groups in played(monkeypatch, play).heard for group in groups] == ["b"]
