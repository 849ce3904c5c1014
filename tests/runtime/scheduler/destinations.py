"""Publishers whose destination goes down, and a clock that a test moves."""

from __future__ import annotations

import random

from pypes.component import Publisher
from pypes.packet import Packet
from pypes.runtime.scheduler import Feed, Scheduler
from tests.runtime.clock import Clock
from tests.runtime.scheduler.graphs import packets


class NoRest(random.Random):
    """No waiting: the least that may be drawn."""

    def uniform(self, a: float, b: float) -> float:
        return 0.0


class Highest(random.Random):
    """No jitter: the most that may be drawn."""

    def uniform(self, a: float, b: float) -> float:
        return b


class Destination(Publisher):
    """Takes numbers while it is up; subclasses say where it notices that it is not."""

    def __init__(self) -> None:
        super().__init__()
        self.error: Exception | None = None
        #: The number over which it goes down.
        self.fails_at: int | None = None
        self.open: list[int] = []
        self.numbers: list[int] = []
        self.tries = 0

    def reach(self) -> None:
        self.tries += 1
        if self.error is not None:
            raise self.error

    def commit(self) -> None:
        taken, self.open = self.open, []
        self.numbers += taken


class InProcess(Destination):
    def process(self, packet: Packet) -> None:
        if packet.get("n") == self.fails_at:
            self.error = ConnectionRefusedError("down")
        self.reach()
        self.open.append(packet.get("n"))


class InBatch(Destination):
    def process_batch(self, packets: list[Packet]) -> None:
        self.reach()
        self.open += [packet.get("n") for packet in packets]


class InCommit(Destination):
    def process(self, packet: Packet) -> None:
        self.open.append(packet.get("n"))

    def commit(self) -> None:
        taken, self.open = self.open, []
        self.reach()
        self.numbers += taken


class InLoop(Destination):
    def run(self) -> None:
        while True:
            for packet in self.receive_all("in"):
                if packet.get("n") == self.fails_at:
                    self.error = ConnectionRefusedError("down")
                self.reach()
                self.open.append(packet.get("n"))
            self.yield_ctrl()


class AfterLoop(Destination):
    def run(self) -> None:
        while True:
            taken = [packet.get("n") for packet in self.receive_all("in")]
            self.reach()
            self.open += taken
            self.yield_ctrl()


class InLoopCommit(InCommit):
    def run(self) -> None:
        while True:
            while (packet := self.receive("in")) is not None:
                self.open.append(packet.get("n"))
            self.yield_ctrl()


class BeforeLoop(Destination):
    def run(self) -> None:
        while True:
            self.reach()
            for packet in self.receive_all("in"):
                self.open.append(packet.get("n"))
            self.yield_ctrl()


class InTwoPorts(InCommit):
    def __init__(self) -> None:
        super().__init__()
        self.add_input("in2")

    def run(self) -> None:
        while True:
            for port in ("in", "in2"):
                while (packet := self.receive(port)) is not None:
                    self.open.append(packet.get("n"))
            self.yield_ctrl()


EACH = [InProcess, InBatch, InCommit, InLoop, AfterLoop, InLoopCommit, BeforeLoop]


def submit(scheduler: Scheduler, count: int, start: int = 0, wave: int = 256) -> None:
    parts = [range(low, min(low + wave, count)) for low in range(0, count, wave)]
    batches = (("start", packets(len(part), start + part[0]), part) for part in parts)
    scheduler.submit(Feed(batches, count))


def settle(scheduler: Scheduler) -> None:
    """Run until nothing moves and no call runs in a thread."""
    calls = scheduler.core.calls
    while not scheduler.is_idle or calls.running:
        scheduler.run()
        if scheduler.is_idle and calls.running:
            calls.wait(None)


def pass_time(scheduler: Scheduler, clock: Clock) -> float:
    """Run until nothing moves, then let the time come at which something may; returns how long that took."""
    settle(scheduler)
    due = scheduler.core.timers.next_s
    assert due is not None
    waited = due - clock.now
    clock.now = due
    scheduler.run()
    if scheduler.core.calls.running:
        settle(scheduler)
    return waited
