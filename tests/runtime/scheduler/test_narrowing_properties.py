"""Publishers that meet outages, and documents that they can never take: nothing is lost, doubled, or waits for ever."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from pypes.core.identity import Completed
from tests.runtime.scheduler.destinations import settle
from tests.runtime.scheduler.graphs import Pass, packets
from tests.runtime.scheduler.test_narrowing import EACH, LIMIT_S, AtJoin, BatchAtJoin, Choosy, LoopAtJoin, Run
from tests.runtime.scheduler.told import follow, known, nothing_is_left

JOINS: list[type[Choosy]] = [AtJoin, BatchAtJoin, LoopAtJoin]


def hearing(kind: type[Choosy], refused: set[int]) -> Any:
    """A publisher that is told of documents, but cannot be of some; ``told`` are those that it has committed."""

    class Hears(kind):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            super().__init__()
            self.told: list[int] = []
            self.told_open: list[int] = []

        def complete(self, documents: list[Completed]) -> None:
            ids = [int(each.document.id) for each in documents]
            if self.is_away() or not refused.isdisjoint(ids):
                self.open.clear()
                self.told_open.clear()
                raise ConnectionResetError("reset")
            self.told_open += ids

        def commit(self) -> None:
            told, self.told_open = self.told_open, []
            super().commit()
            self.told += told

    return Hears()


@pytest.mark.parametrize("seed", range(32))
def test_every_packet_has_one_fate_whatever_comes_between(seed: int) -> None:
    rng = random.Random(seed)
    kind = rng.choice([*EACH, *JOINS])
    count, share = rng.randint(1, 50), rng.choice([0, 0.1, 0.5])
    untold = {n for n in range(count) if rng.random() < 0.1}
    end: Any = hearing(kind, untold) if seed % 2 else kind()
    end.refused = {n for n in range(count) if rng.random() < share}
    spans = [(start, start + rng.choice([1, 30, 600, 2500])) for start in rng.sample(range(3000), 3)]
    end.is_away = lambda: any(start <= run.age_s < stop for start, stop in spans)
    more = {"nodes": {"other": Pass()}, "wires": [("start.out", "other.in"), ("other.out", "end.in2")]} if kind in JOINS else {}
    wanted = Counter[int]()
    run: Run
    with Run(end, rng=random.Random(seed), limits={"wire_packets": rng.choice([2, 4, 256])}, **more) as run:
        while run.number < count:
            first, documents, parts = run.number, min(count - run.number, rng.randint(1, 20)), rng.choice([1, 1, 3])
            run.number += documents
            values = [value for n in range(documents) for _ in range(parts) for value in packets(1, first + n)]
            lineages = [n for n in range(documents) for _ in range(parts)]
            names = dict(enumerate(known(*range(first, run.number)).values()))
            run.scheduler.submit(follow([("start", values, lineages)], documents, [first], identities=names))
            wanted.update(first + n for n in lineages * (2 if more else 1))
            settle(run.scheduler)
            run.until(run.age_s + rng.choice([0, 1, 500]))
        run.until(300 * LIMIT_S)
        assert run.scheduler.in_flight == 0
        letters = [(epoch.feed.deliveries[0], letter) for epoch in run.done for letter in epoch.dead_letters]
        assert {letter.code for _, letter in letters} <= {"retry.exhausted"}
        # those of documents of which it could not be told have no packet
        lost = Counter(first + letter.documents[0] for first, letter in letters if letter.packet)
        assert Counter(end.numbers) + lost == wanted
        assert end.refused <= lost.keys()
        # what an outage costs: at most one for each time that it lasts too long
        assert len(lost.keys() - end.refused - untold) <= sum(stop - start for start, stop in spans) // LIMIT_S + 1
        if seed % 2:
            nothing_is_left(run.scheduler)
            assert max(Counter(end.told).values(), default=1) == 1
            assert untold.isdisjoint(end.told)
