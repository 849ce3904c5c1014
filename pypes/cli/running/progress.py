"""Progress: a bar with documents, rate and failures, on a terminal that nothing else is written to."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from pypes.cli.running.tally import Standing, Tally
from pypes.core.wording import counted
from pypes.graph.model import Graph
from pypes.graph.spec import ComponentSpec


class Shown:
    """Shows what has become of documents so far."""

    def __init__(self, progress: Progress, name: str, total: int | None) -> None:
        self._progress = progress
        self._began_s = time.monotonic()
        self._task = progress.add_task(name, total=total, documents=_words(Tally(), 0.0))

    def show(self, standing: Standing) -> None:
        if not self._progress.disable:
            tally = standing.so_far
            words = _words(tally, time.monotonic() - self._began_s)
            self._progress.update(self._task, completed=tally.size, documents=words)


def _words(tally: Tally, passed_s: float) -> str:
    rate = f"{tally.documents / max(passed_s, 1e-9):,.0f}/s"
    return f"{counted(tally.documents, 'document')}, {rate}, {tally.failed} failed"


@contextmanager
def shown(console: Console, name: str, total: int | None, *, is_wanted: bool = True) -> Iterator[Shown]:
    """Show progress meanwhile, if the console is a terminal; ``total`` bytes of input, ``None`` if that is not known."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[documents]}", markup=False),
        TimeRemainingColumn(),
    )
    is_shown = is_wanted and console.is_terminal
    # rich has print() write above the bar; what components write is theirs, as it is
    with Progress(
        *columns, console=console, disable=not is_shown, transient=True, redirect_stdout=False, redirect_stderr=is_shown
    ) as progress:
        yield Shown(progress, name, total)


def writes_to_terminal(graph: Graph, catalogue: Mapping[str, ComponentSpec]) -> bool:
    """True if standard output is a terminal, and a filter writes there: what it writes would be torn by a bar."""
    if sys.stdout is None or not sys.stdout.isatty():
        return False
    for node in graph.nodes.values():
        spec = catalogue[node.component].schema.get("properties", {}).get("path", {})
        if node.params.get("path", spec.get("default")) == "-":
            return True
    return False
