"""Tallies: what one process counts another one reads, while it lives and when it is dead."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from operator import le
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypes.observe import tallies as module
from pypes.observe.metrics import FILTER_IN, FILTER_RESTING, WIRE_PACKETS, Metric
from pypes.observe.tallies import Counted, Histogram, Series, Tallies, Tally, TallyFile, Timed

SECONDS = Metric("some_seconds", "histogram", "Seconds of something.", ("graph",), "seconds", (0.1, 1.0))

#: Makes one series after the other and counts in it; a gauge and a row have either of two values whose bytes differ all.
WRITER = """
import itertools, sys
from pypes.observe.metrics import FILTER_IN, FILTER_RESTING, WIRE_PACKETS
from pypes.observe.tallies import Tallies

tallies = Tallies.own(sys.argv[1])
gauge = tallies.gauge(FILTER_RESTING, "a", "b")
row = tallies.row((WIRE_PACKETS, ("g", str(n))) for n in range(9))
either = float.fromhex("0x1.5555555555555p+1"), float.fromhex("-0x1.aaaaaaaaaaaaap-300")
gauge.set(either[0])
row.set(*either[:1] * 9)
print("began", flush=True)
for n in itertools.count(1):
    if n < 10000:
        tallies.counter(FILTER_IN, "graph", str(n)).add(n)
    for one in reversed(either):
        gauge.set(one)
        row.set(*[one] * 9)
