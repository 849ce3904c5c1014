"""Programs and processes that components start."""

from __future__ import annotations

import multiprocessing
import signal
import subprocess
from collections.abc import Iterator

PATIENCE_S = 10.0
ENDED = [-signal.SIGTERM, -signal.SIGINT, -signal.SIGTERM]


def programs() -> Iterator[int | None]:
    """Exit statuses of two programs and a forked process that were sent a signal (:data:`ENDED`); ``None``: it lives on."""
    for number in (signal.SIGTERM, signal.SIGINT):
        program = subprocess.Popen(["sleep", "60"])
        program.send_signal(number)
        try:
            yield program.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            program.kill()
            program.wait()
            yield None
    forked = multiprocessing.get_context("fork").Process(target=signal.pause)
    forked.start()
    forked.terminate()
    forked.join(PATIENCE_S)
    yield forked.exitcode
    forked.kill()
    forked.join()
