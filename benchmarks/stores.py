"""Stores for the queue side by side: the figures of docs/decisions/0002-embedded-store.md: ``python -m benchmarks.stores``.

Every store sits behind the same group commit: clients of one event loop append, a thread commits what arrived during
the last sync. The bare segment file (write, fdatasync, no index, no removal) is the ceiling.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import lmdb
import uvloop

from pypes.core.limits import Limits
from pypes.ingest.contracts.leasing import Stream
from pypes.ingest.delivery import Header
from pypes.ingest.outcome import Outcome
from pypes.ingest.queues.embedded import EmbeddedQueue
from pypes.ingest.queues.store_thread import StoreThread
from pypes.ingest.store.shards import Shards

ROUNDS = 3
#: Name, clients, bytes of a body, bodies in all.
LOADS = (("1 KB, 1 client", 1, 1024, 2000), ("1 KB, 64 clients", 64, 1024, 40_000), ("150 KB, 16 clients", 16, 150_000, 1500))

Commit = Callable[[Sequence[bytes]], None]


def segment(folder: Path) -> Commit:
    fd = os.open(folder / "segment", os.O_CREAT | os.O_WRONLY | os.O_APPEND)

    def commit(bodies: Sequence[bytes]) -> None:
        os.write(fd, b"".join(bodies))
        os.fdatasync(fd)

    return commit


def sqlite_rows(folder: Path) -> Commit:
    """A row per delivery, committed by the group."""
    connection = sqlite3.connect(folder / "rows.db", isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE deliveries (id INTEGER PRIMARY KEY, body BLOB)")

    def commit(bodies: Sequence[bytes]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO deliveries (body) VALUES (?)", [(body,) for body in bodies])
        connection.execute("COMMIT")

    return commit


def lmdb_rows(folder: Path, *, is_grouped: bool) -> Commit:
    environment = lmdb.open(str(folder / "lmdb"), map_size=8 << 30)
    number = 0

    def commit(bodies: Sequence[bytes]) -> None:
        nonlocal number
        if is_grouped:
            bodies = [b"".join(bodies)]
        with environment.begin(write=True) as transaction:
            for body in bodies:
                number += 1
                transaction.put(number.to_bytes(8, "big"), body, append=True)

    return commit


class Group:
    """The least that a group commit needs."""

    def __init__(self, commit: Commit) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = StoreThread(self._loop, "commit")
        self._commit = commit
        self._pending: list[tuple[bytes, asyncio.Future[None]]] = []
        self._is_busy = False

    def append(self, body: bytes) -> asyncio.Future[None]:
        future = self._loop.create_future()
        self._pending.append((body, future))
        if len(self._pending) == 1 and not self._is_busy:
            self._loop.call_soon(self._kick)
        return future

    def _kick(self) -> None:
        if self._pending and not self._is_busy:
            self._is_busy = True
            batch, self._pending = self._pending, []
            self._thread.submit(partial(self._commit, [body for body, _ in batch]), partial(self._done, batch))

    def _done(self, batch: list[tuple[bytes, asyncio.Future[None]]], _: object, error: BaseException | None) -> None:
        if error is not None:
            raise error
        self._is_busy = False
        for _body, future in batch:
            future.set_result(None)
        self._kick()


async def drive(append: Callable[[bytes], asyncio.Future[Any]], clients: int, size: int, total: int) -> float:
    """Appends per second."""
    body = os.urandom(size)
    left = total

    async def client() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await append(body)

    start = time.perf_counter()
    await asyncio.gather(*[client() for _ in range(clients)])
    return total / (time.perf_counter() - start)


async def bare(make: Callable[[Path], Commit], folder: Path, load: tuple[int, int, int]) -> dict[str, float]:
    return {"append": await drive(Group(make(folder)).append, *load)}


async def queue(folder: Path, load: tuple[int, int, int]) -> dict[str, float]:
    """The real thing: append a backlog, acknowledge it (until that is durable), then both at once."""
    embedded = await EmbeddedQueue.open(Shards(folder).lock(0), node=1, limits=Limits())
    header = Header("g", length=load[1])
    found = {"append": await drive(lambda body: embedded.intake.append(header, body), *load)}
    acknowledged = 0
    is_ready = asyncio.Event()
    embedded.leasing.on_ready = is_ready.set
    start = time.perf_counter()
    while acknowledged < load[2]:
        is_ready.clear()
        leases = embedded.leasing.take(Stream("g", False), 64, 8 << 20)
        for lease in leases:
            embedded.leasing.ack(lease, Outcome(1))
        acknowledged += len(leases)
        if leases:
            await asyncio.sleep(0)
        else:
            await is_ready.wait()
    await embedded.letters.find()  # waits for what was acknowledged
    found["ack"] = load[2] / (time.perf_counter() - start)

    def work() -> None:
        while leases := embedded.leasing.take(Stream("g", False), 64, 8 << 20):
            for lease in leases:
                embedded.leasing.ack(lease, Outcome(1))

    embedded.leasing.on_ready = work
    found["append and ack"] = await drive(lambda body: embedded.intake.append(header, body), *load)
    await embedded.close()
    return found


STORES: dict[str, Callable[[Path, tuple[int, int, int]], Any]] = {
    "segment, write + fdatasync": partial(bare, segment),
    "SQLite, row per delivery": partial(bare, sqlite_rows),
    "LMDB, row per delivery": partial(bare, partial(lmdb_rows, is_grouped=False)),
    "LMDB, row per commit": partial(bare, partial(lmdb_rows, is_grouped=True)),
    "embedded queue (SQLite, row per commit)": queue,
}


def measure() -> list[tuple[str, str, dict[str, float]]]:
    """Medians per load and store, the stores interleaved."""
    results = []
    for name, clients, size, total in LOADS:
        found: dict[str, list[dict[str, float]]] = {store: [] for store in STORES}
        for _ in range(ROUNDS):
            for store, run in STORES.items():
                folder = Path(tempfile.mkdtemp(dir=Path.cwd()))
                try:
                    found[store].append(uvloop.run(run(folder, (clients, size, total))))
                finally:
                    shutil.rmtree(folder)
        for store, runs in found.items():
            results.append((name, store, {key: statistics.median(run[key] for run in runs) for key in runs[0]}))
    return results


if __name__ == "__main__":
    for load, store, figures in measure():
        sys.stdout.write(f"| {load} | {store} | {' | '.join(f'{key} {value:,.0f}/s' for key, value in figures.items())} |\n")
