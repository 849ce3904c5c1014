from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from pypes.observe.log_ring import LogRing
from pypes.runtime.contracts.control import LogQuery
from pypes.runtime.graphs import pages
from pypes.runtime.supervisor import logbook
from pypes.runtime.supervisor.logbook import LogBook

Write = Callable[..., None]

#: Dies as soon as it has written a line.
DYING = """
import os, sys
from datetime import datetime
from pathlib import Path
from pypes import logs
handler = logs.configure("dying", json=True)
logs.keep(Path(sys.argv[1]), 1 << 14)
import logging
logging.getLogger("x").error("the last words", extra={"graph": "g"})
os.kill(os.getpid(), 9)
"""


def at(second: int) -> str:
    return f"2026-11-30T00:{second // 60:02}:{second % 60:02}.000Z"


@pytest.fixture
def write(tmp_path: Path) -> Iterator[Write]:
    """Writes a line into the ring of a process."""
    rings: dict[str, LogRing] = {}
    seconds = iter(range(3600))

    def written(event: str, process: str = "p", level: str = "info", time: int | None = None, **given: Any) -> None:
        if process not in rings:
            rings[process] = LogRing(tmp_path / f"{process}.1.log", 1 << 16)
        line = {"time": at(next(seconds) if time is None else time), "level": level, "process": process, "event": event, **given}
        rings[process].write(json.dumps(line).encode())

    yield written
    for ring in rings.values():
        ring.close()


def events(book: LogBook, limit: int = 100, **query: Any) -> list[str]:
    return [line["event"] for line in book.page(LogQuery(**query), limit).logs]


def test_lines_of_all_processes_are_in_the_order_of_their_times(tmp_path: Path, write: Write) -> None:
    book = LogBook(tmp_path, 1 << 20)
    write("c", "one", time=3)
    write("a", "one", time=1)
    write("b", "other", time=2)
    assert events(book) == ["a", "b", "c"]
    # one that is older than what was read is behind that: whoever has seen that would not see it
    write("late", "other", time=0)
    assert events(book) == ["a", "b", "c", "late"]


def test_lines_are_found_by_what_they_are_about(tmp_path: Path, write: Write) -> None:
    book = LogBook(tmp_path, 1 << 20)
    write("one", graph="g", filter="f", receipt="r1", level="warning")
    write("several", graphs=["g", "h"], filters=["e", "f"], receipt=["r1", "r2"], level="error")
    write("odd", graph=7, filter={"a": 1}, receipt=[3, None])
    write("none")
    assert events(book, graph="g") == ["one", "several"]
    assert events(book, graph="h") == ["several"]
    assert events(book, filter="f") == ["one", "several"]
    assert events(book, filter="f", graph="h") == ["several"]
    assert events(book, receipt="r1") == ["one", "several"]
    assert events(book, receipt="r2") == ["several"]
    assert events(book, level="debug") == ["one", "several", "odd", "none"]
    assert events(book, level="warning") == ["one", "several"]
    assert events(book, level="critical") == []
    assert events(book, graph="7") == []
    times = [line["time"] for line in book.page(LogQuery(), 10).logs]
    seconds = datetime.fromisoformat(times[2]).timestamp()
    assert events(book, since=seconds) == ["odd", "none"]


def test_pages_lead_back_and_forth(tmp_path: Path, write: Write) -> None:
    book = LogBook(tmp_path, 1 << 20)
    for number in range(10):
        write(str(number), process=f"p{number % 3}", graph="even" if number % 2 == 0 else "odd")
    last = book.page(LogQuery(), 4)
    assert [line["event"] for line in last.logs] == ["6", "7", "8", "9"]
    before = book.page(LogQuery(before=last.earlier), 4)
    assert [line["event"] for line in before.logs] == ["2", "3", "4", "5"]
    first = book.page(LogQuery(before=before.earlier), 4)
    assert [line["event"] for line in first.logs] == ["0", "1"]
    assert first.earlier is None
    # those behind it, forward
    following = book.page(LogQuery(after=first.later), 3)
    assert [line["event"] for line in following.logs] == ["2", "3", "4"]
    assert events(book, after=following.later) == ["5", "6", "7", "8", "9"]
    assert events(book, before=following.earlier) == ["0", "1"]
    # with a criterion, and nothing that matches for now
    odd = book.page(LogQuery(graph="odd"), 2)
    assert [line["event"] for line in odd.logs] == ["7", "9"]
    assert events(book, after=odd.later, graph="odd") == []
    write("11", graph="odd")
    assert events(book, after=odd.later, graph="odd") == ["11"]


