"""Filters that can never be told of some documents: these are given up in time, and all others are told of once."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from pypes.component import Operator, Transformer
from pypes.core.identity import Completed, Identity
from pypes.core.limits import Limits
from pypes.packet import Packet
from pypes.runtime.scheduler import FAILED, Epoch
from pypes.runtime.scheduler.patience import Patience
from tests.runtime.clock import Clock
from tests.runtime.scheduler.destinations import Highest, pass_time, settle
from tests.runtime.scheduler.graphs import packets, running
from tests.runtime.scheduler.told import EVERY, Index, follow, known, nothing_is_left

LIMIT_S = 1000.0


class Passes(Operator):
    """Drops odd numbers."""

    def process(self, packet: Packet) -> Packet | None:
        return packet if packet.get("n") % 2 == 0 else None


def choosy(kind: type[Index], refused: set[str], is_away: Callable[[], bool] = lambda: False) -> Index:
    """Cannot be told of some documents, nor of any while its service is away; takes what it is given at once or not at all."""

    class Choosy(kind):  # type: ignore[misc, valid-type]
        def complete(self, documents: list[Completed]) -> int | None:
            if is_away() or any(each.document.id in refused for each in documents):
                raise ConnectionResetError("reset")
            return super().complete(documents)  # type: ignore[no-any-return]

    return Choosy()


class Run:
    def __init__(self, index: Any) -> None:
        self.clock = Clock()
        self.index = index
        self.done: list[Epoch] = []
        options: dict[str, Any] = {"clock": self.clock, "rng": Highest(), "on_done": self.done.append}
        nodes = {"some": Passes(), "index": index}
        self._graph = running(nodes, [("some.out", "index.in")], limits=Limits(unreachable_s=LIMIT_S), **options)

    def __enter__(self) -> Run:
        self.scheduler = self._graph.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._graph.__exit__(*error)

    def put(self, count: int) -> None:
        self.scheduler.submit(follow([("some", packets(count), range(count))], count))
        self.scheduler.flush_holds()
        settle(self.scheduler)

    @property
    def age_s(self) -> float:
        return self.clock.now - 100.0

    def until(self, age_s: float) -> None:
        while self.scheduler.in_flight and self.age_s < age_s:
            pass_time(self.scheduler, self.clock)
            self.scheduler.flush_holds()
            settle(self.scheduler)

    @property
    def failed(self) -> list[int]:
        return [n for epoch in self.done for n, flag in enumerate(epoch.flags) if flag & FAILED]

    @property
    def codes(self) -> set[str]:
        return {letter.code for epoch in self.done for letter in epoch.dead_letters}


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("refused", [{0}, {1}, {3}, {7}, {2, 5}, {0, 1, 6, 7}])
def test_those_that_it_cannot_be_told_of_fail_after_the_limit(kind: type[Index], refused: set[int]) -> None:
    index = choosy(kind, {str(n) for n in refused})
    with Run(index) as run:
        run.put(8)
        run.until(LIMIT_S - 60)
        assert not run.done
        run.until(2.5 * LIMIT_S)
        assert (run.failed, run.codes, run.scheduler.in_flight) == (sorted(refused), {"retry.exhausted"}, 0)
        nothing_is_left(run.scheduler)
    assert sorted(index.told) == [(str(n), True) for n in range(8) if n not in refused]
    put = [event[1] for event in index.events if event[0] == "put"]
    assert {0, 2, 4, 6} <= set(put)


@pytest.mark.parametrize("kind", EVERY)
def test_an_outage_longer_than_the_limit_costs_one_document_each_time(kind: type[Index]) -> None:
    index = choosy(kind, set(), lambda: run.age_s < 2.9 * LIMIT_S)
    with Run(index) as run:
        run.put(20)
        run.until(5 * LIMIT_S)
        assert len(run.failed) <= 3
        assert run.scheduler.in_flight == 0
    # of those with a packet it is told in the end, but not that they are whole
    told = [(id, is_whole) for id, is_whole in index.told if int(id) not in run.failed]
    assert sorted(told) == sorted((str(n), True) for n in range(20) if n not in run.failed)
    assert [each for each in index.told if each[1]] == told


def test_one_that_cannot_be_told_that_a_document_is_done_everywhere_goes_on_without() -> None:
    told: list[str] = []

    class Concludes(Transformer):
        def process(self, packet: Packet) -> Packet:
            return packet

        def conclude(self, documents: list[Completed]) -> None:
            ids = [each.document.id for each in documents]
            if "2" in ids:
                raise ConnectionResetError("reset")
            told.extend(ids)

    with Run(Concludes()) as run:
        run.put(6)
        run.until(LIMIT_S - 60)
        assert not run.done
        run.until(2 * LIMIT_S)
        assert (len(run.done), run.failed) == (1, [])
    assert sorted(told) == ["0", "1", "3", "4", "5"]


def test_a_newer_version_is_not_told_of_before_the_one_that_cannot_be() -> None:
    events: list[tuple[str, int]] = []

    class Versions(Index):
        def complete(self, documents: list[Completed]) -> int | None:
            if run.age_s < LIMIT_S + 40 and any(each.document.id == "a" for each in documents):
                raise ConnectionResetError("reset")
            events.extend((each.document.id, each.version.index) for each in documents)
            return None

    with Run(Versions()) as run:
        names = {n: each._replace(document=Identity("", "aab"[n])) for n, each in known(0, 1, 2).items()}
        run.scheduler.submit(follow([("some", packets(1, 1) * 3, range(3))], 3, identities=names))
        run.until(2 * LIMIT_S)
        assert run.failed == []
    assert sorted(events) == [("a", 0), ("a", 1), ("b", 2)]
    assert events.index(("a", 0)) < events.index(("a", 1))


def test_no_more_are_given_up_than_others_got_through() -> None:
    clock = Clock()
    core: Any = SimpleNamespace(clock=clock, limits=Limits(unreachable_s=LIMIT_S))
    patience = Patience(core)
    assert not patience.is_over("a")
    clock.now += LIMIT_S
    assert patience.is_over("a")
    options: dict[str, Any] = {"most_attempts": 2, "patience_s": 10.0}
    assert patience.given_up(["b", "c", "d"], 2, **options) == {}
    clock.now += 10.0
    assert patience.is_over("b")
    assert patience.given_up(["b", "c", "d"], 0, **options).keys() == {"b", "c"}
    patience.forget("b")
    patience.forget("c")
    assert not patience.is_over("d")
