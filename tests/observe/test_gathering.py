"""Gathering: the sums over processes stay what they are when one of those ends, and count nothing twice."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pypes.observe import gathering as module
from pypes.observe.gathering import Gathering
from pypes.observe.metrics import FILTER_IN, FILTER_LAST_ERROR, FILTER_RESTING, WIRE_PACKETS, Metric
from pypes.observe.tallies import Series, Tallies

SECONDS = Metric("some_seconds", "histogram", "Seconds of something.", ("graph",), "seconds", (0.1, 1.0))


def sums(gathering: Gathering) -> dict[tuple[str, ...], list[float]]:
    found = gathering.read()
    return {(s.metric, *s.labels): list(found[at : at + s.width]) for s, at in gathering.places.items()}


def made(path: Path) -> Tallies:
    Tallies.create(str(path))
    return Tallies(str(path))


def test_counts_of_processes_are_added_up_and_stay_when_one_ends(tmp_path: Path) -> None:
    gathering = Gathering(Tallies())
    gathering.own.counter(FILTER_IN, "g", "a").add(1)
    one, two = made(tmp_path / "i-1.tally"), made(tmp_path / "i-2.tally")
    gathering.join(one_path := str(tmp_path / "i-1.tally"))
    gathering.join(str(tmp_path / "i-2.tally"))
    one.counter(FILTER_IN, "g", "a").add(10)
    one.counter(WIRE_PACKETS, "g", "a.out-b.in").add(5)
    two.counter(FILTER_IN, "g", "a").add(100)
    expected = {(FILTER_IN.name, "g", "a"): [111.0], (WIRE_PACKETS.name, "g", "a.out-b.in"): [5.0]}
    assert sums(gathering) == expected
    one.close()
    gathering.leave(one_path)
    assert sums(gathering) == expected
    assert [path.name for path in tmp_path.iterdir()] == ["i-2.tally"]
    gathering.leave(one_path)  # said twice, it does no harm
    assert sums(gathering) == expected


def test_gauges_end_with_their_process_and_the_latest_time_stays(tmp_path: Path) -> None:
    gathering = Gathering(Tallies())
    one, two = made(tmp_path / "i-1.tally"), made(tmp_path / "i-2.tally")
    for path in sorted(tmp_path.iterdir()):
        gathering.join(str(path))
    for tallies, time in ((one, 500.0), (two, 200.0)):
        tallies.gauge(FILTER_RESTING, "g", "out").set(1)
        tallies.gauge(FILTER_LAST_ERROR, "g", "out").set(time)
    resting, last = (FILTER_RESTING.name, "g", "out"), (FILTER_LAST_ERROR.name, "g", "out")
    assert sums(gathering) == {resting: [2.0], last: [500.0]}
    one.close()
    gathering.leave(str(tmp_path / "i-1.tally"))
    assert sums(gathering) == {resting: [1.0], last: [500.0]}
    two.gauge(FILTER_LAST_ERROR, "g", "out").set(600.0)
    assert sums(gathering) == {resting: [1.0], last: [600.0]}


def test_histograms_are_added_up(tmp_path: Path) -> None:
    gathering = Gathering(Tallies(), [SECONDS])
    one = made(tmp_path / "w-1.tally")
    gathering.join(str(tmp_path / "w-1.tally"))
    one.histogram(SECONDS, "g").observe(0.5)
    gathering.own.histogram(SECONDS, "g").observe(2.0)
    assert sums(gathering) == {("some_seconds", "g"): [0.0, 1.0, 1.0, 2.5]}
    one.close()
    gathering.leave(str(tmp_path / "w-1.tally"))
    assert sums(gathering) == {("some_seconds", "g"): [0.0, 1.0, 1.0, 2.5]}


def test_a_metric_of_another_version_is_left_out(tmp_path: Path) -> None:
    gathering = Gathering(Tallies())
    one = made(tmp_path / "i-1.tally")
    gathering.join(str(tmp_path / "i-1.tally"))
    one.histogram(SECONDS, "g").observe(0.5)
    one.counter(Metric(FILTER_IN.name, "counter", "Others.", ("graph",)), "g").add()
    one.counter(FILTER_IN, "g", "a").add()
    assert sums(gathering) == {(FILTER_IN.name, "g", "a"): [1.0]}
    one.close()
    gathering.leave(str(tmp_path / "i-1.tally"))
    assert sums(gathering) == {(FILTER_IN.name, "g", "a"): [1.0]}


def test_a_file_that_is_no_tally_file_is_left_out_and_the_log_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "i-1.tally").write_text("what?")
    gathering = Gathering(Tallies())
    gathering.join(str(tmp_path / "i-1.tally"))
    gathering.join(str(tmp_path / "i-2.tally"))
    assert len(caplog.records) == 2
    assert sums(gathering) == {}
    gathering.leave(str(tmp_path / "i-1.tally"))
    assert not [*tmp_path.iterdir()]


#: A process that counts, and tells of each number after it was counted.
COUNTING = """
import itertools, os, sys
from pypes.observe.metrics import FILTER_IN
from pypes.observe.tallies import Tallies

