"""Programs that fork: a pipeline is that of the process where it was made, and a pool worker that is forked is none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pypes.testing.node import until

PATIENCE_S = 30

#: What a child does with the pipeline ``p`` of its parent, and says of it.
PROGRAM = """
import os, sys, time, traceback
from pypes.errors import ComponentError
from pypes import Pipeline, Pool, node

def same(value):
    return value

def in_child(do):
    \"\"\"The outcome in a child, which is ended after some time.\"\"\"
    read, write = os.pipe()
    if not (pid := os.fork()):
        try:
            said = repr(do())
        except ComponentError as error:
            said = error.code
        except BaseException:
            said = traceback.format_exc()
        os.write(write, said.encode())
        os._exit(0)
    os.close(write)
    import select
    if not select.select([read], [], [], 20)[0]:
        os.kill(pid, 9)
    os.waitpid(pid, 0)
    return os.read(read, 10_000).decode()
"""


def says(program: str) -> list[str]:
    command = [sys.executable, "-W", "error", "-W", "ignore:This process:DeprecationWarning", "-c", PROGRAM + program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=2 * PATIENCE_S)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


@pytest.mark.parametrize("end", ["pass", "sys.exit()", "raise ValueError"])
@pytest.mark.parametrize("place", ["threads=2", "processes=2", "processes=2, stride=4"])
def test_a_process_that_a_function_forks_ends_with_the_function(tmp_path: Path, place: str, end: str) -> None:
    program = f"""
folder = {str(tmp_path)!r}

def fork(value):
    if value == 2 and not os.fork():
        open(f"{{folder}}/{{os.getpid()}}", "x").close()
        {end}
    open(f"{{folder}}/seen-{{value}}-{{os.getpid()}}", "x").close()
    return value

with Pipeline(node(fork, {place})) as p:
    print([*p.run(range(8))])
    print([*p.run(range(10, 18))])
"""
    assert says(program) == [str([*range(8)]), str([*range(10, 18)])]
    child = until(lambda: [name for file in tmp_path.iterdir() if (name := file.name).isdigit()], PATIENCE_S, "it has begun")
    until(lambda: not Path("/proc", *child, "cmdline").exists(), PATIENCE_S, "the forked process has ended")
    seen = sorted(file.name.split("-")[1] for file in tmp_path.glob("seen-*") if file.name.split("-")[2] in child)
    assert seen in ([], ["2"])  # it has not gone on with other items
