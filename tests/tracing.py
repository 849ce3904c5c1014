"""strace, for tests that must see what reaches the kernel."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from pypes.testing.node import until
from tests.needed import missing


def needs_strace() -> str:
    """Path of strace; without it the test is skipped, and fails where ``CI`` is set."""
    found = shutil.which("strace")
    if found is None:
        missing("strace is not there: apt-get install strace")
    return found or ""


@contextmanager
def traced(pid: int, *options: str) -> Iterator[None]:
    """A running process with all its threads under strace, from here to the end of the block."""
    tracer = subprocess.Popen([needs_strace(), "-f", *options, "-p", str(pid)], stderr=subprocess.PIPE, text=True)
    assert tracer.stderr is not None
    try:
        said: list[str] = []

        def attached() -> bool:
            said.append(tracer.stderr.readline())  # type: ignore[union-attr]
            if "Operation not permitted" in said[-1]:
                missing("this machine does not let a process be traced")
            return "attached" in said[-1] or tracer.poll() is not None

        until(attached, 10, "strace attached")
        assert tracer.poll() is None, said
        yield
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait(10)
        tracer.stderr.close()
