"""PDF and Office files, from the POST until they are read, on a node of all cores, against Falcon + Celery + Redis.

Celery has a worker process on each core and a synced Redis. It reads once with the readers of Pypes, so that all that differs
is what is around them, and once with what its user would take: pypdf, python-docx, python-pptx and openpyxl.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from benchmarks.measure import ROUNDS, Round, medians, node, processor_s
from benchmarks.readers import POST_FILES, mixed
from benchmarks.real_work import celery_side, posts, send_all, settle_all
from benchmarks.report import Line
from pypes.testing.node import until

KINDS = ("PDF", "DOCX", "PPTX", "XLSX")
#: Files of each kind.
FILES = 100
GRAPH = {
    "pypes": 1,
    "name": "office",
    "nodes": {
        "posted": {"component": "Posted", "params": {}},
        "files": {"component": "Document", "params": {}},
        "end": {"component": "Null", "params": {}},
    },
    "wires": [["posted.out", "files.in"], ["files.out", "end.in"]],
}
Documents = list[tuple[str, str, bytes]]


def node_run(documents: Documents) -> Round:
    """From the first POST to the last document published, with every sync."""
    cores = os.cpu_count() or 1
    with node(GRAPH, workers=1, instances=cores) as running:
        assert running.process is not None
        top = psutil.Process(running.process.pid)
        # each instance has read a file of each kind before
        settle_all(running, send_all(running.port, posts(documents[: 8 * len(KINDS)], len(KINDS))))
        before, start = processor_s(top), time.perf_counter()
        settle_all(running, send_all(running.port, posts(documents, POST_FILES)))
        took = time.perf_counter() - start
        return Round(len(documents), took, processor_s(top) - before)


def celery_run(documents: Documents, reads: str) -> Round:
    """From the first POST until a byte is there for each document; each worker has read files of each kind before."""
    with tempfile.TemporaryDirectory() as folder:
        done, warm = Path(folder) / "done", documents[: 8 * len(KINDS)]
        done.touch()
        with celery_side("benchmarks.office_celery", Path(folder), BENCH_DONE=str(done), BENCH_READS=reads) as (port, tops):
            send_all(port, posts(warm, len(KINDS)))
            until(lambda: done.stat().st_size == len(warm), 60, "the workers are up")
            before, start = sum(map(processor_s, tops)), time.perf_counter()
            send_all(port, posts(documents, POST_FILES))
            until(lambda: done.stat().st_size == len(warm) + len(documents), 300, "everything is read")
            took = time.perf_counter() - start
            return Round(len(documents), took, sum(map(processor_s, tops)) - before)


def lines() -> Iterator[Line]:
    documents = mixed(KINDS, FILES)
    for reads, said in (("readers", "the same readers"), ("libraries", "pypdf, python-docx, python-pptx and openpyxl")):
        rounds = []
        for number in range(ROUNDS):
            if number % 2:
                celery = celery_run(documents, reads)
                rounds.append((node_run(documents), celery))
            else:
                rounds.append((node_run(documents), celery_run(documents, reads)))
        rates, times = medians(rounds, lambda each: each.rate), medians(rounds, lambda each: each.processor_us / 1000)
        yield Line(
            f"{len(documents)} PDF and Office files posted and read, against Falcon + Celery + Redis with {said}",
            f"{rates[0]:,.0f}/s against {rates[1]:,.0f}/s; {times[0]:.1f} ms of processor time a document"
            f" against {times[1]:.1f} ms",
            statistics.median(mine.rate / other.rate for mine, other in rounds),
            must=2.0,
            stretch=3.0,
            more_is_better=True,
        )
