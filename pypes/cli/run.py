"""``pypes run``: a graph over files or standard input, without server, on as many cores as it is given."""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import click
from rich.console import Console

from pypes.cli.catalogue import find_components, load_option
from pypes.cli.feeding.walking import walk
from pypes.cli.running.batch import IN_FLIGHT, Batch, Job
from pypes.cli.running.children import Work, run_in_processes
from pypes.cli.running.interruption import INTERRUPTED, ended_when_interrupted
from pypes.cli.running.pieces import Piece, pieces_of_file, pieces_of_stream, portions
from pypes.cli.running.pool_option import with_pools
from pypes.cli.running.progress import shown, writes_to_terminal
from pypes.cli.running.summary import as_obj, summarize
from pypes.cli.running.tally import Report, Standing
from pypes.core.machine import cores
from pypes.core.paths import Paths
from pypes.errors import InvalidGraph, InvalidInput
from pypes.graph.codec import to_obj
from pypes.graph.composite_files import read_file
from pypes.graph.model import Graph
from pypes.graph.plan import Plan
from pypes.graph.spec import ComponentSpec
from pypes.runtime.graphs.check import check


@click.command()
@click.argument("graph", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("files", nargs=-1, type=click.Path(exists=True, allow_dash=True, path_type=Path))
@click.option("--instances", default=1, show_default=True, type=click.IntRange(0), help="Number of processes; 0: one per core.")
@click.option(
    "--pool",
    "pools",
    multiple=True,
    metavar="FILTER=POOL",
    help="Have a filter run in processes:4 or threads:8 of its own in each instance, whatever the graph says; none: in no pool.",
)
@click.option(
    "--type",
    "content_type",
    help="Media type of the input; by default derived from the file name, and JSON on standard input: lines, an array or object.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON, as the last line of standard output.")
@load_option
def run(
    graph: Path,
    files: tuple[Path, ...],
    instances: int,
    pools: tuple[str, ...],
    content_type: str | None,
    as_json: bool,
    load_files: tuple[Path, ...],
) -> None:
    """Run GRAPH over FILES, directories or standard input (-, the default) and publish what comes of them.

    Blocks until everything is published, then tells what each filter did; exit code 1 if anything failed, 130 after Ctrl-C.
    Relative paths of publishers start here.
    """
    ending = Ending(Console(stderr=True, highlight=False, soft_wrap=True), as_json=as_json)
    try:
        with ended_when_interrupted(lambda: ending.tell(is_interrupted=True)):
            _run(ending, graph, files, instances, pools, content_type, load_files)
    except KeyboardInterrupt:
        ending.tell(is_interrupted=True)
        raise SystemExit(INTERRUPTED) from None
    ending.tell()
    if ending.standing.so_far.failed:
        raise SystemExit(1)


class Ending:
    """The end of a run, told once: by whoever comes first of the run itself and the thread that ends it when interrupted."""

    def __init__(self, console: Console, *, as_json: bool) -> None:
        self.console = console
        self.standing = Standing()
        self.graph: Graph | None = None
        self.began_s = time.monotonic()
        self._as_json = as_json
        self._telling = threading.Lock()
        self._is_told = False

    def tell(self, *, is_interrupted: bool = False) -> None:
        """Print the summary; blocks while somebody else does."""
        with self._telling:
            if not self._is_told:
                self._is_told = True
                self._tell(is_interrupted=is_interrupted)

    def _tell(self, *, is_interrupted: bool) -> None:
        if self.graph is None:
            self.console.print("interrupted before anything was run")
            return
        passed_s, tally, filters = time.monotonic() - self.began_s, self.standing.so_far, Plan(self.graph).order
        if self._as_json:
            obj = as_obj(self.graph.name, tally, passed_s, filters, is_interrupted=is_interrupted)
            click.echo(json.dumps(obj, ensure_ascii=False))
        else:
            summarize(self.console, tally, passed_s, filters, is_interrupted=is_interrupted)


def _run(
    ending: Ending,
    path: Path,
    files: tuple[Path, ...],
    instances: int,
    pools: tuple[str, ...],
    content_type: str | None,
    load_files: tuple[Path, ...],
) -> None:
    graph, catalogue = _checked(path, pools, load_files)
    used = {node.component for node in graph.nodes.values()}
    job = Job(to_obj(graph), {name: catalogue[name].to_obj() for name in used})
    instances = instances or cores()
    if instances > 1 and sys.platform == "win32":
        raise InvalidInput("on Windows a graph runs in one instance: leave --instances out", code="run.instances")
    named = [path for path in files if str(path) != "-"]
    total = sum(path.stat().st_size for path in walk(named)) if named == list(files) and files else None
    ending.graph, ending.began_s = graph, time.monotonic()
    with shown(ending.console, graph.name, total, is_wanted=not writes_to_terminal(graph, catalogue)) as progress:

        def add(report: Report, instance: int = 0) -> None:
            ending.standing.add(report, instance)
            progress.show(ending.standing)

        work = Reading(portions(_pieces(files or (Path("-"),), content_type)))
        if instances == 1:
            _run_here(job, work.found, add)
        else:
            run_in_processes(job, work.found, add, instances)
    work.check()


def _checked(path: Path, pools: Iterable[str], load_files: tuple[Path, ...]) -> tuple[Graph, Mapping[str, ComponentSpec]]:
    """Read and validate the graph, with the pools that were given beside it; raises ``InvalidGraph`` with all problems."""
    catalogue = find_components(load_files)
    expanded = read_file(path, catalogue)
    graph, problems = with_pools(expanded.graph, pools)
    problems += [expanded.retold(each) for each in check(graph, catalogue, os.environ, has_fleet=True, paths=Paths())]
    if problems:
        raise InvalidGraph("the graph cannot be run", where=str(path), problems=problems)
    return graph, catalogue


def _pieces(files: Iterable[Path], content_type: str | None) -> Iterator[Piece]:
    for path in files:
        if str(path) == "-":
            yield from pieces_of_stream(standard_input(), content_type)
        else:
            for file in walk([path]):
                yield from pieces_of_file(file, content_type)


def standard_input() -> BinaryIO:
    """Standard input without a buffer: a thread that is interrupted while it reads into one aborts the interpreter."""
    if sys.stdin is None:
        raise InvalidInput("standard input is closed; give FILES, or pipe documents in", code="run.no_input")
    return open(sys.stdin.fileno(), "rb", buffering=0, closefd=False)


class Reading:
    """Reads the input in a thread of its own, because standard input may wait while there are results to show."""

    def __init__(self, portions: Iterator[list[Piece]]) -> None:
        #: Portions of work, and ``None`` at the end.
        self.found: Work = queue.Queue(IN_FLIGHT)
        self._portions = portions
        self._error: Exception | None = None
        threading.Thread(target=self._read, name="pypes-reading", daemon=True).start()

    def _read(self) -> None:
        try:
            for portion in self._portions:
                self.found.put(portion)
        except Exception as error:  # raised by check, in the thread that can tell the user
            self._error = error
        self.found.put(None)

    def check(self) -> None:
        """Raise the error for which not all was read, if there was one."""
        if self._error is not None:
            raise self._error


def _run_here(job: Job, work: Work, add: Callable[[Report], None]) -> None:
    with Batch(job) as batch:
        try:
            for report in batch.run(work):
                add(report)
        except KeyboardInterrupt:
            add(batch.report())
            raise
