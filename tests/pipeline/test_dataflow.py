"""Dataflow: data sent to copies of a graph in processes, their failures and deaths, and the end of it all."""

from __future__ import annotations

import io
import logging
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pypes import Packet
from pypes.component import Component
from pypes.errors import ComponentError, InvalidComponent, InvalidGraph
from pypes.pipeline import Dataflow
from pypes.pipeline.dataflow import MOST_UNDER_WAY
from pypes.testing.node import until
from tests.pipeline.of_2010 import (
    Appender,
    Descending,
    Divide,
    Doubler,
    Fork,
    Gate,
    Killer,
    LineReader,
    Matching,
    Pairs,
    Tail,
)

PATIENCE_S = 60.0
ROOT = Path(__file__).parents[2]


@pytest.fixture
def out(tmp_path: Path) -> str:
    return str(tmp_path / "out")


def written(out: str) -> list[str]:
    """The lines that were written, without the processes."""
    path = Path(out)
    return [line.rpartition(" ")[0] for line in path.read_text().splitlines()] if path.exists() else []


def writers(out: str) -> set[int]:
    return {int(line.rpartition(" ")[2]) for line in Path(out).read_text().splitlines()}


def copies_of(folder: Path) -> list[int]:
    """The processes that wait at a gate."""
    return [int(path.name.partition("-")[2]) for path in folder.glob("begun-*")]


def test_a_graph_with_a_fork(out: str) -> None:
    reader, fork, odd, even, sort, end = LineReader(), Fork(), Matching("GET"), Matching("POST"), Descending(), Appender(out)
    network = {
        reader: {fork: ("out", "in")},
        fork: {odd: ("out", "in"), even: ("out2", "in")},
        odd: {end: ("out", "in")},
        even: {sort: ("out", "in")},
        sort: {end: ("out", "in")},
    }
    p = Dataflow(network)
    p.send("GET 1\nPOST 1\nPUT 1\nPOST 2\nGET 2")
    p.close()
    lines = written(out)
    assert [line for line in lines if "GET" in line] == ["GET 1", "GET 2"]
    assert [line for line in lines if "POST" in line] == ["POST 2", "POST 1"]
    assert len(lines) == 4
    assert (p.failures, len(p.dead_letters)) == (0, 0)


def test_a_component_sees_in_its_turn_all_that_was_made_of_what_was_sent(out: str) -> None:
    reader, sort, end = LineReader(), Descending(), Appender(out)
    with Dataflow({reader: {sort: ("out", "in")}, sort: {end: ("out", "in")}}) as p:
        p.send("\n".join(f"{n:05}" for n in range(3000)))
    assert written(out) == [f"{n:05}" for n in reversed(range(3000))]


def test_a_join_meets_what_one_sending_made(out: str) -> None:
    reader, fork, pairs, end = LineReader(), Fork(), Pairs(), Appender(out)
    network = {
        reader: {fork: ("out", "in")},
        fork: {pairs: ("out", "in"), (drop := Matching("x")): ("out2", "in")},
        drop: {pairs: ("out", "in2")},
        pairs: {end: ("out", "in")},
    }
    with Dataflow(network, 2) as p:
        for text in ("ax", "b", "cx"):  # the second way drops b: that must not meet the x of c
            p.send(text)
    assert sorted(written(out)) == ["ax+ax", "b+None", "cx+cx"]


def test_all_entries_take_what_is_sent(out: str) -> None:
    one, two, end = LineReader(), LineReader(), Appender(out)
    with Dataflow({one: {end: ("out", "in")}, two: {end: ("out", "in")}}) as p:
        p.send("a\nb")
    assert sorted(written(out)) == ["a", "a", "b", "b"]


