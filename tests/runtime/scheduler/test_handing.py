"""Chains of loops, which hand chunks to one another: whatever they do with them, nothing is lost, doubled or out of order."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypes.component import Component
from pypes.core.limits import Limits
from pypes.packet import Packet
from pypes.runtime.scheduler import FAILED, PUBLISHED, Epoch, Feed
from tests.runtime.scheduler.graphs import Keep, packets, running


class Chain(Component):
    """Sends on what it takes, as it is."""

    def before(self) -> None:
        """Called in each turn before it asks for packets."""

    def run(self) -> None:
        while True:
            self.before()
            for packet in self.receive_all("in"):
                self.send("out", packet)
            self.yield_ctrl()


class Once(Chain):
    """Does something else first in every second of its turns."""

    def __init__(self, what: Callable[[Component], None]) -> None:
        super().__init__()
        self.what = what
        self.turns = 0

    def before(self) -> None:
        self.turns += 1
        if self.turns % 2:
            self.what(self)


class Moody(Component):
    """Does one thing or another in its turns with the packets it is given."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.random = random.Random(seed)
        self.add_input("unwired")

    def run(self) -> None:
        while True:
            mood = self.random.choice(["all", "all", "all", "receive", "first", "none", "other", "early", "late", "away"])
            if mood == "none":
                self.yield_ctrl()
            if mood == "other":
                assert list(self.receive_all("unwired")) == []
            if mood == "early":
                raise ValueError("early")
            if mood == "away":
                self.offload(int)
            if mood == "receive":
                while (packet := self.receive("in")) is not None:
                    self.send("out", packet)
            for packet in self.receive_all("in"):
                if mood == "late" and self.random.randrange(4) == 0:
                    raise ValueError("late")
                self.send("out", packet)
                if mood == "first":
                    break
            self.yield_ctrl()


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=4), st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_whatever_loops_do_every_document_ends_once(seeds: list[int], sizes: list[int]) -> None:
    now = 0.0
    keep, done = Keep(), list[Epoch]()
    nodes: dict[str, Component] = {f"m{i}": Moody(seed) for i, seed in enumerate(seeds)}
    nodes["end"] = keep
    names = list(nodes)
    wires = [(f"{a}.out", f"{b}.in") for a, b in pairwise(names)]
    with running(nodes, wires, on_done=done.append, clock=lambda: now, limits=Limits(wire_packets=4)) as scheduler:
        low = 0
        for size in sizes:
            scheduler.submit(Feed(iter([("m0", packets(size, low), range(size))]), size, [low]))
            low += size
        for _ in range(1000):
            scheduler.run()
            if not scheduler.epochs:
                break
            if scheduler.core.calls.running:
                scheduler.core.calls.wait(1.0)
            now += 1.0
    assert len(done) == len(sizes)
    published = [epoch.feed.deliveries[0] + at for epoch in done for at, flag in enumerate(epoch.flags) if flag & PUBLISHED]
    failed = [epoch.feed.deliveries[0] + at for epoch in done for at, flag in enumerate(epoch.flags) if flag & FAILED]
    letters = [epoch.feed.deliveries[0] + each for epoch in done for f in epoch.dead_letters for each in f.documents]
    assert sorted(keep.numbers) == sorted(published)
    assert sorted(letters) == sorted(failed)
    assert sorted(published + failed) == list(range(sum(sizes)))


def refuse(component: Component) -> None:
    raise ValueError("not now")


def wait(component: Component) -> None:
    component.offload(int)


def look_elsewhere(component: Component) -> None:
    assert component.receive("other") is None
    assert list(component.receive_all("other")) == []


def pass_over(component: Component) -> None:
    component.yield_ctrl()


@pytest.mark.parametrize("what", [refuse, wait, look_elsewhere, pass_over])
def test_a_loop_that_does_something_else_than_to_ask_for_what_it_was_handed(what: Callable[[Component], None]) -> None:
    keep, done = Keep(), list[Epoch]()
    odd = Once(what)
    odd.add_input("other")
    nodes: dict[str, Any] = {"a": Chain(), "odd": odd, "b": Chain(), "end": keep}
    with running(nodes, [("a.out", "odd.in"), ("odd.out", "b.in"), ("b.out", "end.in")], on_done=done.append) as scheduler:
        for n in range(0, 20, 2):
            scheduler.submit(Feed(iter([("a", packets(2, n), range(2))]), 2))
            scheduler.drain()
    assert keep.numbers == list(range(20))
    assert [epoch.dead_letters for epoch in done] == [[]] * 10


def test_what_a_loop_sends_before_it_asks_for_packets_is_of_no_document() -> None:
    """As where packets come by the wire."""

    class Takes(Component):
        __metatype__ = "PUBLISHER"

        def run(self) -> None:
            while True:
                for packet in self.receive_all("in"):
                    if packet.get("n") == 9:
                        raise ValueError("nine")
                self.yield_ctrl()

    def send_early(component: Component) -> None:
        component.send("out", Packet({"n": 9}))

    done = list[Epoch]()
    nodes: dict[str, Any] = {"a": Chain(), "odd": Once(send_early), "end": Takes()}
    with running(nodes, [("a.out", "odd.in"), ("odd.out", "end.in")], on_done=done.append) as scheduler:
        for n in range(4):
            scheduler.submit(Feed(iter([("a", packets(1, n), range(1))]), 1))
            scheduler.drain()
    assert [failure.documents for epoch in done for failure in epoch.dead_letters] == [(), ()]
    assert [epoch.flags[0] & PUBLISHED for epoch in done] == [PUBLISHED] * 4


@pytest.fixture
def _with_ctrl_c() -> Iterator[None]:
    """A shell starts what runs in the background with the signal ignored; then nobody interrupts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_with_ctrl_c")
@pytest.mark.parametrize("takes", [False, True])
def test_an_interrupt_in_a_loop_that_was_handed_a_chunk(takes: bool) -> None:
    """What it had not asked for yet waits for it; what it had is in doubt."""
    keep, done = Keep(), list[Epoch]()

    class Interrupted(Chain):
        turns = 0

        def run(self) -> None:
            while True:
                self.turns += 1
                found = list(self.receive_all("in")) if takes else []
                if self.turns == 3:
                    raise KeyboardInterrupt
                for packet in [*found, *self.receive_all("in")]:
                    self.send("out", packet)
                self.yield_ctrl()

    nodes: dict[str, Any] = {"a": Chain(), "odd": Interrupted(), "b": Chain(), "end": keep}
    with running(nodes, [("a.out", "odd.in"), ("odd.out", "b.in"), ("b.out", "end.in")], on_done=done.append) as scheduler:
        for n in range(5):
            scheduler.submit(Feed(iter([("a", packets(1, n), range(1))]), 1))
            if n == 2:
                with pytest.raises(KeyboardInterrupt):
                    scheduler.drain()
            scheduler.drain()
    assert keep.numbers == ([0, 1, 3, 4] if takes else [0, 1, 2, 3, 4])
    assert [len(epoch.dead_letters) for epoch in done] == [0, 0, int(takes), 0, 0]
