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

MAKES = {
    "threads": "Pipeline(node(same, threads=2))",
    "processes": "Pipeline(node(same, processes=2))",
    "instances": "Pipeline(same, instances=2)",
    "graph": "Pipeline(same, node(same, processes=1), same)",
}


def says(program: str) -> list[str]:
    command = [sys.executable, "-W", "error", "-W", "ignore:This process:DeprecationWarning", "-c", PROGRAM + program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=2 * PATIENCE_S)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


@pytest.mark.parametrize("make", MAKES.values(), ids=MAKES)
def test_a_child_cannot_use_the_pipeline_of_its_parent(make: str) -> None:
    program = f"""
with {make} as p:
    for use in (lambda: p.push([1]), lambda: [*p.run(range(300))], lambda: p.start([1]), p.trigger, lambda: [*results]):
        results = p.run(iter(range(300)))
        first = next(results)
        print(in_child(use), [first, *results] == [*range(300)])
"""
    assert says(program) == ["pipeline.forked True"] * 5


@pytest.mark.parametrize("make", MAKES.values(), ids=MAKES)
def test_a_child_leaves_the_pipeline_of_its_parent_at_once(make: str) -> None:
    """Also while it is in use: what the child ends is not the parent's."""
    program = f"""
def close():
    begun = time.monotonic()
    p.close()
    return time.monotonic() - begun < 1  # before: 2 s and more

with {make} as p:
    results = p.run(iter(range(3000)))
    first = next(results)
    print(in_child(close))
    print([first, *results] == [*range(3000)])
"""
    assert says(program) == ["True", "True"]


def test_a_child_can_use_what_needs_no_threads_and_what_it_makes() -> None:
    program = """
def make():
    with Pool(processes=1) as pool, Pipeline(node(same, pool=pool)) as own, Pipeline(node(same, threads=1)) as other:
        return own.push([1, 2]) + other.push([3])

with Pipeline(same, same) as plain, Pipeline(node(same, processes=1)) as p:
    p.push([1])
    print(in_child(lambda: plain.push([1, 2]) + plain.push([3])))
    print(in_child(lambda: plain.close() or plain.push([3])))
    print(plain.push([3]))
    print(in_child(make))
    print(p.push([4]))
"""
    assert says(program) == ["[1, 2, 3]", "pipeline.closed", "[3]", "[1, 2, 3]", "[4]"]


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_a_child_cannot_use_the_pool_of_its_parent(kind: str) -> None:
    program = f"""
with Pool({kind}=2) as pool, Pipeline(node(same, pool=pool)) as p:
    print(in_child(lambda: Pipeline(node(same, pool=pool))))
    print(in_child(pool.close))
    print(p.push([1, 2]))
"""
    assert says(program) == ["pipeline.forked", "None", "[1, 2]"]


def test_a_child_has_no_part_in_a_run_of_its_parent() -> None:
    program = """
import threading
go = threading.Event()

def wait(value):
    return go.wait(20)

with Pipeline(node(wait, threads=1)) as p, p.bucket() as bucket:
    bucket.put(1)
    for use in (lambda: bucket.put(2), lambda: p._run.wait(), lambda: p._run.pause(), lambda: p._run.stop(), lambda: p.push([1])):
        print(in_child(use))
    go.set()
print(p._run.state, p._run.count)
"""
    assert says(program) == ["pipeline.forked"] * 3 + ["None", "pipeline.forked", "done 1"]


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