"""
EITHER = {float.fromhex("0x1.5555555555555p+1"), float.fromhex("-0x1.aaaaaaaaaaaaap-300")}


def numbers(counted: Counted) -> dict[tuple[str, ...], list[float]]:
    """The values of each series by its metric and labels."""
    values, found, at = counted.read(), {}, 0
    for series in counted.series:
        found[series.metric, *series.labels] = list(values[at : at + series.width])
        at += series.width
    assert at == len(values)
    return found


@contextmanager
def both(path: Path) -> Iterator[tuple[Tallies, TallyFile]]:
    """The same tallies from the side of their writer and that of a reader."""
    Tallies.create(str(path))
    ours = Tallies(str(path))
    theirs = TallyFile(str(path))
    yield ours, theirs
    theirs.close()
    ours.close()


def test_what_one_counts_another_reads_without_asking(tmp_path: Path) -> None:
    with both(tmp_path / "i-1.tally") as (ours, theirs):
        assert numbers(theirs) == numbers(ours) == {}
        taken = ours.counter(FILTER_IN, "documents", "json")
        taken.add()
        taken.add(41)
        resting = ours.gauge(FILTER_RESTING, "documents", "größe")
        resting.set(3)
        resting.add(-2)
        assert taken.value == 42
        expected = {(FILTER_IN.name, "documents", "json"): [42.0], (FILTER_RESTING.name, "documents", "größe"): [1.0]}
        assert numbers(theirs) == numbers(ours) == expected
        ours.counter(WIRE_PACKETS, "documents", "a.out-b.in").add(0.5)
        taken.add()
        assert numbers(theirs) == {
            **expected,
            (FILTER_IN.name, "documents", "json"): [43.0],
            (WIRE_PACKETS.name, "documents", "a.out-b.in"): [0.5],
        }


def test_the_same_labels_have_the_same_tally() -> None:
    ours = Tallies()
    ours.counter(FILTER_IN, "g", "f").add()
    ours.counter(FILTER_IN, "g", "f").add()
    ours.counter(FILTER_IN, "f", "g").add()
    assert ours.counter(FILTER_IN, "g", "f") is ours.counter(FILTER_IN, "g", "f")
    assert numbers(ours) == {(FILTER_IN.name, "g", "f"): [2.0], (FILTER_IN.name, "f", "g"): [1.0]}


def test_a_row_is_set_in_one_go_and_lies_between_others(tmp_path: Path) -> None:
    with both(tmp_path / "i-1.tally") as (ours, theirs):
        before = ours.counter(FILTER_IN, "g", "before")
        row = ours.row((FILTER_IN, ("g", name)) for name in "abc")
        after = ours.counter(FILTER_IN, "g", "after")
        before.add(1)
        after.add(2)
        row.set(10, 0.5, 1 << 50)
        row.set(11, 0.5, 1 << 50)
        expected = {"before": [1.0], "a": [11.0], "b": [0.5], "c": [float(1 << 50)], "after": [2.0]}
        assert numbers(theirs) == numbers(ours) == {(FILTER_IN.name, "g", name): found for name, found in expected.items()}
        ours.row(()).set()


def test_of_a_row_that_has_no_room_the_first_are_counted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "MAX_VALUES", 3)
    ours = Tallies()
    ours.counter(FILTER_IN, "g", "x")
    ours.row((FILTER_IN, ("g", name)) for name in "abc").set(1, 2, 3)
    ours.row((FILTER_IN, ("g", name)) for name in "de").set(4, 5)
    assert numbers(ours) == {(FILTER_IN.name, "g", name): [n] for n, name in enumerate("xab")}
    assert len(caplog.records) == 1


def test_a_histogram_has_buckets_up_to_their_bounds_and_a_sum() -> None:
    ours = Tallies()
    seconds = ours.histogram(SECONDS, "g")
    for value in (0.05, 0.1, 0.5, 1.0, 2.0):
        seconds.observe(value)
    seconds.observe(0.25, times=3)
    Timed(ours.counter(FILTER_IN, "g", "f"), seconds).observe(0.25)
    expected = {("some_seconds", "g"): [2.0, 6.0, 1.0, pytest.approx(4.65)], (FILTER_IN.name, "g", "f"): [1.0]}
    assert numbers(ours) == expected
    assert ours.series[0] == Series("some_seconds", ("g",), 4)


def test_beyond_the_bound_nothing_is_counted_and_the_log_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "MAX_VALUES", 3)
    ours = Tallies()
    for n in range(5):
        ours.counter(FILTER_IN, "g", str(n)).add(n)
    histogram = ours.histogram(SECONDS, "g")
    histogram.observe(0.5)
    assert numbers(ours) == {(FILTER_IN.name, "g", str(n)): [n] for n in range(3)}
    (record,) = caplog.records
    assert "are not counted in this process: there is no room for more than 3 values" in record.getMessage()


def test_a_name_that_is_too_long_is_not_counted(caplog: pytest.LogCaptureFixture) -> None:
    ours = Tallies()
    ours.counter(FILTER_IN, "g", "x" * 5000).add()
    ours.counter(FILTER_IN, "g", "f").add()
    assert numbers(ours) == {(FILTER_IN.name, "g", "f"): [1.0]}
    assert len(caplog.records) == 1


def test_a_disk_that_is_full_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def pwrite(fd: int, data: bytes, at: int) -> int:
        raise OSError(28, "No space left on device")

    with both(tmp_path / "i-1.tally") as (ours, theirs):
        ours.counter(FILTER_IN, "g", "a").add()
        monkeypatch.setattr(os, "pwrite", pwrite)
        ours.counter(FILTER_IN, "g", "b").add()
        monkeypatch.undo()
        ours.counter(FILTER_IN, "g", "c").add()
        assert numbers(theirs) == {(FILTER_IN.name, "g", "a"): [1.0], (FILTER_IN.name, "g", "c"): [1.0]}
    assert "No space left on device" in caplog.text


LABELS = st.tuples(st.sampled_from(["g", "größe", "a b", ""]), st.text(max_size=20))
ACTS = st.lists(st.tuples(LABELS, st.integers(0, 1 << 40), st.booleans()), max_size=60)


@given(ACTS)
def test_any_order_of_counting_and_reading_gives_the_sums(acts: list[tuple[tuple[str, str], int, bool]]) -> None:
    expected: dict[tuple[str, ...], list[float]] = {}
    with tempfile.TemporaryDirectory() as folder, both(Path(folder) / "x.tally") as (ours, theirs):
        for labels, n, is_read in acts:
            ours.counter(FILTER_IN, *labels).add(n)
            # a text that is no text in UTF-8, and what separates the parts of a name, do not come back as they were
            key = tuple(label.replace("\x1f", " ").encode(errors="replace").decode() for label in labels)
            expected.setdefault((FILTER_IN.name, *key), [0.0])[0] += n
            if is_read:
                assert numbers(theirs) == expected
        assert numbers(theirs) == expected


@pytest.mark.parametrize("series", [1, 10, 400, 3000])
def test_a_writer_killed_at_any_instant_leaves_whole_series(tmp_path: Path, series: int) -> None:
    path = tmp_path / "w-1.tally"
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process, process.stdout:
        assert process.stdout.readline() == b"began\n"
        theirs = TallyFile(str(path))
        try:
            while len(theirs.series) < series + 9:
                _check(theirs)
                assert not theirs.is_left()
        finally:
            process.kill()
    assert theirs.is_left()
    before = _check(theirs)
    assert before >= series - 1
    anew = TallyFile(str(path))
    assert _check(anew) == before
    anew.remove()
    assert not path.exists()
    theirs.remove()  # that it is gone already does no harm


SETTER = """
import itertools, sys
from pypes.observe.metrics import WIRE_PACKETS
from pypes.observe.tallies import Tallies

