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
    time.sleep(0.01)
    while number == 5 and sys.argv[1] == "hangs":
        time.sleep(0.1)  # an interruption may come just before a sleep, which would not be ended by it
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

#: The signal goes to another thread: it ends no call of the kernel in the main thread, as one does not that comes just before it.
UNHEARD = """
import _thread, signal, sys, threading, time, traceback
from itertools import count
from pypes import Pipeline, Transformer, node
from pypes.pipeline import Dataflow

class Never(Transformer):
    def process(self, packet):
        time.sleep(1000)

class NeverReady(Transformer):
    def setup(self):
        time.sleep(1000)

def waits(within):
    # True if the main thread waits for another one somewhere in a function
    innermost = sys._current_frames()[threading.main_thread().ident]
    names = [frame.f_code.co_name for frame, _ in traceback.walk_stack(innermost)]
    waiter = innermost.f_locals.get("waiter")  # of a condition that may have been told by now
    return names[0] in WAITS and within in names and "start" not in names and (waiter is None or waiter.locked())

def interrupt(within):
    while not waits(within):
        time.sleep(0.001)
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)

def interrupt_what_waits(within):
    _thread.start_new_thread(interrupt, (within,))

WAITS = ("wait", "drain", "setup", "<listcomp>", "next_of", "next_within")

def same(item):
    return item

def spread(item):
    yield item

def stuck(item):
    interrupt_what_waits("put")
    while not is_released:
        time.sleep(0.01)

def fails(item):
    if item:
        time.sleep(1000)
    raise ValueError("of the user")

is_released = False
forms = {
    "here": lambda: Pipeline(same),
    "threads": lambda: Pipeline(node(same, threads=2)),
    "processes": lambda: Pipeline(node(same, processes=2, stride=2)),
    "stream": lambda: Pipeline(spread),
    "graph": lambda: Pipeline(nodes={"a": same, "b": node(same, threads=2)}, wires=[("a.out", "b.in")]),
    "instances": lambda: Pipeline(same, instances=2),
}

def items():
    yield from range(3)
    time.sleep(1000)

def in_run():
    for result in forms[sys.argv[2]]().run(items()):
        if result == 2:
            interrupt_what_waits("wait")

def in_background():
    run = forms[sys.argv[2]]().start(items())
    interrupt_what_waits("wait")
    run.wait()

def in_put():
    global is_released
    with Pipeline(stuck, buffer=2).bucket() as bucket:
        try:
            for number in count():
                bucket.put(number)
        finally:
            is_released = True

def in_drain():
    pipeline = {
        "threads": lambda: Pipeline(node(fails, threads=2, stride=1), errors="raise"),
        "graph": lambda: Pipeline(node(fails, threads=2, stride=1), same, errors="raise"),
        "instances": lambda: Pipeline(fails, instances=2, errors="raise"),
    }[sys.argv[2]]()
    interrupt_what_waits("drain")
    for _ in pipeline.run([0, 1]):
        pass

def in_setup():
    interrupt_what_waits("setup")
    Pipeline(node(NeverReady(), **{sys.argv[2]: 1}))

def in_dataflow():
    flow = Dataflow({Never(): {}}, 1)
    interrupt_what_waits(sys.argv[2])
    for number in count() if sys.argv[2] == "send" else range(3):
        flow.send(number)
    flow.close()

if __name__ == "__main__":
    globals()[sys.argv[1]]()
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
@pytest.mark.parametrize(
    ("what", "form"),
    [
        *(("in_run", form) for form in ("here", "threads", "processes", "stream", "graph", "instances")),
        *(("in_background", form) for form in ("here", "processes")),
        ("in_put", ""),
        *(("in_drain", form) for form in ("threads", "graph", "instances")),
        *(("in_setup", form) for form in ("threads", "processes")),
        *(("in_dataflow", form) for form in ("send", "close")),
    ],
)
def test_an_interruption_that_no_wait_hears_ends_it_all_the_same(tmp_path: Path, what: str, form: str) -> None:
    path = tmp_path / "unheard.py"
    path.write_text(UNHEARD)
    process = started(path, what, form)
    try:
        _, errors = process.communicate(timeout=20)
        assert process.returncode == -signal.SIGINT
        assert errors.count("Traceback") == 1
        assert "KeyboardInterrupt" in errors.splitlines()
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
