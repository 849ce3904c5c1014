"""What an isolated component does to its process costs one packet, and a process never outlives its owner."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from pypes.packet import Packet
from pypes.placement import isolate
from pypes.runtime.scheduler import Epoch, Feed, Scheduler
from pypes.testing.node import until
from tests.placement import samples
from tests.placement.isolating import LIMITS, does, graph, run


@pytest.mark.parametrize(("what", "reason"), [("crash", "SIGSEGV"), ("abort", "SIGABRT")])
def test_a_crash_costs_one_packet(what: str, reason: str) -> None:
    found, [letter] = does(what)
    assert not found
    assert (letter.code, letter.error) == ("isolated.killed", f"killed by {reason} in filter component")


def test_an_exit_costs_one_packet() -> None:
    _, [letter] = does("die")
    assert (letter.code, letter.error) == ("isolated.killed", "exited with status 3 in filter component")


@pytest.mark.parametrize("what", ["hang", "hang_deaf"])
def test_a_packet_that_takes_too_long_costs_itself(what: str) -> None:
    _, [letter] = does(what, timeout_s=1.0)
    assert (letter.code, letter.error) == ("isolated.timeout", "not done after 1 s in filter component")


def test_what_a_component_started_ends_with_it(tmp_path: Path) -> None:
    _, [letter] = does("hang_with_tool", timeout_s=1.0, data_dir=tmp_path)
    assert letter.code == "isolated.timeout"
    tool = Path("/proc", (tmp_path / "tool").read_text(), "stat")
    until(lambda: not tool.exists() or tool.read_text().rpartition(")")[2].split()[0] == "Z", 10, "the tool has ended")


def test_memory_is_bounded() -> None:
    _, [letter] = does("exhaust")
    assert (letter.code, letter.error) == ("component.raised", "MemoryError")
    assert "return bytearray(4 << 30)" in letter.traceback


def test_packets_do_not_pay_for_those_before_them() -> None:
    found, letters = does(*["leak"] * 8)
    assert len(found) == 8
    assert not letters
    assert len({packet.get_meta("pid") for packet in found}) > 1


def test_nobody_pays_for_a_kill_from_outside(tmp_path: Path) -> None:
    found, letters = does("killed_once", data_dir=tmp_path)
    assert len(found) == 1
    assert not letters


def test_the_first_packet_does_not_pay_either(tmp_path: Path) -> None:
    found = run(samples.Apart(), [Packet({"do": "killed_once"})], data_dir=tmp_path)
    assert len(found.packets) == 1
    assert not found.dead_letters


@pytest.mark.skipif(sys.platform != "linux", reason="only /proc tells that a process is stopped")
def test_nobody_pays_for_a_pause(tmp_path: Path) -> None:
    """A process that is stopped from outside for longer than a packet may take is replaced, and the packet runs again."""
    waits = isolate(samples.WaitsForFile(), limits=LIMITS, timeout_s=1.0)
    waits.data_dir = str(tmp_path)
    done: list[Epoch] = []
    scheduler = Scheduler(graph("waits"), {"waits": waits}, on_done=done.append)
    scheduler.setup()
    try:
        scheduler.submit(Feed(iter([("waits", [Packet()], (0,))]), 1))
        scheduler.run()
        pid = int(until(lambda: (tmp_path / "waits").exists() and (tmp_path / "waits").read_text(), 10, "it has begun"))
        os.kill(pid, signal.SIGSTOP)
        (tmp_path / "go").touch()
        scheduler.drain()
        assert not psutil.pid_exists(pid)
    finally:
        scheduler.teardown()
    assert not done[0].dead_letters


def test_a_process_that_does_not_end_is_killed() -> None:
    assert len(run(samples.Stays(), [Packet()]).packets) == 1


def test_ended_in_the_middle_of_a_packet() -> None:
    made = isolate(samples.Apart(), limits=LIMITS)
    scheduler = Scheduler(graph("made"), {"made": made})
    scheduler.setup()
    scheduler.submit(Feed(iter([("made", [Packet({"do": "hang_deaf"})], (0,))]), 1))
    scheduler.run()
    assert scheduler.awaits_something
    scheduler.teardown()


#: Runs a component that hangs, says so, and waits to be killed.
OWNER = """
import sys
from pypes.core.limits import Limits
from pypes.graph.model import Graph, GraphNode
from pypes.packet import Packet
from pypes.placement import isolate
from pypes.runtime.scheduler import Feed, Scheduler
from tests.placement import samples
from tests.placement.isolating import LIMITS, does, graph, run
from tests.runtime.scheduler.exceptions import RAISING

scheduler = Scheduler(Graph("g", {"a": GraphNode("a", "x", {})}, ()), {"a": isolate(samples.Apart(), limits=Limits())})
scheduler.setup()
if sys.argv[1] != "idle":
    scheduler.submit(Feed(iter([("a", [Packet({"do": sys.argv[1]})], (0,))]), 1))
    scheduler.run()
print("up", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("doing", ["idle", "hang_deaf"])
def test_it_does_not_outlive_a_killed_instance(doing: str) -> None:
    command = [sys.executable, "-c", OWNER, doing]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        try:
            assert owner.stdout is not None
            assert owner.stdout.readline() == b"up\n"
        finally:
            owner.send_signal(signal.SIGKILL)
        # the child holds the other end of this pipe: it reads as ended only when the child is gone
        assert select.select([owner.stdout], [], [], 10)[0]
        assert owner.stdout.read() == b""
