"""Tallying: what a graph has counted is in the tally file after each run, and stays there when its process is killed."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from pypes.component import Operator
from pypes.core.limits import Limits
from pypes.errors import Retry
from pypes.observe.tallies import Counted, Tallies, TallyFile
from pypes.packet import Packet
from pypes.runtime.instance.tallying import Tallying
from pypes.runtime.scheduler import Feed
from tests.runtime.clock import Clock
from tests.runtime.instance.harness import Stage, staged
from tests.runtime.scheduler.destinations import Highest, InProcess, NoRest
from tests.runtime.scheduler.graphs import Keep, Pass, packets, running

CHAIN = [("a.out", "b.in"), ("b.out", "end.in")]


def values(counted: Counted) -> dict[tuple[str, ...], float]:
    """Values by metric, without its prefix, and the labels after the graph."""
    found = counted.read()
    assert all(series.width == 1 for series in counted.series)
    return {
        (series.metric.removeprefix("pypes_").removesuffix("_total"), *series.labels[1:]): value
        for series, value in zip(counted.series, found, strict=True)
    }


def test_counts_of_a_graph_are_written() -> None:
    clock = Clock()

    class Fails(Operator):
        def process(self, packet: Packet) -> Packet | None:
            clock.now += 1.0
            if packet.get("n") == 0:
                raise ValueError("zero")
            return self.offload(lambda: packet)

    tallies = Tallies()
    with running({"a": Pass(), "b": Fails(), "end": Keep()}, CHAIN, clock=clock, wall_clock=lambda: 7.0) as scheduler:
        tallying = Tallying(tallies, Tallies(), scheduler)
        before = values(tallies)
        assert before[("filter_packets_in", "a")] == before[("wire_packets", "a.out-b.in")] == 0
        scheduler.submit(Feed(iter([("a", packets(3), range(3))]), 3))
        scheduler.drain()
        assert values(tallies) == before
        tallying.write()
        found = values(tallies)
    assert (
        found.items()
        >= {
            ("filter_packets_in", "a"): 3,
            ("filter_packets_out", "a"): 3,
            ("filter_packets_in", "b"): 3,
            ("filter_packets_out", "b"): 2,
            ("filter_failures", "b"): 1,
            ("filter_seconds", "b"): 3.0,
            ("filter_last_error_time_seconds", "b"): 7.0,
            ("filter_packets_in", "end"): 2,
            ("filter_packets_out", "end"): 2,
            ("wire_packets", "a.out-b.in"): 3,
            ("wire_packets", "b.out-end.in"): 2,
        }.items()
    )
    assert found[("publisher_batches", "end")] >= 1
    # what did not happen has no series
    assert not [name for name in found if name[0] in ("filter_retries", "filter_parked_seconds", "filter_resting")]


def test_what_feeds_put_behind_others_did_not_pass_the_wire() -> None:
    tallies = Tallies()
    with running({"a": Pass(), "b": Pass(), "end": Keep()}, CHAIN) as scheduler:
        tallying = Tallying(tallies, Tallies(), scheduler)
        scheduler.submit(Feed(iter([("b", packets(2), range(2))]), 2))
        scheduler.drain()
        tallying.write()
    found = values(tallies)
    assert (found[("filter_packets_out", "a")], found[("wire_packets", "a.out-b.in")]) == (0, 0)
    assert (found[("filter_packets_in", "b")], found[("wire_packets", "b.out-end.in")]) == (2, 2)


def test_a_rest_is_shown_while_it_lasts() -> None:
    clock, end, tallies = Clock(), InProcess(), Tallies()
    end.error = ConnectionRefusedError("down")
    limits = Limits(wire_packets=2, wave_packets=2, wire_bytes=1)
    with running({"a": Pass(), "end": end}, [("a.out", "end.in")], clock=clock, limits=limits, rng=Highest()) as scheduler:
        tallying = Tallying(tallies, Tallies(), scheduler)
        scheduler.submit(Feed(iter([("a", packets(2, n), range(n, n + 2)) for n in (0, 2, 4)]), 6))
        scheduler.run()
        clock.now += 0.25
        tallying.write()
        found = values(tallies)
        assert found[("filter_resting", "end")] == 1
        assert found[("filter_last_error_time_seconds", "end")] > 0
        parked = [("filter_parked_seconds", "end"), ("filter_parked_seconds", "a")]
        assert [found[name] for name in parked] == [0.25, 0.25]
        clock.now += 0.25
        end.error = None
        scheduler.drain()
        tallying.write()
        found = values(tallies)
        assert found[("filter_resting", "end")] == 0
        assert [found[name] for name in parked] == [0.5, 0.5]
        assert found[("wire_parked_seconds", "a.out-end.in")] == 0.5


def test_packets_that_wait_after_a_run_are_shown_with_the_bound_of_their_wire() -> None:
    clock, end, tallies = Clock(), InProcess(), Tallies()
    end.error = ConnectionRefusedError("down")
    wire = "a.out-end.in"
    limits = Limits(wire_packets=8)
    with running({"a": Pass(), "end": end}, [("a.out", "end.in")], clock=clock, limits=limits, rng=Highest()) as scheduler:
        tallying = Tallying(tallies, Tallies(), scheduler)
        scheduler.submit(Feed(iter([("a", packets(3), range(3))]), 3))
        tallying.write()
        assert ("wire_depth", wire) not in values(tallies)
        scheduler.run()
        tallying.write()
        assert (values(tallies)[("wire_depth", wire)], values(tallies)[("wire_bound", wire)]) == (3, 8)
        clock.now += 60.0
        end.error = None
        scheduler.drain()
        tallying.write()
        assert (values(tallies)[("wire_depth", wire)], values(tallies)[("wire_bound", wire)]) == (0, 0)
        end.error = ConnectionRefusedError("down")
        scheduler.submit(Feed(iter([("a", packets(2), range(2))]), 2))
        scheduler.run()
        tallying.write()
        assert values(tallies)[("wire_depth", wire)] == 2
    tallying.end()
    assert values(tallies)[("wire_depth", wire)] == 0


def test_a_graph_that_is_gone_does_not_rest() -> None:
    clock, end, tallies = Clock(), InProcess(), Tallies()
    end.error = ConnectionRefusedError("down")
    with running({"a": Pass(), "end": end}, [("a.out", "end.in")], clock=clock) as scheduler:
        tallying = Tallying(tallies, Tallies(), scheduler)
        scheduler.submit(Feed(iter([("a", packets(1), range(1))]), 1))
        scheduler.run()
        tallying.write()
        assert values(tallies)[("filter_resting", "end")] == 1
    tallying.end()
    assert values(tallies)[("filter_resting", "end")] == 0


def test_retries_and_waiting_have_series_once_there_are_some() -> None:
    clock, tallies = Clock(), Tallies()

    class Later(Operator):
        tries = 0

        def process(self, packet: Packet) -> Packet:
            self.tries += 1
            if self.tries < 3:
                raise Retry(5.0)
            return packet

    with running({"a": Later(), "end": Keep()}, [("a.out", "end.in")], clock=clock, rng=NoRest()) as scheduler:
        tallying = Tallying(tallies, Tallies(), scheduler)
        scheduler.submit(Feed(iter([("a", packets(1), range(1))]), 1))
        for _ in range(2):
            scheduler.run()
            clock.now += 5.0
        scheduler.drain()
        tallying.write()
    found = values(tallies)
    assert (found[("filter_retries", "a")], found[("filter_parked_seconds", "a")]) == (2, 10.0)
    assert (found[("filter_packets_in", "a")], found[("filter_packets_out", "a")]) == (1, 1)


@pytest.mark.parametrize("size", [1, 60])
def test_what_is_written_after_each_run_is_what_the_graph_has_counted(size: int) -> None:
    tallies = Tallies()
    with running({"a": Pass(), "b": Pass(), "end": Keep()}, CHAIN, clock=time.monotonic) as scheduler:
        tallying = Tallying(tallies, Tallies(), scheduler)
        for low in range(0, 300, size):
            scheduler.submit(Feed(iter([("a", packets(size, low), range(size))]), size))
            scheduler.run()
            tallying.write()
            found, totals = values(tallies), scheduler.totals.so_far
            for name, total in totals.items():
                assert found[("filter_packets_in", name)] == total.taken
                assert found[("filter_packets_out", name)] == total.sent
                assert found[("filter_seconds", name)] == total.work_s


@staged()
async def test_nothing_that_is_acknowledged_is_missing_after_a_kill(stage: Stage) -> None:
    process = stage.start()
    for n in range(20):
        await stage.receipt(await stage.post({"n": n, "do": "drop" if n % 4 == 3 else ""}))
    process.process.send_signal(signal.SIGKILL)
    process.process.wait()
    file = TallyFile(str(Path(process.spec.tallies)))
    assert file.is_left()
    found = values(file)
    file.close()
    assert (found[("filter_packets_in", "in")], found[("filter_packets_out", "in")]) == (20, 15)
    assert (found[("wire_packets", "in.out-out.in")], found[("filter_packets_out", "out")]) == (15, 15)
    assert found[("filter_seconds", "in")] > 0
