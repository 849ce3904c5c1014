"""Joins: memory and work stay bounded, whatever the branches make of a document."""

from __future__ import annotations

import pytest

from pypes.component import Operator
from pypes.core.limits import Limits
from pypes.packet import Packet
from pypes.runtime.scheduler import FAILED, Epoch, Feed
from tests.runtime.scheduler.graphs import running
from tests.runtime.scheduler.joins import (
    DIAMOND,
    Keep,
    Merge,
    Turns,
    diamond,
    feed,
)


class Rows(Operator):
    """Makes as many packets of each as it says."""

    def process(self, packet: Packet) -> None:
        for row in range(packet.get("rows", 1)):
            made = packet.clone()
            made.set("row", row)
            self.send("out", made)


def test_a_filter_that_is_parked_keeps_back_only_the_document_it_works_on() -> None:
    nodes = diamond(Merge())
    with running(nodes, DIAMOND, limits=Limits(wire_packets=8)) as scheduler:
        feed(scheduler, 64, wave=16)
        scheduler.drain()
        assert scheduler.jams.count == 0
    assert nodes["end"].column("n") == list(range(64))


def test_a_publisher_behind_a_join_commits_as_seldom_as_behind_a_chain() -> None:
    ticks = iter(range(1_000_000))  # every slice of time is over at once
    nodes = diamond(Merge())
    with running(nodes, DIAMOND, clock=lambda: float(next(ticks))) as scheduler:
        feed(scheduler, 2048)
        scheduler.drain()
    assert nodes["end"].commits == 8


@pytest.mark.parametrize("at_once", [False, True])
def test_memory_follows_one_document_where_a_branch_makes_many_packets(at_once: bool) -> None:
    nodes = diamond(Turns(), Rows())
    most = 0

    class Watching(Keep):
        def process(self, packet: Packet) -> None:
            nonlocal most
            most = max(most, *(wire.packets for wire in scheduler.wires))
            super().process(packet)

    nodes["end"] = Watching()
    done: list[Epoch] = []
    with running(nodes, DIAMOND, on_done=done.append, limits=Limits(wire_packets=8)) as scheduler:
        given = [Packet({"n": n, "rows": 40}) for n in range(30)]
        parts = [range(30)] if at_once else [range(n, n + 1) for n in range(30)]
        scheduler.submit(Feed((("split", given[part.start : part.stop], part) for part in parts), 30))
        scheduler.drain()
    assert nodes["end"].column("turn") == [{"in": [n] * 40, "in2": [n]} for n in range(30)]
    assert done[0].dead_letters == []
    assert most <= 2 * 40 + 30


def test_only_a_document_that_is_too_large_to_wait_fails() -> None:
    nodes = diamond(Turns(), Rows())
    done: list[Epoch] = []
    with running(nodes, DIAMOND, on_done=done.append, limits=Limits(wire_packets=4, wire_bytes=4096)) as scheduler:
        given = [Packet({"n": n, "rows": 500 if n == 3 else 2}) for n in range(8)]
        scheduler.submit(Feed(iter([("split", given, range(8))]), 8))
        scheduler.drain()
        assert {wire.capacity for wire in scheduler.wires} == {4}
    (epoch,) = done
    assert {f.code for f in epoch.dead_letters} == {"wire.overflow"}
    assert {f.documents for f in epoch.dead_letters} == {(3,)}
    assert [n for n, flag in enumerate(epoch.flags) if flag & FAILED] == [3]
    others = [turn for turn in nodes["end"].column("turn") if turn["in2"] != [3]]
    assert others == [{"in": [n, n], "in2": [n]} for n in range(8) if n != 3]
