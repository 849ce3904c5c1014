"""Process executors as tests run them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from pypes.placement.executor import Make, Outcome
from pypes.placement.pool_process import NO_BOUNDS, Bounds
from pypes.placement.process_executor import ProcessExecutor, processes
from tests.placement.jobs import Job

PATIENCE_S = 30.0


def job(folder: Path, kind: type[Job] = Job) -> Make:
    place = str(folder)
    return lambda: kind(place)


def does(folder: Path, what: Sequence[str], bounds: Bounds = NO_BOUNDS, width: int = 1) -> list[Outcome]:
    """The outcomes of one stride that asks for ``what``."""
    executor = processes(job(folder), width, bounds)
    executor.setup()
    try:
        return executor.submit([(each, number) for number, each in enumerate(what)]).result(PATIENCE_S)
    finally:
        executor.close()


def begun(folder: Path) -> list[int]:
    """Numbers of the items that were begun, in this order."""
    return [int(line) for line in (folder / "begun").read_text().splitlines()]


def shown(outcomes: Sequence[Outcome]) -> list[Any]:
    """Values, and codes with reasons of errors."""
    return [each.value if each.error is None else (getattr(each.error, "code", ""), str(each.error)) for each in outcomes]


def pool_workers() -> list[psutil.Process]:
    """Those of this process that live."""
    return [
        child
        for child in psutil.Process().children(recursive=True)
        if child.status() != psutil.STATUS_ZOMBIE and "pypes.placement.pool_worker" in child.cmdline()
    ]


def executor_of(folder: Path, width: int = 1, bounds: Bounds = NO_BOUNDS) -> ProcessExecutor:
    executor = processes(job(folder), width, bounds)
    executor.setup()
    return executor
