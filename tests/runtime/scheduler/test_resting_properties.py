"""Chains whose filters meet outages, and documents that always look like one: nothing is lost, doubled, or out of order."""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest

from pypes.component import Component
from pypes.core.limits import Limits
from pypes.runtime.scheduler import Epoch, Feed
from tests.runtime.clock import Clock
from tests.runtime.scheduler.destinations import settle
from tests.runtime.scheduler.graphs import Keep, packets, running
from tests.runtime.scheduler.test_resting import (
    AtOnce,
    Gathers,
    Holds,
    InBatch,
    InLoop,
    InProcess,
    SendsFirst,
    Service,
    TakesAll,
    come_to_an_end,
)

KINDS: tuple[Any, ...] = (InProcess, AtOnce, InBatch, Gathers, InLoop, TakesAll, SendsFirst)


class Away(Service):
    """A service that is away until a time of the clock."""

    def __init__(self, clock: Clock, until: float) -> None:
        super().__init__()
        self.clock = clock
        self.until = until

    def ask(self, number: int) -> None:
        if self.clock.now < self.until:
            raise ConnectionRefusedError("nobody")
        super().ask(number)


@pytest.mark.parametrize("seed", range(24))
def test_outages_and_documents_that_look_like_them_cost_what_they_must(seed: int) -> None:
    rng, clock, done, end = random.Random(seed), Clock(), list[Epoch](), Keep()
    count = rng.randint(1, 40)
    refused = {n for n in range(count) if rng.random() < 0.2} if seed % 2 else set()
    services = [Away(clock, clock.now + rng.choice([0, 1, 13, 13 if refused else 300])) for _ in range(rng.randint(1, 3))]
    services[-1].refused = refused
    # what one sends that holds packets is made of several documents: it comes last
    kinds = [*rng.choices(KINDS, k=len(services) - 1), rng.choice((*KINDS, Holds))]
    nodes: dict[str, Component] = {f"c{i}": kind(service) for i, (kind, service) in enumerate(zip(kinds, services, strict=True))}
    names = [*nodes, "end"]
    wires = [(f"{a}.out", f"{b}.in") for a, b in pairwise(names)]
    limits = Limits(wire_packets=rng.choice([4, 256]), unreachable_s=60.0 if refused else 2000.0)
    options: dict[str, Any] = {"clock": clock, "rng": random.Random(seed), "on_done": done.append, "limits": limits}
    spans: list[range] = []
    with running({**nodes, "end": end}, wires, **options) as scheduler:
        while not spans or spans[-1].stop < count:
            low = spans[-1].stop if spans else 0
            spans.append(range(low, min(count, low + rng.randint(1, 15))))
            documents = len(spans[-1])
            scheduler.submit(Feed(iter([("c0", packets(documents, low), range(documents))]), documents, [low]))
            if rng.random() < 0.5:
                settle(scheduler)
        come_to_an_end(scheduler, clock)
    letters = Counter(epoch.feed.deliveries[0] + n for epoch in done for letter in epoch.dead_letters for n in letter.documents)
    assert Counter(end.numbers) + letters == Counter(range(count))
    assert letters.keys() == refused
    if not refused:
        assert end.numbers == sorted(end.numbers)