def test_copies_share_what_is_sent(tmp_path: Path, out: str) -> None:
    gate, end = Gate(str(tmp_path)), Appender(out)
    with Dataflow({gate: {end: ("out", "in")}}, 2) as p:
        for n in range(500):
            p.send(n)
        until(lambda: len(copies_of(tmp_path)) == 2, PATIENCE_S, "both copies work")
        (tmp_path / "open").touch()
    assert sorted(written(out), key=int) == [*map(str, range(500))]
    assert writers(out) == {*copies_of(tmp_path)}
    assert os.getpid() not in writers(out)


def test_one_copy_keeps_the_order(out: str) -> None:
    with Dataflow({Appender(out): {}}) as p:
        for n in range(300):
            p.send(n)
    assert written(out) == [*map(str, range(300))]


def test_parameters_and_packets_go_along(out: str) -> None:
    class Titled(Component):  # here, where no other process could import it
        def __init__(self, field: str) -> None:
            Component.__init__(self)
            self.field = field
            self.set_parameter("mark", "?", ["?", "!"])

        def run(self) -> None:
            while True:
                for packet in self.receive_all("in"):
                    self.send("out", packet.get(self.field) + self.get_parameter("mark"))
                self.yield_ctrl()

    titled = Titled("title")
    titled.set_parameter("mark", "!")
    with Dataflow({titled: {Appender(out): ("out", "in")}}) as p:
        titled.set_parameter("mark", "?")  # too late: the copy was made
        p.send(Packet({"title": "Ada"}))
    assert written(out) == ["Ada!"]


def test_components_of_its_time_that_take_one_packet_in_a_turn(out: str) -> None:
    doubler, again, end = Doubler(), Doubler(), Appender(out)
    doubler.__metatype__ = "ADAPTER"  # type: ignore[misc]
    pipeline = Dataflow({doubler: {again: ("out", "in")}, again: {end: ("out", "in")}})
    for number in range(1, 5):
        pipeline.send(number)
    pipeline.close()
    assert written(out) == ["4", "8", "12", "16"]


def test_an_error_costs_what_it_was_raised_over(out: str, caplog: pytest.LogCaptureFixture) -> None:
    divide, end = Divide(), Appender(out)
    with Dataflow({divide: {end: ("out", "in")}}) as p:
        for number in (3, 0, 4):
            p.send(number)
    assert written(out) == ["4", "3"]
    [letter] = p.dead_letters
    assert (letter.data, letter.filter, letter.code, p.failures) == (0, "divide1", "component.raised", 1)
    assert letter.error.startswith("ZeroDivisionError")
    assert "of_2010.py" in letter.traceback
    [told] = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert told.startswith("what was sent failed in divide1: ZeroDivisionError")
    assert "of_2010.py" in told


def test_what_cannot_be_sent_to_a_process_is_a_dead_letter(out: str) -> None:
    with Dataflow({Appender(out): {}}) as p:
        p.send(lock := threading.Lock())
        p.send("fine")
    [letter] = p.dead_letters
    assert (letter.data, letter.code) == (lock, "pool.value")
    assert written(out) == ["fine"]


def test_a_process_that_dies_is_replaced_and_what_it_had_runs_again(
    tmp_path: Path, out: str, caplog: pytest.LogCaptureFixture
) -> None:
    killer, end = Killer(str(tmp_path)), Appender(out)
    with Dataflow({killer: {end: ("out", "in")}}) as p:
        for number in (1, -1, 2, 3):
            p.send(number)
    assert Counter(written(out)) == Counter(["1", "-1", "2", "3"])
    assert p.failures == 0
    assert [record.getMessage() for record in caplog.records] == [
        "a process of the dataflow has ended: killed by SIGKILL. What it had in hand runs again in another one"
    ]


