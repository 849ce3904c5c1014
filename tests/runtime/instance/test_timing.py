"""Times of packets at filters: shared by what was worked on together, and read from the file."""

from __future__ import annotations

from pathlib import Path

from pypes.component import Operator
from pypes.core.limits import Limits
from pypes.errors import Retry
from pypes.observe.metrics import PACKET_SECONDS
from pypes.observe.tallies import Tallies
from pypes.packet import Packet
from pypes.runtime.graphs.times import times_of
from pypes.runtime.instance.timing import Timing
from pypes.runtime.scheduler import Feed, Scheduler
from tests.runtime.clock import Clock
from tests.runtime.scheduler.destinations import NoRest
from tests.runtime.scheduler.graphs import Keep, Pass, packets, running

CHAIN = [("a.out", "b.in"), ("b.out", "end.in")]


class Slow(Operator):
    """Takes as long as the field ``s`` says, on a clock that only it moves."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.tries = 0

    def process(self, packet: Packet) -> Packet:
        self.clock.now += packet.get("s", 0.0)
        if packet.get("retry") and self.tries < 2:
            self.tries += 1
            raise Retry(5.0)
        return packet


def timed(scheduler: Scheduler, path: Path) -> Timing:
    Tallies.create(str(path))
    return Timing(Tallies(str(path)), "g", [*scheduler.drivers])


def feed(*seconds: float, **more: bool) -> Feed:
    made = [Packet({"s": one, **more}) for one in seconds]
    return Feed(iter([("a", made, range(len(made)))]), len(made))


def found(path: Path, filter: str = "b") -> tuple[int, float, dict[float, int]]:
    """Packets, their seconds, and by upper bound how many are in the bucket."""
    told = times_of("g", ["a", "b", "end"], [str(path), "gone"])
    bounds = [*told["bounds_s"], float("inf")]
    one = told["filters"][filter]
    assert len(one["counts"]) == len(bounds)
    return one["packets"], one["seconds"], {bound: n for bound, n in zip(bounds, one["counts"], strict=True) if n}


def test_packets_are_counted_by_their_time(tmp_path: Path) -> None:
    clock, path = Clock(), tmp_path / "i-1.times"
    with running({"a": Pass(), "b": Slow(clock), "end": Keep()}, CHAIN, clock=clock) as scheduler:
        timing = timed(scheduler, path)
        timing.write()
        assert times_of("g", ["b"], [str(path)])["filters"] == {}
        for seconds in (0.5, 0.5, 3.0, 1000.0):
            scheduler.submit(feed(seconds))
            scheduler.drain()
            timing.write()
        assert found(path) == (4, 1004.0, {0.5: 2, 4.0: 1, float("inf"): 1})
        # those of one run share its time
        scheduler.submit(feed(0.25, 0.75, 0.5, 0.5))
        scheduler.drain()
        timing.write()
        assert found(path) == (8, 1006.0, {0.5: 6, 4.0: 1, float("inf"): 1})
        # filters that took no time by this clock are left out, and so is another graph
        assert [*times_of("g", ["a", "b", "end"], [str(path)])["filters"]] == ["b"]
        assert times_of("h", ["b"], [str(path)])["filters"] == times_of("g", ["a"], [str(path)])["filters"] == {}


def test_the_time_of_later_tries_is_not_lost(tmp_path: Path) -> None:
    clock, path = Clock(), tmp_path / "i-1.times"
    with running({"a": Pass(), "b": Slow(clock), "end": Keep()}, CHAIN, clock=clock, rng=NoRest()) as scheduler:
        timing = timed(scheduler, path)
        scheduler.submit(feed(0.5, retry=True))
        for _ in range(3):
            scheduler.run()
            timing.write()
            clock.now += 5.0
        scheduler.drain()
        timing.write()
        # it was taken once; what no packet has come of since belongs to the next one
        assert found(path)[:2] == (1, 0.5)
        scheduler.submit(feed(0.25))
        scheduler.drain()
        timing.write()
        assert found(path) == (2, 1.75, {0.5: 1, 2.0: 1})


def test_calls_beside_the_graph_count_and_packets_in_flight_do_not(tmp_path: Path) -> None:
    class Asks(Operator):
        concurrency = 4

        def process(self, packet: Packet) -> Packet:
            return self.offload(lambda: packet)

    path = tmp_path / "i-1.times"
    with running({"a": Pass(), "b": Asks(), "end": Keep()}, CHAIN, limits=Limits()) as scheduler:
        timing = timed(scheduler, path)
        scheduler.submit(Feed(iter([("a", packets(20), range(20))]), 20))
        while not scheduler.is_idle:
            scheduler.run()
            timing.write()
        scheduler.drain()
        timing.write()
        total, seconds, counts = found(path)
        meter = next(driver.meter for driver in scheduler.drivers if driver.name == "b")
        assert (total, sum(counts.values())) == (20, 20)
        assert seconds <= round(meter.seconds + meter.waiting_s, 6)
    assert PACKET_SECONDS.buckets == tuple(sorted(PACKET_SECONDS.buckets))
