"""Loops that send on what they took, nearly what they took, and something else."""

from __future__ import annotations

from typing import Any

import pytest

from pypes.component import Component
from pypes.packet import Packet
from pypes.runtime.local import Pipeline
from pypes.runtime.scheduler import Epoch, Feed
from tests.runtime.scheduler.graphs import packets, running

#: Stands for a packet that the component makes.
NEW = 9


class Passing(Component):
    """Sends on what it takes, as it is."""

    def run(self) -> None:
        while True:
            for packet in self.receive_all("in"):
                self.send("out", packet)
            self.yield_ctrl()


class Takes(Component):
    """Fails over packets that were made."""

    __metatype__ = "PUBLISHER"

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[int] = []

    def run(self) -> None:
        while True:
            for packet in self.receive_all("in"):
                self.taken.append(packet.get("n"))
                if packet.get("n") == NEW:
                    raise ValueError("new")
            self.yield_ctrl()


def test_a_component_with_a_send_of_its_own_calls_that_of_the_base() -> None:
    sent: list[str] = []

    class Noting(Passing):
        def send(self, port: str, data: Any) -> bool:
            sent.append(port)
            return super().send(port, data)

    with Pipeline(Noting, Passing) as pipeline:
        assert [packet.get("n") for packet in pipeline.run(packets(3))] == [0, 1, 2]
    assert sent == ["out"] * 3


def test_a_loop_that_has_left_its_graph_sends_nowhere() -> None:
    component = Passing()
    with running({"pass": component, "end": Takes()}, [("pass.out", "end.in")]) as scheduler:
        scheduler.submit(Feed(iter([("pass", packets(1), range(1))]), 1))
        scheduler.drain()
    with pytest.raises(Exception, match="ports work only while a graph runs the component"):
        component.send("out", Packet())


@pytest.mark.parametrize(
    ("sent", "made_of"),
    [
        ([0, 1, NEW], [(0, 1, 2)]),  # in place of the last that was expected
        ([0, NEW, 2], [(0, 1, 2)]),
        ([0, 1, 2, NEW], [(0, 1, 2)]),  # one more than was expected
        ([0, 1, 2, 0, 1, 2, NEW], [(0, 1, 2)]),
        ([1, 0, 2, 0], []),
        ([2], []),
    ],
)
def test_of_what_packets_are_made_where_not_all_go_on_as_they_came(sent: list[int], made_of: list[tuple[int, ...]]) -> None:
    class Shuffle(Component):
        """Takes everything before it sends anything, so that what it makes is made of all."""

        def run(self) -> None:
            while True:
                taken = list(self.receive_all("in"))
                for n in sent if taken else ():
                    self.send("out", taken[n] if n < NEW else Packet({"n": NEW}))
                self.yield_ctrl()

    last, done = Takes(), list[Epoch]()
    with running({"shuffle": Shuffle(), "last": last}, [("shuffle.out", "last.in")], on_done=done.append) as scheduler:
        scheduler.submit(Feed(iter([("shuffle", packets(3), range(3))]), 3))
        scheduler.drain()
    assert last.taken == sent
    assert [failure.documents for failure in done[0].dead_letters] == made_of