tally = Tallies.own(sys.argv[1]).counter(FILTER_IN, "g", "a")
for n in itertools.count(1):
    tally.add()
    os.write(1, b"\\n" if n % 64 else b".\\n")
"""


def test_what_processes_counted_that_were_killed_is_there_once(tmp_path: Path) -> None:
    """Workers find their own names and are found: nobody says when one has ended."""
    gathering = Gathering(Tallies())
    told = 0
    for number in range(4):
        path = str(tmp_path / f"w-{number}.tally")
        process = subprocess.Popen([sys.executable, "-c", COUNTING, path], stdout=subprocess.PIPE)
        assert process.stdout is not None
        with process, process.stdout:
            before = -1.0
            while not process.stdout.readline().startswith(b"."):
                told += 1
                gathering.look_for(tmp_path, "w-*.tally")
                (count,) = sums(gathering)[FILTER_IN.name, "g", "a"]
                assert count >= max(told, before)
                before = count
                assert Path(path).exists()
            process.kill()
            told += 1 + process.stdout.read().count(b"\n")
        gathering.look_for(tmp_path, "w-*.tally")
        assert not [*tmp_path.iterdir()]
        (count,) = sums(gathering)[FILTER_IN.name, "g", "a"]
        # it may have died between counting and telling
        assert count in (told, told + 1)
        told = int(count)


def test_series_of_what_is_gone_are_forgotten_where_there_are_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gathering = Gathering(Tallies())
    for number in range(4):
        one = made(tmp_path / "i-1.tally")
        gathering.join(str(tmp_path / "i-1.tally"))
        one.counter(FILTER_IN, f"graph-{number}", "a").add(number)
        one.counter(FILTER_IN, "stays", "a").add()
        one.close()
        gathering.leave(str(tmp_path / "i-1.tally"))
    gathering.own.counter(FILTER_IN, "own", "a").add(7)
    before = sums(gathering)

    def wanted(series: Series) -> bool:
        return series.labels[0] in ("stays", "graph-3")

    gathering.forget(wanted)
    assert sums(gathering) == before
    monkeypatch.setattr(module, "MAX_SERIES", 3)
    revision = gathering.revision
    gathering.forget(wanted)
    assert gathering.revision != revision
    left = ("stays", "graph-3", "own")
    assert sums(gathering) == {key: value for key, value in before.items() if key[1] in left}


class Processes(RuleBasedStateMachine):
    """Processes that come, count and go in any order, against sums that are kept by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.gathering = Gathering(Tallies())
        self.living: list[tuple[str, Tallies]] = []
        self.expected: dict[tuple[str, ...], list[float]] = {}
        self.number = 0

    @rule()
    def start(self) -> None:
        self.number += 1
        path = Path(self.folder.name) / f"i-{self.number}.tally"
        self.living.append((str(path), made(path)))
        self.gathering.join(str(path))

    @rule(at=st.integers(0, 9), name=st.sampled_from("abc"), n=st.integers(0, 1000))
    def count(self, at: int, name: str, n: int) -> None:
        tallies = self.living[at % len(self.living)][1] if self.living else self.gathering.own
        tallies.counter(FILTER_IN, "g", name).add(n)
        self.expected.setdefault((FILTER_IN.name, "g", name), [0.0])[0] += n

    @rule(at=st.integers(0, 9))
    def end(self, at: int) -> None:
        if self.living:
            path, tallies = self.living.pop(at % len(self.living))
            tallies.close()
            self.gathering.leave(path)

    @invariant()
    def sums_are_right(self) -> None:
        assert sums(self.gathering) == self.expected

    def teardown(self) -> None:
        for path, tallies in self.living:
            tallies.close()
            self.gathering.leave(path)
        self.gathering.own.close()
        self.folder.cleanup()


TestProcesses = Processes.TestCase
TestProcesses.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
