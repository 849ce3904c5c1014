"""Children: the processes of several instances, which take portions of work from one queue."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import msgspec

from pypes.cli.running.batch import IN_FLIGHT, Job, read_frame, write_frame
from pypes.cli.running.pieces import Piece
from pypes.cli.running.tally import NotRunning, Report
from pypes.core.signals import held_back
from pypes.errors import ComponentError

#: Portions of work, and ``None`` at the end.
Work = queue.Queue[list[Piece] | None]


def run_in_processes(job: Job, work: Work, add: Callable[[Report, int], None], instances: int) -> None:
    """Hand portions to processes, each two ahead, so that none waits for the next while the last is being committed.

    Blocks until all is done. Whatever it raises, ``KeyboardInterrupt`` included, the processes are killed first.
    """
    lock = threading.Lock()
    ends: queue.SimpleQueue[Exception | None] = queue.SimpleQueue()
    children: list[_Child] = []

    def drive(number: int, child: _Child) -> None:
        try:
            for report in child.run(work):
                with lock:
                    add(report, number)
        except Exception as error:  # raised below, in the thread that can tell the user
            ends.put(error)
        else:
            ends.put(None)

    try:
        for _ in range(instances):
            children.append(_Child(job))
        for number, child in enumerate(children):
            # a daemon: it may wait for input that does not come, when the command ends
            threading.Thread(target=drive, args=(number, child), daemon=True).start()
        for _ in children:
            error = ends.get()
            if error is not None:
                raise error
    finally:
        for child in children:
            child.kill()
        for child in children:
            child.reap()


class _Child:
    """The process of one instance, and the pipe on which it reports."""

    def __init__(self, job: Job) -> None:
        reading, writing = os.pipe()
        self._reports = os.fdopen(reading, "rb")
        command = [sys.executable, "-m", "pypes.cli.running.batch", str(writing)]
        with held_back():
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=(writing,))
        os.close(writing)
        assert self._process.stdin is not None
        self._commands = self._process.stdin
        write_frame(self._commands, job)

    def run(self, work: Work) -> Iterator[Report]:
        """Work until the queue says that nothing more comes; raises ``ComponentError`` if the process dies."""
        outstanding = 0
        is_open = True
        while is_open or outstanding:
            while is_open and outstanding < IN_FLIGHT:
                try:
                    portion = work.get(block=not outstanding)
                except queue.Empty:
                    break
                if portion is None:
                    work.put(None)  # for the others
                    is_open = False
                    self._commands.close()
                else:
                    write_frame(self._commands, portion)
                    outstanding += 1
            if not outstanding:
                break
            report = self._read()
            outstanding -= report.portions
            yield report
        if self._process.wait():
            raise ComponentError(f"an instance ended with exit code {self._process.returncode}", code="run.instance_died")

    def _read(self) -> Report:
        """The next report; raises ``ComponentError`` if there is none."""
        frame = read_frame(self._reports)
        if frame is None:
            raise ComponentError(
                (
                    f"an instance died with exit code {self._process.wait()}; the documents in progress may be "
                    "unpublished; run them again"
                ),
                code="run.instance_died",
            )
        report = msgspec.msgpack.decode(frame, type=Report | NotRunning)
        if isinstance(report, NotRunning):
            raise ComponentError(report.message, code=report.code, where=report.where)
        return report

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()

    def reap(self) -> None:
        """Block until the process is gone, which was killed or has ended by itself."""
        self._process.wait()
        self._reports.close()
