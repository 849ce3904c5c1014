"""Publishers that can never take some packets: these become dead letters in time, and all others are published once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from pypes.component import Publisher
from pypes.core.limits import Limits
from pypes.packet import Packet
from pypes.runtime.scheduler import Epoch, Scheduler
from tests.runtime.clock import Clock
from tests.runtime.scheduler.destinations import Highest, pass_time, settle, submit
from tests.runtime.scheduler.graphs import Keep, Pass, running

WIRES = [("start.out", "end.in")]
LIMIT_S = 1000.0


class Choosy(Publisher):
    """Takes all that it has open at once or nothing, and no number of ``refused``; none at all while it is away."""

    def __init__(self) -> None:
        super().__init__()
        self.refused: set[int] = set()
        self.is_away: Callable[[], bool] = lambda: False
        self.open: list[int] = []
        self.numbers: list[int] = []
        self.tries = 0

    def reach(self, *numbers: int) -> None:
        self.tries += 1
        if self.is_away():
            raise ConnectionRefusedError("nobody")
        if not self.refused.isdisjoint(numbers):
            raise ConnectionResetError(f"reset over {min(self.refused.intersection(numbers))}")

    def commit(self) -> None:
        taken, self.open = self.open, []
        self.reach(*taken)
        self.numbers += taken


class InCommit(Choosy):
    def process(self, packet: Packet) -> None:
        self.open.append(packet.get("n"))


class InProcess(Choosy):
    def process(self, packet: Packet) -> None:
        self.reach(packet.get("n"))
        self.open.append(packet.get("n"))

    def commit(self) -> None:
        taken, self.open = self.open, []
        self.numbers += taken


class InBatch(Choosy):
    def process_batch(self, packets: list[Packet]) -> None:
        self.open = [packet.get("n") for packet in packets]


class Gathers(InBatch):
    batch_size = 3
    batch_s = 2.0


class InLoop(InProcess):
    def run(self) -> None:
        while True:
            for packet in self.receive_all("in"):
                self.process(packet)
            self.yield_ctrl()


class AfterLoop(InProcess):
    def run(self) -> None:
        while True:
            taken = [packet.get("n") for packet in self.receive_all("in")]
            self.reach(*taken)
            self.open += taken
            self.yield_ctrl()


class InLoopCommit(InCommit):
    def run(self) -> None:
        while True:
            while (packet := self.receive("in")) is not None:
                self.process(packet)
            self.yield_ctrl()


EACH: list[type[Choosy]] = [InCommit, InProcess, InBatch, Gathers, InLoop, AfterLoop, InLoopCommit]


class Run:
    """A graph with a publisher that is choosy, a clock, and what has become of the documents."""

    def __init__(self, end: Choosy, **more: Any) -> None:
        self.clock = Clock()
        self.end = end
        self.done: list[Epoch] = []
        self.number = 0
        limits = Limits(unreachable_s=LIMIT_S, **more.pop("limits", {}))
        nodes = {"start": Pass(), "end": end, **more.pop("nodes", {})}
        options: dict[str, Any] = {"clock": self.clock, "rng": Highest(), "on_done": self.done.append, "limits": limits, **more}
        self._graph = running(nodes, [*WIRES, *options.pop("wires", ())], **options)
        self.scheduler: Scheduler

    def __enter__(self) -> Run:
        self.scheduler = self._graph.__enter__()
        self.began = self.clock.now
        return self

    def __exit__(self, *error: Any) -> None:
        self._graph.__exit__(*error)

    def put(self, *counts: int) -> None:
        for count in counts:
            submit(self.scheduler, count, start=self.number)
            self.number += count
        settle(self.scheduler)

    @property
    def age_s(self) -> float:
        return self.clock.now - self.began

    def until(self, age_s: float) -> None:
        """Let time pass as long as something is left to be done."""
        while self.scheduler.in_flight and self.age_s < age_s:
            if self.scheduler.core.timers.next_s is not None:
                pass_time(self.scheduler, self.clock)
            self.scheduler.flush_holds()
            settle(self.scheduler)

    @property
    def letters(self) -> list[int]:
        """The numbers in the dead letters."""
        letters = [letter for epoch in self.done for letter in epoch.dead_letters]
        assert {letter.code for letter in letters} <= {"retry.exhausted"}
        assert all(letter.attempts > 1 for letter in letters)
        return sorted(int(letter.packet.decode().split('"n":')[1].split("}")[0]) for letter in letters)


@pytest.mark.parametrize("kind", EACH)
@pytest.mark.parametrize("counts", [(9,), (1,) * 9, (2, 3, 4)])
@pytest.mark.parametrize("refused", [{0}, {4}, {8}, {2, 6}, {3, 4, 5}, {0, 1, 2, 8}])
def test_those_that_cannot_be_taken_fail_after_the_limit_and_the_others_are_published_once(
    kind: type[Choosy], counts: tuple[int, ...], refused: set[int]
) -> None:
    end = kind()
    end.refused = refused
    with Run(end) as run:
        run.put(*counts)
        run.until(LIMIT_S - 60)
        assert run.letters == []
        run.until(1.4 * LIMIT_S)
        assert (run.letters, run.scheduler.in_flight) == (sorted(refused), 0)
        run.put(1)
        run.until(1.5 * LIMIT_S)
        assert end.numbers == [n for n in range(10) if n not in refused]
        assert (run.scheduler.watch.breakers, end.tries < 150) == ({}, True)


@pytest.mark.parametrize("kind", EACH)
@pytest.mark.parametrize("counts", [(40,), (1,) * 40])
def test_an_outage_longer_than_the_limit_costs_the_first_packet_each_time(kind: type[Choosy], counts: tuple[int, ...]) -> None:
    end = kind()
    end.is_away = lambda: run.age_s < 3.9 * LIMIT_S
    with Run(end) as run:
        run.put(*counts)
        run.until(LIMIT_S - 60)
        assert run.letters == []
        run.until(5 * LIMIT_S)
        assert end.tries < 250
        assert (run.letters, run.scheduler.in_flight) == (run.letters[:2], 0)
        assert sorted(end.numbers) == list(range(len(run.letters), 40))


@pytest.mark.parametrize("kind", EACH)
@pytest.mark.parametrize("after_s", range(0, 300, 20))
def test_a_destination_that_comes_back_while_packets_are_tried_one_by_one_costs_nothing(kind: type[Choosy], after_s: int) -> None:
    end = kind()
    end.is_away = lambda: run.age_s < LIMIT_S + after_s
    with Run(end) as run:
        run.put(3, 2, 1, 14)
        run.until(2 * LIMIT_S)
        assert run.letters == []
        assert sorted(end.numbers) == list(range(20))


@pytest.mark.parametrize("kind", EACH)
@pytest.mark.parametrize("until_s", [200, 2000, 20000])
def test_an_outage_while_packets_are_tried_one_by_one_costs_few(kind: type[Choosy], until_s: int) -> None:
    end = kind()
    end.refused = {2}
    end.is_away = lambda: run.age_s < until_s + LIMIT_S and len(end.numbers) >= 10
    with Run(end) as run:
        run.put(60)
        run.until(until_s + 2 * LIMIT_S)
        assert 2 in run.letters
        assert len(run.letters) <= 2 + until_s // LIMIT_S
        assert sorted(end.numbers) == [n for n in range(60) if n not in run.letters]


@pytest.mark.parametrize("kind", EACH)
def test_others_go_on_together_while_one_is_tried_again(kind: type[Choosy]) -> None:
    end = kind()
    end.refused = {0}
    with Run(end) as run:
        run.put(1, 4)
        run.until(LIMIT_S - 60)
        while not run.letters and run.age_s < 2 * LIMIT_S:
            run.put(5)
            pass_time(run.scheduler, run.clock)
        assert run.age_s < LIMIT_S + 250
        run.until(2 * LIMIT_S)
        assert run.letters == [0]
        assert sorted(end.numbers) == list(range(1, run.number))


@pytest.mark.parametrize("kind", EACH)
def test_a_wired_error_port_takes_what_is_given_up(kind: type[Choosy]) -> None:
    end, bad = kind(), Keep()
    end.refused = {1, 5}
    with Run(end, nodes={"bad": bad}, wires=[("end.error", "bad.in")]) as run:
        run.put(4, 4)
        run.until(2 * LIMIT_S)
        assert (run.letters, sorted(bad.numbers), end.numbers) == ([], [1, 5], [0, 2, 3, 4, 6, 7])


class AtJoin(InCommit):
    inputs = {"in": "Left", "in2": "Right"}


class BatchAtJoin(InBatch):
    inputs = {"in": "Left", "in2": "Right"}


class LoopAtJoin(Choosy):
    def __init__(self) -> None:
        super().__init__()
        self.add_input("in2", "Right")

    def run(self) -> None:
        while True:
            for port in ("in", "in2"):
                while (packet := self.receive(port)) is not None:
                    self.open.append(packet.get("n"))
            self.yield_ctrl()


@pytest.mark.parametrize("kind", [AtJoin, BatchAtJoin, LoopAtJoin])
@pytest.mark.parametrize("counts", [(6,), (1,) * 6])
@pytest.mark.parametrize("refused", [{0}, {5}, {2, 4}])
def test_at_a_join(kind: type[Choosy], counts: tuple[int, ...], refused: set[int]) -> None:
    end = kind()
    end.refused = refused
    with Run(end, nodes={"other": Pass()}, wires=[("start.out", "other.in"), ("other.out", "end.in2")]) as run:
        run.put(*counts)
        run.until(LIMIT_S - 60)
        assert run.letters == []
        run.until(10 * LIMIT_S)
        assert run.scheduler.in_flight == 0
        assert run.letters == sorted([*refused, *refused])
        assert Counter(end.numbers) == Counter({n: 2 for n in range(6) if n not in refused})
