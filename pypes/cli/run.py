"""``pypes run``: a graph over files or standard input, without server, on as many cores as it is given."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from pypes.cli.batch import IN_FLIGHT, SHOWN_FAILURES, Batch, Job, NotRunning, Tally, read_frame, write_frame
from pypes.cli.catalogue import find_components, load_option
from pypes.cli.feeding.walking import walk
from pypes.cli.pieces import NDJSON, Piece, pieces_of_file, pieces_of_stream, portions
from pypes.core.machine import cores
from pypes.core.paths import Paths
from pypes.core.wording import counted
from pypes.errors import ComponentError, InvalidGraph, InvalidInput
from pypes.graph.codec import loads, to_obj
from pypes.runtime.graphs.check import check


@click.command()
@click.argument("graph", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("files", nargs=-1, type=click.Path(exists=True, allow_dash=True, path_type=Path))
@click.option("--instances", default=1, show_default=True, type=click.IntRange(0), help="Number of processes; 0: one per core.")
@click.option(
    "--type", "content_type", help="Media type of the input; by default derived from the file name, NDJSON for standard input."
)
@load_option
def run(graph: Path, files: tuple[Path, ...], instances: int, content_type: str | None, load_files: tuple[Path, ...]) -> None:
    """Run GRAPH over FILES, directories or standard input (-, the default) and publish what comes of them.

    Blocks until everything is published; exit code 1 if anything failed. Relative paths of publishers start here.
    """
    job = _job(graph, load_files)
    instances = instances or cores()
    if instances > 1 and sys.platform == "win32":
        raise InvalidInput("on Windows a graph runs in one instance: leave --instances out", code="run.instances")
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    paths = [path for path in files if str(path) != "-"]
    total = sum(path.stat().st_size for path in walk(paths)) if paths == list(files) and files else None
    started_s = time.monotonic()
    sum_of_all = Tally()
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task(job.graph["name"], total=total)

        def add(tally: Tally) -> None:
            _add(sum_of_all, tally)
            progress.update(bar, advance=tally.size)

        work = portions(_pieces(files or (Path("-"),), content_type))
        if instances == 1:
            _run_here(job, work, add)
        else:
            _run_in_processes(job, work, add, instances)
    _summarize(console, sum_of_all, time.monotonic() - started_s)
    if sum_of_all.failed:
        raise SystemExit(1)


def _job(path: Path, load_files: tuple[Path, ...]) -> Job:
    """Read and validate the graph; raises ``InvalidGraph`` with all problems."""
    graph = loads(path.read_bytes())
    catalogue = find_components(load_files)
    problems = check(graph, catalogue, os.environ, has_fleet=True, paths=Paths())
    if problems:
        raise InvalidGraph("the graph cannot be run", where=str(path), problems=problems)
    used = {node.component for node in graph.nodes.values()}
    return Job(to_obj(graph), {name: catalogue[name].to_obj() for name in used})


def _pieces(files: Iterable[Path], content_type: str | None) -> Iterator[Piece]:
    for path in files:
        if str(path) == "-":
            yield from pieces_of_stream(standard_input(), content_type or NDJSON)
        else:
            for file in walk([path]):
                yield from pieces_of_file(file, content_type)


def standard_input() -> BinaryIO:
    """Standard input without a buffer: a thread that is interrupted while it reads into one aborts the interpreter."""
    if sys.stdin is None:
        raise InvalidInput("standard input is closed; give FILES, or pipe documents in", code="run.no_input")
    return open(sys.stdin.fileno(), "rb", buffering=0, closefd=False)


def _run_here(job: Job, work: Iterator[list[Piece]], add: Callable[[Tally], None]) -> None:
    waiting: queue.Queue[list[Piece] | None] = queue.Queue(IN_FLIGHT)
    errors: list[BaseException] = []

    def read() -> None:
        try:
            for portion in work:
                waiting.put(portion)
        except Exception as error:  # raised again below, in the thread that can tell the user
            errors.append(error)
        waiting.put(None)

    with Batch(job) as batch:
        # a thread of its own, because reading standard input may wait while there are results to show
        threading.Thread(target=read, daemon=True).start()
        for tally in batch.run(waiting):
            add(tally)
    if errors:
        raise errors[0]


def _run_in_processes(job: Job, work: Iterator[list[Piece]], add: Callable[[Tally], None], instances: int) -> None:
    """Hand portions to processes, each two ahead, so that none waits for the next while the last is being committed."""
    lock = threading.Lock()
    errors: list[BaseException] = []
    children = [_Child(job) for _ in range(instances)]

    def take() -> list[Piece] | None:
        with lock:
            return None if errors else next(work, None)

    def drive(child: _Child) -> None:
        try:
            for tally in child.run(take):
                with lock:
                    add(tally)
        except Exception as error:  # raised again below, in the thread that can tell the user
            errors.append(error)

    threads = [threading.Thread(target=drive, args=(child,)) for child in children]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        for child in children:
            child.stop()
    if errors:
        raise errors[0]


class _Child:
    """The process of one instance, and the pipe on which it reports."""

    def __init__(self, job: Job) -> None:
        reading, writing = os.pipe()
        self._reports = os.fdopen(reading, "rb")
        command = [sys.executable, "-m", "pypes.cli.batch", str(writing)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=(writing,))
        os.close(writing)
        assert self._process.stdin is not None
        self._commands = self._process.stdin
        write_frame(self._commands, job)

    def run(self, take: Callable[[], list[Piece] | None]) -> Iterator[Tally]:
        """Work until ``take`` gives nothing more; raises ``ComponentError`` if the process dies."""
        outstanding = 0
        is_open = True
        while is_open or outstanding:
            while is_open and outstanding < IN_FLIGHT:
                portion = take()
                if portion is None:
                    is_open = False
                    self._commands.close()
                else:
                    write_frame(self._commands, portion)
                    outstanding += 1
            if not outstanding:
                break
            report = read_frame(self._reports)
            if report is None:
                raise ComponentError(
                    (
                        f"an instance died with exit code {self._process.wait()}; the documents in progress may be "
                        "unpublished; run them again"
                    ),
                    code="run.instance_died",
                )
            outstanding -= 1
            tally = msgspec.msgpack.decode(report, type=Tally | NotRunning)
            if isinstance(tally, NotRunning):
                raise ComponentError(tally.message, code=tally.code, where=tally.where)
            yield tally
        if self._process.wait():
            raise ComponentError(f"an instance ended with exit code {self._process.returncode}", code="run.instance_died")

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._reports.close()


def _add(total: Tally, tally: Tally) -> None:
    total.size += tally.size
    total.published += tally.published
    total.dropped += tally.dropped
    total.failed += tally.failed
    total.failures += tally.failures[: SHOWN_FAILURES - len(total.failures)]
    for filter, counts in tally.counts.items():
        totals = total.counts.setdefault(filter, {})
        for name, n in counts.items():
            totals[name] = totals.get(name, 0) + n


def _summarize(console: Console, tally: Tally, passed_s: float) -> None:
    done = tally.published + tally.dropped + tally.failed
    console.print(
        f"{counted(done, 'document')} in {passed_s:.1f} s ({done / max(passed_s, 1e-9):,.0f}/s):"
        f" {tally.published} published, {tally.dropped} dropped, {tally.failed} failed"
    )
    for filter, totals in sorted(tally.counts.items()):
        console.print(f"{filter}: {', '.join(f'{n} {name}' for name, n in sorted(totals.items()))}", markup=False)
    for where, filter, code, error in tally.failures:
        console.print(f"failed: {where}: {f'{filter}: ' if filter else ''}{error} [{code}]", markup=False)
    if tally.failed > len(tally.failures):
        console.print(f"… {tally.failed} documents failed in all")