def test_a_position_of_an_earlier_start_begins_with_the_oldest_line(tmp_path: Path, write: Write) -> None:
    book = LogBook(tmp_path, 1 << 20)
    write("a")
    write("b")
    assert events(book, 1, after="0-99") == ["a"]
    assert events(book, 1, before="0-99") == ["b"]


def test_a_page_ends_with_the_line_that_makes_it_too_large(tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logbook, "PAGE_BYTES", 1000)
    assert pages.PAGE_BYTES > 1000
    book = LogBook(tmp_path, 1 << 20)
    for number in range(9):
        write(str(number), text="x" * 400)
    page = book.page(LogQuery(), 100)
    assert [line["event"] for line in page.logs] == ["6", "7", "8"]
    assert page.earlier is not None


def test_the_process_with_most_lines_loses_its_oldest_first(tmp_path: Path, write: Write) -> None:
    book = LogBook(tmp_path, 20_000)
    write("quiet", "quiet")
    for number in range(1000):
        write(str(number), "loud", time=number)
        if number % 50 == 0:
            book.collect()
    kept = events(book, 1000)
    assert kept[0] == "quiet"
    assert kept[1:] == [str(number) for number in range(1000 - len(kept) + 1, 1000)]
    assert 30 < len(kept) < 70


def test_what_is_no_line_is_left_out(tmp_path: Path, write: Write) -> None:
    ring = LogRing(tmp_path / "odd.1.log", 1 << 12)
    for line in (b"\xff", b"{}", b"[1]", b'{"time": "never", "level": "info"}', b'{"time": 3, "level": "info"}'):
        ring.write(line)
    (tmp_path / "none.2.log").write_bytes(b"no ring")
    write("whole")
    assert events(LogBook(tmp_path, 1 << 20)) == ["whole"]
    assert (tmp_path / "none.2.log").exists()
    ring.close()


def test_the_last_lines_of_a_killed_process_are_kept_and_its_file_goes(tmp_path: Path, write: Write) -> None:
    book = LogBook(tmp_path, 1 << 20)
    write("living")
    subprocess.run([sys.executable, "-c", DYING, tmp_path], check=False, stderr=subprocess.DEVNULL)
    [ring] = tmp_path.glob("dying.*")
    # a node that is started now finds them as well
    assert events(LogBook(tmp_path, 1 << 20), graph="g") == ["the last words"]
    assert not ring.exists()
    assert events(book) == ["living"]
    assert [path.name for path in tmp_path.iterdir()] == ["p.1.log"]


def test_warnings_since_a_number(tmp_path: Path, write: Write) -> None:
    book = LogBook(tmp_path, 1 << 20)
    write("a", level="warning")
    found, number = book.since(0)
    assert [line["event"] for line in found] == ["a"]
    write("b")
    write("c", level="error")
    found, number = book.since(number)
    assert [line["event"] for line in found] == ["c"]
    assert book.since(number) == ([], number)
    assert number == book.newest == 3


def test_descriptors_are_given_back(tmp_path: Path) -> None:
    before = len([*Path("/proc/self/fd").iterdir()])
    book = LogBook(tmp_path, 1 << 20)
    for _ in range(5):
        subprocess.run([sys.executable, "-c", DYING, tmp_path], check=False, stderr=subprocess.DEVNULL)
        book.collect()
    assert events(book) == ["the last words"] * 5
    assert len([*Path("/proc/self/fd").iterdir()]) == before
