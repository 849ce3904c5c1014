"""``python -m benchmarks [NAME…]`` runs the claims one after the other and writes ``benchmarks/results.md``."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path

from benchmarks import (
    backlog,
    disk,
    embedding,
    endpoint,
    greedy,
    isolation,
    lanes,
    looking,
    memory,
    models,
    office_mix,
    otlp,
    pipelines,
    pools,
    promises,
    readers,
    real_work,
    scaling,
    scheduler,
    searchable,
    tables,
    tls,
    tokens,
)
from benchmarks.load import Skipped
from benchmarks.report import Line

CLAIMS: dict[str, Callable[[], Iterable[Line]]] = {
    "scheduler": scheduler.lines,
    "batches": endpoint.batch_lines,
    "overload": lambda: [endpoint.overload()],
    "singles": endpoint.single_lines,
    "acknowledge": lambda: [backlog.acknowledge()],
    "real-work": real_work.lines,
    "latency": lambda: [endpoint.latency()],
    "csv": tables.lines,
    "searchable": searchable.lines,
    "memory": lambda: [memory.csv()],
    "scaling": lambda: [scaling.two_instances()],
    "lanes": lambda: [lanes.live_during_bulk()],
    "isolation": isolation.lines,
    "looking": looking.lines,
    "otlp": otlp.lines,
    "readers": readers.lines,
    "documents-graph": readers.graph_lines,
    "office-mix": office_mix.lines,
    "models": models.lines,
    "embedding": embedding.lines,
    "pools": pools.lines,
    "pipelines": pipelines.lines,
    "disk": disk.lines,
    "tls": tls.lines,
    "tokens": tokens.lines,
    "greedy": greedy.lines,
    "ordering": lambda: [promises.ordering()],
}
HEAD = """# Results

Medians of interleaved rounds in one run, on one machine: {cores} cores, {machine}, Python {python},
{date}, commit {commit}. `make bench` makes this page anew; `python -m benchmarks NAME` runs one claim.
What falls short, and where the time goes: [shortfalls.md](shortfalls.md).

| claim | measured | before | now | must | stretch | verdict |
|---|---|---|---|---|---|---|
"""


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in CLAIMS]
    if unknown:
        print(f"no such claim: {', '.join(unknown)}; there are {', '.join(CLAIMS)}")  # noqa: T201
        return 2
    rows = []
    for name in names or CLAIMS:
        try:
            for line in CLAIMS[name]():
                rows.append(line.row())
                print(rows[-1], flush=True)  # noqa: T201
        except Skipped as reason:
            rows.append(f"| {name} | skipped: {reason} | | | | | |")
            print(rows[-1], flush=True)  # noqa: T201
    if not names:
        commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
        head = HEAD.format(
            cores=os.cpu_count(),
            machine=platform.machine(),
            python=platform.python_version(),
            date=date.today().isoformat(),
            commit=commit,
        )
        (Path(__file__).parent / "results.md").write_text(head + "\n".join(rows) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
