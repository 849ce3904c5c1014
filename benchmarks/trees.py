"""This tree against another commit under the same load: processor time of all processes of a node for each document.

``python -m benchmarks.trees COMMIT [LOAD…]`` prints a table, for costs that no switch takes away. Three nodes run, of the other
commit and twice of this tree, and are loaded in turn; the ratio of the two that are alike shows what is noise.
``PYPES_BENCH_ROUNDS`` is the number of rounds, 15 by default.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path

from benchmarks.documents import BATCH_DOCUMENTS, batches
from benchmarks.endpoint import single_documents
from benchmarks.load import Load
from benchmarks.measure import NDJSON_GZIP, NodeSide, Round, five_filters, interleaved, node, rounds
from pypes.core.machine import cores

SECONDS = 3.0
ROUNDS = rounds(15)
HERE = Path(__file__).parent.parent

LOADS: dict[str, tuple[str, Callable[[], Load]]] = {
    "lone": ("single documents of 1 KB, each after the 202 of the one before", lambda: single_documents(connections=1)),
    "singles": ("single documents of 1 KB, 64 connections", single_documents),
    "batches": (
        f"gzip NDJSON batches of {BATCH_DOCUMENTS:,} documents of 1 KB",
        lambda: Load(batches(100), NDJSON_GZIP, connections=16),
    ),
}


@contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """The files of a commit, in a folder of their own, and what is compiled of them."""
    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.run(["git", "archive", commit], cwd=HERE, capture_output=True, check=True).stdout
        subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
        subprocess.run([sys.executable, "setup.py", "-q", "build_ext", "--inplace"], cwd=folder, capture_output=True, check=True)
        yield Path(folder)


@contextmanager
def node_of(tree: Path) -> Iterator[NodeSide]:
    """A node whose code is that of a tree; the components are those that are installed."""
    with node(five_filters(), instances=cores(), environ={"PYTHONPATH": str(tree)}) as running:
        yield NodeSide(running)


def row(what: str, found: Sequence[tuple[Round, ...]]) -> str:
    other, this, again = times = [[each.processor_us for each in side] for side in zip(*found, strict=True)]
    ratios = [statistics.median(a / b for a, b in zip(*pair, strict=True)) for pair in ((this, other), (again, this))]
    figures = [f"{statistics.median(each):.1f} ({min(each):.1f})" for each in times]
    return f"| {what} | {' | '.join(figures)} | {ratios[0]:.3f} | {ratios[1]:.3f} |"


def main(commit: str, names: Sequence[str]) -> None:
    machine = f"{cores()} cores, {platform.machine()}, Python {platform.python_version()}, {date.today().isoformat()}"
    print(f"{machine}, load average {os.getloadavg()[0]:.1f} at the start, {ROUNDS} rounds")  # noqa: T201
    print(f"| µs for each document, median (least) | {commit} | this tree | again | this to {commit} | alike |")  # noqa: T201
    print("|---|---|---|---|---|---|")  # noqa: T201
    with checked_out(commit) as tree, ExitStack() as stack:
        sides = [stack.enter_context(node_of(each)) for each in (tree, HERE, HERE)]
        for name in names or LOADS:
            what, make = LOADS[name]
            print(row(what, interleaved(sides, make(), seconds=SECONDS, number=ROUNDS)), flush=True)  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
