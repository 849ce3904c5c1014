"""A server's process: it is up when its port answers, and is ended by its id however the tests end."""

from __future__ import annotations

import importlib.util
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pypes.testing.node import until
from tests.needed import missing

#: Seconds that a server has to come up, on a machine that is busy.
READY_S = 60.0
#: Seconds that it has to go by itself.
STOP_S = 10.0
INSTALL = 'pip install -e ".[servers]"'


def home_of(module: str) -> Path:
    """The folder of an installed package; skips the test, or fails it on CI, where it is missing."""
    found = importlib.util.find_spec(module)
    if found is None or found.origin is None:
        missing(f"{module} is not installed: {INSTALL}")
        raise AssertionError
    return Path(found.origin).parent


def listens(port: int) -> bool:
    """True if somebody takes connections there."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def running(
    command: Sequence[object],
    port: int,
    log: Path,
    stop: signal.Signals = signal.SIGTERM,
    is_ready: Callable[[], bool] = lambda: True,
    **options: Any,
) -> Iterator[subprocess.Popen[bytes]]:
    """The process of a command while it serves ``port`` of loopback, and ``is_ready``; ``options`` are those of ``Popen``.

    Its standard input is a pipe that ends with this process, whatever that one dies of: servers that watch it go as well.
    """
    with log.open("ab") as out:
        process = subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.PIPE, stdout=out, stderr=subprocess.STDOUT, **options
        )
    try:
        until(lambda: process.poll() is not None or (listens(port) and is_ready()), READY_S, f"{command[0]} takes connections")
        if process.poll() is not None:
            raise RuntimeError(f"{command[0]} has ended with {process.returncode}:\n{log.read_text(errors='replace')[-2000:]}")
        yield process
    finally:
        end(process, stop)


def end(process: subprocess.Popen[bytes], stop: signal.Signals = signal.SIGTERM) -> None:
    """End a process and wait for it; it is killed if it does not go by itself."""
    assert process.stdin is not None
    process.stdin.close()
    process.send_signal(stop)
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