def test_what_ends_processes_again_and_again_is_a_dead_letter(tmp_path: Path, out: str, caplog: pytest.LogCaptureFixture) -> None:
    killer, end = Killer(str(tmp_path)), Appender(out)
    with Dataflow({killer: {end: ("out", "in")}}, 2) as p:
        for number in (1, -5, 2, 3):
            p.send(number)
    assert Counter(written(out)) == Counter(["1", "2", "3"])
    [letter] = p.dead_letters
    assert (letter.data, letter.filter, letter.code) == (-5, "", "pool.killed")
    assert letter.error == "it has ended its process twice: killed by SIGKILL"
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING", "ERROR"]


def test_a_process_that_is_killed_from_outside_loses_nothing(tmp_path: Path, out: str) -> None:
    gate, end = Gate(str(tmp_path)), Appender(out)
    with Dataflow({gate: {end: ("out", "in")}}) as p:
        for number in range(100):
            p.send(number)
        [pid] = until(lambda: copies_of(tmp_path), PATIENCE_S, "it works")
        os.kill(pid, signal.SIGKILL)
        until(lambda: len(copies_of(tmp_path)) == 2, PATIENCE_S, "another one works")
        (tmp_path / "open").touch()
    assert Counter(written(out)) == Counter(map(str, range(100)))
    assert p.failures == 0


def test_close_waits_for_what_is_under_way(tmp_path: Path, out: str) -> None:
    gate, end = Gate(str(tmp_path)), Appender(out)
    p = Dataflow({gate: {end: ("out", "in")}})
    for number in range(50):
        p.send(number)
    until(lambda: copies_of(tmp_path), PATIENCE_S, "it works")
    closing = threading.Thread(target=p.close)
    closing.start()
    until(lambda: not p._takes_data, PATIENCE_S, "it is being closed")
    with pytest.raises(ComponentError, match="the dataflow is closed") as caught:
        p.send(51)
    assert caught.value.code == "dataflow.closed"
    assert closing.is_alive()
    (tmp_path / "open").touch()
    closing.join(PATIENCE_S)
    assert written(out) == [*map(str, range(50))]
    p.close()  # again


def test_send_waits_for_room(tmp_path: Path, out: str) -> None:
    gate, end = Gate(str(tmp_path)), Appender(out)
    with Dataflow({gate: {end: ("out", "in")}}) as p:
        for number in range(MOST_UNDER_WAY):
            p.send(number)
        one_more = threading.Thread(target=p.send, args=(MOST_UNDER_WAY,))
        one_more.start()
        until(lambda: copies_of(tmp_path), PATIENCE_S, "it works")
        assert one_more.is_alive()
        assert p._under_way == MOST_UNDER_WAY
        (tmp_path / "open").touch()
        one_more.join(PATIENCE_S)
    assert len(written(out)) == MOST_UNDER_WAY + 1


def test_an_error_of_the_user_does_not_end_what_was_sent(out: str) -> None:
    with pytest.raises(LookupError), Dataflow({Appender(out): {}}) as p:  # noqa: PT012 - it is raised within
        p.send("sent")
        raise LookupError
    assert written(out) == ["sent"]


def test_an_interruption_ends_what_was_sent_and_tells_of_it(tmp_path: Path, out: str, caplog: pytest.LogCaptureFixture) -> None:
    gate, end = Gate(str(tmp_path)), Appender(out)
    with pytest.raises(KeyboardInterrupt), Dataflow({gate: {end: ("out", "in")}}, 2) as p:  # noqa: PT012 - as above
        for number in range(100):
            p.send(number)
        until(lambda: copies_of(tmp_path), PATIENCE_S, "it works")
        raise KeyboardInterrupt
    assert written(out) == []
    assert sorted(letter.data for letter in p.dead_letters) == [*range(100)]
    assert {letter.code for letter in p.dead_letters} == {"dataflow.interrupted"}
    assert [record.getMessage() for record in caplog.records] == [
        "the dataflow was interrupted: 100 of what was sent is not done, see dead_letters"
    ]
    with pytest.raises(ComponentError):
        p.send(101)


