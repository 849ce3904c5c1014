"""PipeFrame: programs for it, with one import changed. Its full example is run in docs/from-pipeframe.md."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pypes.compat.pipeframe import PipeFrame, PipelineEngine
from pypes.core.machine import cores
from pypes.errors import InvalidInput


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    before = {*threading.enumerate()}
    yield
    for thread in {*threading.enumerate()} - before:
        thread.join(20)
        assert not thread.is_alive(), thread


def written(path: Path) -> list[str]:
    return sorted(path.read_text().split()) if path.exists() else []


def engine(path: Path, count: int, **attributes: Any) -> type[PipelineEngine]:
    """A pipeline that writes numbers to a file, the even ones after a step that the others pass over."""

    def halve(entry: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        entry["pid"] = os.getpid()
        return entry, True

    def pass_odd(entry: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        return entry, entry["number"] % 2 == 0

    def write(entry: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        if entry["number"] == 6:
            raise ValueError("six")
        with path.open("a") as file:
            file.write(f"{entry['number']}@{entry['pid']}\n")
        return entry, True

    class Numbers(PipelineEngine):
        steps = (halve, pass_odd, write)

        def feed(self, bucket: Any) -> None:
            for number in range(count):
                bucket.put({"number": number})

    for name, value in attributes.items():
        setattr(Numbers, name, value)
    return Numbers


@pytest.mark.parametrize("source", ["batch", "stream"])
def test_records_go_through_the_steps_in_processes(source: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    frame = PipeFrame(cpu_count=2)
    with caplog.at_level(logging.ERROR):
        frame.run(engine(tmp_path / "log", 10, source=source))
    found = [line.split("@") for line in written(tmp_path / "log")]
    assert [number for number, _ in found] == ["0", "2", "4", "8"]
    assert str(os.getpid()) not in {pid for _, pid in found}
    [letter] = frame.dead_letters
    assert (letter.value["number"], repr(letter.error)) == (6, "ValueError('six')")
    [line] = caplog.messages
    assert "1 records failed, the first with ValueError('six')" in line
    assert "in write" in line
    frame.run(engine(tmp_path / "other", 2))
    assert frame.dead_letters == []


def test_feed_may_be_a_static_method_and_steps_a_list(tmp_path: Path) -> None:
    class Numbers(engine(tmp_path / "log", 0)):  # type: ignore[misc]
        steps = [*engine(tmp_path / "log", 0).steps]

        @staticmethod
        def feed(bucket: Any) -> None:
            bucket.put({"number": 2})

    PipeFrame(1).run(Numbers())
    assert [line.split("@")[0] for line in written(tmp_path / "log")] == ["2"]


@pytest.mark.parametrize("source", ["batch", "stream"])
def test_the_buffer_may_be_smaller_than_what_it_is_fed(source: str, tmp_path: Path) -> None:
    PipeFrame(cpu_count=1, stream_buffer_size=2).run(engine(tmp_path / "log", 6, source=source))
    assert len(written(tmp_path / "log")) == 3


def test_a_stream_ends_when_it_brings_nothing(tmp_path: Path) -> None:
    goes_on = threading.Event()

    def feed(self: Any, bucket: Any) -> None:
        bucket.put({"number": 2})
        goes_on.wait()
        bucket.put({"number": 4})

    PipeFrame(cpu_count=1).run(engine(tmp_path / "log", 0, feed=feed, source="stream", timeout=0.2))
    goes_on.set()
    assert [line.split("@")[0] for line in written(tmp_path / "log")] == ["2"]


def test_what_feed_raises_ends_the_run(tmp_path: Path) -> None:
    def feed(self: Any, bucket: Any) -> None:
        bucket.put({"number": 2})
        raise OSError("no more")

    for source in ("batch", "stream"):
        with pytest.raises(OSError, match="no more"):
            PipeFrame(cpu_count=1).run(engine(tmp_path / "log", 0, feed=feed, source=source))


def test_by_default_one_core_is_left() -> None:
    assert PipeFrame().cpu_count == max(1, cores() - 1)
    assert (PipeFrame().buffer_size, PipeFrame(stream_buffer_size=50_000).buffer_size) == (10_000, 50_000)


def test_pipelines_that_are_none() -> None:
    class Empty(PipelineEngine):
        pass

    class Unfed(PipelineEngine):
        steps = (lambda record: (record, True),)

    with pytest.raises(InvalidInput, match="Empty has no steps"):
        PipeFrame(1).run(Empty)
    with pytest.raises(NotImplementedError, match=r"Unfed has no method feed\(self, bucket\)"):
        PipeFrame(1).run(Unfed)
