"""Ctrl-C ends a run, whatever it is at, and says what was done."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psutil
import pytest

from pypes.testing.node import until
from tests.cli.running.graphs import command, write

PATIENCE_S = 60.0
#: To all processes that a terminal runs, and to the command alone.
WAYS: list[Callable[[int, int], None]] = [os.killpg, os.kill]


def begun(place: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """The command, in a process group of its own."""
    # who runs the tests in the background has a shell that ignores it for them
    heard = partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    pipe = subprocess.PIPE
    whole = command("--load", "components.py", *arguments, "tried.json", "-")
    return subprocess.Popen(whole, cwd=place, preexec_fn=heard, stdin=pipe, stdout=pipe, stderr=pipe, process_group=0)


def give(process: subprocess.Popen[bytes], data: bytes) -> None:
    """Documents, after which there may be more."""
    assert process.stdin is not None
    process.stdin.write(data)
    process.stdin.flush()


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def ended(process: subprocess.Popen[bytes], way: Callable[[int, int], None]) -> tuple[str, str]:
    """Interrupt it; returns its output when neither it nor any process that it started is left."""
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    way(process.pid, signal.SIGINT)
    out, said = process.communicate(timeout=60)
    until(lambda: not any(map(is_alive, family)), PATIENCE_S, "the end of all processes")
    assert process.returncode == 130, said
    assert b"Traceback" not in said
    return out.decode(), said.decode()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("how", ["sleep", "native", "call", "swallow"])
def test_it_ends_whatever_a_component_does(tmp_path: Path, how: str, way: Callable[[int, int], None]) -> None:
    write(tmp_path, "Hangs")
    with begun(tmp_path) as process:
        give(process, b'{"how": "%s"}\n' % how.encode())
        until((tmp_path / "at-work").exists, PATIENCE_S, "a component at work")
        _, said = ended(process, way)
    assert said.startswith("interrupted; documents that were in the graph may be published in part: run them again\n0 documents")
    assert "0 published, 0 dropped, 0 failed" in said


def test_it_ends_although_a_component_does_not_tear_down(tmp_path: Path) -> None:
    write(tmp_path, "HangsAtTheEnd")
    with begun(tmp_path) as process:
        give(process, b'{"how": "sleep"}\n')
        until((tmp_path / "at-work").exists, PATIENCE_S, "a component at work")
        _, said = ended(process, os.killpg)
    assert said.startswith("interrupted; ")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("options", [("--instances", "2"), ("--pool", "tried=processes:2"), ("--pool", "tried=threads:2")])
def test_it_ends_with_all_of_its_processes(tmp_path: Path, options: tuple[str, ...], way: Callable[[int, int], None]) -> None:
    write(tmp_path, "Hangs")
    with begun(tmp_path, *options) as process:
        give(process, b'{"how": "native"}\n' * 10)
        until((tmp_path / "at-work").exists, PATIENCE_S, "a component at work")
        _, said = ended(process, way)
    assert said.startswith("interrupted; ")


@pytest.mark.parametrize("options", [(), ("--instances", "2")])
def test_what_was_done_is_told_also_as_json(tmp_path: Path, options: tuple[str, ...]) -> None:
    write(tmp_path, "Process")
    with begun(tmp_path, "--json", *options) as process:
        give(process, b'{"n": 1}\n')
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["n"] == 1
        out, said = ended(process, os.killpg)
    found = json.loads(out.splitlines()[-1])
    assert said == ""
    assert (found["interrupted"], found["failed"]) == (True, 0)
    assert found["published"] in (0, 1)  # an instance tells it when it has heard that the line is committed