row = Tallies.own(sys.argv[1]).row((WIRE_PACKETS, ("g", str(n))) for n in range(1000))
row.set(*range(1, 1001))
print("began", flush=True)
for n in itertools.count(1):
    row.set(*range(n, n + 1000))
"""


def test_values_that_are_set_together_are_never_seen_as_others_than_were_set(tmp_path: Path) -> None:
    path = tmp_path / "w-1.tally"
    process = subprocess.Popen([sys.executable, "-c", SETTER, str(path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process, process.stdout:
        try:
            assert process.stdout.readline() == b"began\n"
            theirs, before = TallyFile(str(path)), [0.0] * 1000
            for _ in range(5_000):
                found = [*theirs.read()]
                assert all(map(le, before, found))
                before = found
        finally:
            process.kill()


def _check(theirs: TallyFile) -> int:
    """All series are in their order, and only the last may not have its number yet; returns how many counters there are."""
    found = numbers(theirs)
    (gauge,) = found.pop((FILTER_RESTING.name, "a", "b"))
    assert gauge in EITHER
    for n in range(9):
        (one,) = found.pop((WIRE_PACKETS.name, "g", str(n)))
        assert one in EITHER
    assert [*found] == [(FILTER_IN.name, "graph", str(n)) for n in range(1, len(found) + 1)]
    assert [value for (value,) in found.values()][:-1] == list(range(1, len(found)))
    return len(found)


def test_what_is_no_tally_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.tally").write_bytes(bytes(1 << 20))
    with pytest.raises(ValueError, match="holds no tallies"):
        TallyFile(str(tmp_path / "x.tally"))
    (tmp_path / "short.tally").write_bytes(b"PYPTALLY")
    with pytest.raises(ValueError, match="mmap length"):
        TallyFile(str(tmp_path / "short.tally"))


def test_names_that_were_damaged_end_the_reading_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "i-1.tally"
    with both(path) as (ours, theirs):
        ours.counter(FILTER_IN, "g", "f").add()
        with path.open("r+b") as file:
            file.seek(0, os.SEEK_END)
            file.write(b"\xff\xff\x01\x00half")
            file.seek(8)
            file.write(array("Q", [1 << 40]).tobytes())
        assert numbers(theirs) == {(FILTER_IN.name, "g", "f"): [1.0]}
        assert numbers(theirs) == {(FILTER_IN.name, "g", "f"): [1.0]}


def test_each_kind_has_its_own_tally() -> None:
    ours = Tallies()
    assert isinstance(ours.counter(FILTER_IN, "g", "f"), Tally)
    assert isinstance(ours.histogram(SECONDS, "g"), Histogram)