def test_set_up_that_fails_leaves_nothing() -> None:
    with pytest.raises(ComponentError, match="set-up failed: RuntimeError: no model") as caught:
        Dataflow({NoModel(): {}}, 2)
    assert "nomodel1" in str(caught.value)


class NoModel(Doubler):
    def setup(self) -> None:
        raise RuntimeError("no model")


def test_what_cannot_be_built_is_told() -> None:
    for n in (0, -1, "2"):
        with pytest.raises(InvalidGraph, match="is no number of copies"):
            Dataflow({Doubler(): {}}, n)  # type: ignore[arg-type]
    with pytest.raises(InvalidGraph, match="has no output port 'nope'"):
        Dataflow({Doubler(): {Doubler(): ("nope", "in")}})


def test_components_that_cannot_be_sent_to_a_process_are_named(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("a\n")
    open_file = pytest.raises(InvalidComponent, match="tail1: its attribute 'file' is an open file, which another process cannot")
    with (tmp_path / "log").open() as file, open_file:
        Dataflow({Tail(file): {}})
    locked: Any = Doubler()
    locked.mine = threading.Lock()
    with pytest.raises(InvalidComponent, match=r"doubler2: its attribute 'mine' cannot be sent .*; make it in setup\(\)"):
        Dataflow({LineReader(): {locked: ("out", "in")}})


def test_a_file_in_memory_is_a_value(out: str) -> None:
    with Dataflow({Tail(io.StringIO("a\nb\n")): {Appender(out): ("out", "in")}}) as p:
        p.send(None)
    assert written(out) == ["a", "b"]


#: A program that does not close its dataflow; ``{0}`` is what it does in the end.
PROGRAM = """
import sys
from pathlib import Path
from pypes.pipeline import Dataflow
from tests.pipeline.of_2010 import Appender, Gate

folder, out = sys.argv[1:]
p = Dataflow({{Gate(folder): {{Appender(out): ("out", "in")}}}}, 2)
for n in range(20):
    p.send(n)
{0}
"""


def program(tmp_path: Path, out: str, end: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM.format(end), str(tmp_path), out]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)


def are_gone(pids: list[int]) -> bool:
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_a_program_that_ends_without_closing_finishes_what_it_sent(tmp_path: Path, out: str) -> None:
    (tmp_path / "open").touch()
    process = program(tmp_path, out, "")
    _, told = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, told) == (0, "")
    assert sorted(written(out), key=int) == [*map(str, range(20))]
    assert are_gone(copies_of(tmp_path))


def test_a_child_that_the_program_forks_does_not_wait_for_the_copies(tmp_path: Path, out: str) -> None:
    end = "import os\nif not (pid := os.fork()): p.close(), sys.exit()\nos.waitpid(pid, 0)\nPath(folder, 'open').touch()"
    end += "\np.close()"
    process = program(tmp_path, out, end)
    _, told = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, told) == (0, "")
    assert len(written(out)) == 20


@pytest.mark.parametrize("end", ["p.close()", "import time; time.sleep(1000)", "for n in range(10_000): p.send(n)"])
def test_an_interrupted_program_leaves_no_process(tmp_path: Path, out: str, end: str) -> None:
    process = program(tmp_path, out, end)
    pids = until(lambda: len(copies_of(tmp_path)) == 2 and copies_of(tmp_path), PATIENCE_S, "both copies work")
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == -signal.SIGINT
    assert told.count("Traceback") == 1
    assert "the dataflow was interrupted" in told
    assert are_gone(pids)
    assert written(out) == []


def test_a_killed_program_leaves_no_process(tmp_path: Path, out: str) -> None:
    process = program(tmp_path, out, "p.close()")
    pids = until(lambda: len(copies_of(tmp_path)) == 2 and copies_of(tmp_path), PATIENCE_S, "both copies work")
    process.kill()
    process.communicate(timeout=PATIENCE_S)
    until(lambda: are_gone(pids), PATIENCE_S, "the copies are gone")
