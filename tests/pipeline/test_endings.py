"""Ends of programs that run pipelines: real processes, interrupted or simply over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pypes.testing.node import until

PROGRAM = """
import sys, time
from pypes import Pipeline, node

def work(number):
    time.sleep(0.01 if number != 5 or sys.argv[1] != "hangs" else 1000)
    return number

def items():
    number = 0
    while number < 3 or sys.argv[1] != "blocked":
        yield number
        number += 1
    time.sleep(1000)

places = {"here": {}, "threads": {"threads": 2}, "processes": {"processes": 2, "stride": 2}}

if __name__ == "__main__":
    place = places[sys.argv[2]]
    pipeline = Pipeline(node(work, **place) if place else work)
    for result in pipeline.run(items()):
        print(result, flush=True)
        if sys.argv[1] == "raises":
            raise ValueError("of the user")
        if sys.argv[1] == "ends":
            break
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    return path


def started(program: Path, *args: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", str(program), *args]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def group_is_gone(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.skipif(sys.platform == "win32", reason="process groups of POSIX")
@pytest.mark.parametrize("place", ["here", "threads", "processes"])
@pytest.mark.parametrize("case", ["runs", "hangs", "blocked"])
@pytest.mark.parametrize("whom", ["group", "parent"])
def test_an_interruption_ends_all_of_it_with_one_traceback(program: Path, place: str, case: str, whom: str) -> None:
    process = started(program, case, place)
    try:
        assert process.stdout is not None
        for _ in range(3):
            process.stdout.readline()
        (os.killpg if whom == "group" else os.kill)(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=20)
        assert process.returncode == -signal.SIGINT
        assert errors.count("Traceback") == 1
        assert errors.splitlines()[-1] == "KeyboardInterrupt"
        until(lambda: group_is_gone(process.pid), 20, "no process of it is left")
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


@pytest.mark.skipif(sys.platform == "win32", reason="process groups of POSIX")
@pytest.mark.parametrize("place", ["here", "threads", "processes"])
@pytest.mark.parametrize(("case", "last"), [("raises", "ValueError: of the user"), ("ends", "")])
def test_a_program_that_closes_nothing_ends_all_the_same(program: Path, place: str, case: str, last: str) -> None:
    process = started(program, case, place)
    _, errors = process.communicate(timeout=20)
    assert "".join(errors.splitlines()[-1:]) == last
    until(lambda: group_is_gone(process.pid), 20, "no process of it is left")
