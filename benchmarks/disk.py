"""Disk and memory of a shard while one graph is paused: one of its documents is in every commit, and a million of another pass.

``python -m benchmarks.disk [DOCUMENTS [BODY WAITING_BODY BATCH]]`` prints the sizes over time.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import psutil
import uvloop

from benchmarks.report import Line
from pypes.core.limits import Limits
from pypes.ingest.contracts.leasing import Stream
from pypes.ingest.delivery import Header
from pypes.ingest.outcome import Outcome
from pypes.ingest.queues.embedded import EmbeddedQueue
from pypes.ingest.queues.rewriting import SPARE_BYTES
from pypes.ingest.store.shards import Shards

#: Columns of the table that is printed.
COLUMNS = "| documents done | bytes that wait | rows | pages in use | file | log | memory | documents/s |"
_MANY = 1 << 30


class Load(NamedTuple):
    """``documents`` of ``body`` bytes pass in commits of ``batch``; in each commit, one of ``waiting_body`` bytes waits."""

    documents: int = 1_000_000
    body: int = 1024
    waiting_body: int = 1024
    batch: int = 255


class Sizes(NamedTuple):
    """Bytes, after ``done`` documents of the graph that is not paused. ``pages``: those of the file that are in use."""

    done: int
    waiting: int
    rows: int
    pages: int
    file: int
    log: int
    memory: int
    seconds: float

    def row(self) -> str:
        figures = " | ".join(f"{size / 1e6:,.1f} MB" for size in self[1:7])
        return f"| {self.done:,} | {figures} | {self.done / self.seconds if self.seconds else 0:,.0f} |"


async def run(folder: Path, load: Load, *, samples: int = 10, spare_bytes: int = SPARE_BYTES) -> list[Sizes]:
    """Sizes at the start and at even distances up to the end."""
    limits = Limits(receipts_bytes=1 << 20)  # those of documents that are done as a whole are not looked at here
    queue = await EmbeddedQueue.open(
        Shards(folder).lock(0), node=1, limits=limits, durability="interval", spare_bytes=spare_bytes
    )
    busy, paused = Header("busy", length=load.body), Header("paused", length=load.waiting_body)
    body, waiting = bytes(load.body), bytes(load.waiting_body)
    stream = Stream("busy", False)
    published = Outcome(published=1)
    done = 0

    def work() -> None:
        nonlocal done
        while leases := queue.leasing.take(stream, 256, _MANY):
            for lease in leases:
                done += 1
                queue.leasing.ack(lease, published, id=f"document-{done:09}")

    queue.leasing.on_ready = work
    start = time.perf_counter()
    found = [_sizes(folder, queue, done, 0.0)]
    posted = 0
    while posted < load.documents:
        count = min(load.batch, load.documents - posted)
        # all of these share a commit
        await asyncio.gather(*[queue.intake.append(busy, body) for _ in range(count)], queue.intake.append(paused, waiting))
        posted += count
        if posted * samples // load.documents >= len(found):
            await queue.callbacks.due(0.0, 1)  # waits for the store
            found.append(_sizes(folder, queue, done, time.perf_counter() - start))
    await queue.close()
    return found


def _sizes(folder: Path, queue: EmbeddedQueue, done: int, seconds: float) -> Sizes:
    path = folder / "shards" / "000" / "queue.db"
    log = Path(f"{path}-wal")
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        (rows,) = connection.execute("SELECT coalesce(sum(length(data)), 0) FROM commits").fetchone()
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        (free,) = connection.execute("PRAGMA freelist_count").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    return Sizes(
        done,
        queue.stats().bytes,
        rows,
        (pages - free) * size,
        path.stat().st_size,
        log.stat().st_size if log.exists() else 0,
        psutil.Process().memory_info().rss,
        seconds,
    )


def measured(load: Load) -> list[Sizes]:
    folder = Path(tempfile.mkdtemp(dir=Path.cwd()))
    try:
        return uvloop.run(run(folder, load))
    finally:
        shutil.rmtree(folder)


def lines() -> Iterator[Line]:
    load = Load()
    found = measured(load)
    worst = max(found, key=lambda each: each.rows - 2 * each.waiting)
    last, bound = found[-1], 2 * worst.waiting + SPARE_BYTES
    yield Line(
        f"one graph paused with a document in every commit, {load.documents:,} of another pass: rows of the shard"
        " against twice the bytes that wait and 64 MiB",
        f"at most {worst.rows / 1e6:,.0f} MB; at the end {last.waiting / 1e6:,.0f} MB wait, the file has"
        f" {last.file / 1e6:,.0f} MB, its log {last.log / 1e6:,.0f} MB; {last.done / last.seconds:,.0f} documents/s",
        worst.rows / bound,
        must=1.0,
        stretch=0.9,
    )


if __name__ == "__main__":
    sys.stdout.write(f"{COLUMNS}\n{'|---' * COLUMNS.count('| ')}|\n")
    for each in measured(Load(*map(int, sys.argv[1:]))):
        sys.stdout.write(each.row() + "\n")
