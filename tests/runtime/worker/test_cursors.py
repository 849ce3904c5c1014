"""Cursors that travel between nodes: a crash at every step, a disk that fails, and graphs and nodes that change."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import threading
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pypes.core import durable
from pypes.errors import StoreError
from pypes.runtime.worker import cursors, fleet
from tests.ingest.harness import lease_any, run, until
from tests.runtime.worker.harness import ALL, Copies, Worker, file_of, two

#: What there is to fetch.
NUMBERS = list(range(ALL))
#: What is fetched where every step of it is tried: two pairs.
FEW = 4

pytestmark = pytest.mark.usefixtures("quick_turns")


def watch_files(copies: Copies, monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the folders after each step of what is written into the shared one, too."""
    fsync, sync_folder = os.fsync, durable.sync_folder

    def synced(fd: int) -> None:
        if threading.current_thread().name == "pypes-fleet":
            copies.look()
        fsync(fd)

    def renamed(path: Path) -> None:
        copies.look()
        sync_folder(path)
        copies.look()

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(fleet, "sync_folder", renamed)


@pytest.mark.parametrize("has_other_begun", [False, True])
@pytest.mark.parametrize("who", ["the same", "another"])
def test_a_node_dies_at_any_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, who: str, has_other_begun: bool) -> None:
    """Every state in which the files ever are is gone on from, by the same node or by another before that is back."""
    home, shared = tmp_path / "home", tmp_path / "home" / "fleet"
    shared.mkdir(parents=True)
    copies = Copies(tmp_path / "copies", shard=home / "a" / "shards" / "000", fleet=shared)
    start = 2 if has_other_begun else 0

    async def record() -> None:
        async with Worker(home / "b", node=2, fleet=shared) as other:
            if has_other_begun:
                await other.add(1, end=start)
                await other.run(at=50.0)
                assert await other.enqueued() == list(range(start))
        async with Worker(home / "a", fleet=shared, connect=copies.connect) as worker:
            with monkeypatch.context() as patched:
                watch_files(copies, patched)
                await worker.add(1, end=FEW)
                await worker.run(at=100.0)
            assert await worker.enqueued() == list(range(start, FEW))

    async def go_on(copied: Path) -> tuple[int, ...]:
        (copied / "a" / "shards").mkdir(parents=True)
        (copied / "shard").rename(copied / "a" / "shards" / "000")
        shutil.copytree(home / "b" / "shards", copied / "b" / "shards")
        here = copied / "fleet"
        in_b = 0
        async with Worker(copied / "b", node=2, fleet=here) as other:
            if who == "another":
                await other.add(1, end=FEW)
                await other.run(at=100.0)
            found = await other.enqueued()
            in_b = len(found) - start
        async with Worker(copied / "a", fleet=here) as worker:
            before = len(await worker.enqueued())
        async with Worker(copied / "a", fleet=here) as worker:
            instance = await worker.add(1, end=FEW)
            await worker.sources.resume(worker.queue)
            await worker.idle()
            await worker.run(at=100.0)
            found += (mine := await worker.enqueued())
            assert sorted(found) == list(range(FEW)), (copied.name, found)
            assert not await cursors.doubtful(worker.queue, "g")
            if who == "another":
                assert not instance.triggers
            return before, in_b, len(mine)

    run(record())
    states = {asyncio.run(go_on(copied)) for copied in copies.made()}
    assert len(copies.made()) > 10
    # before the crash, by the other, in the end: what was taken and not enqueued yet is enqueued afterwards
    rest = FEW - start
    if who == "the same":
        assert states == {(n, 0, rest) for n in range(0, rest + 1, 2)}
    else:
        whole = {(n, rest - n, n) for n in range(0, rest + 1, 2)}
        taken = {(n, rest - n - 2, n + 2) for n in range(0, rest, 2)}
        assert states == whole | taken


class Failing(sqlite3.Connection):
    """Does not take one transaction with cursors, as a disk does that fails for a moment."""

    cursors = 0
    fails_at = 0

    def executemany(self, sql: str, rows: Any) -> sqlite3.Cursor:
        if "cursors" in sql and rows:
            Failing.cursors += 1
            if Failing.cursors == Failing.fails_at:
                raise sqlite3.OperationalError("disk I/O error")
        return super().executemany(sql, rows)


@pytest.mark.parametrize("fails_at", range(2, 9))
def test_what_the_disk_did_not_take_is_resolved(tmp_path: Path, shared: Path, fails_at: int) -> None:
    async def main() -> None:
        Failing.cursors, Failing.fails_at = 0, fails_at
        async with Worker(tmp_path, fleet=shared, connect=partial(sqlite3.connect, factory=Failing), probe_s=0.005) as worker:
            await worker.add(1, end=FEW)
            await worker.sources.trigger(worker.queue, "g", at=100.0)
            await worker.idle()
            assert Failing.cursors > fails_at
            assert await worker.enqueued() == list(range(FEW))
            assert file_of(shared)["sources"]["source"]["cursor"] == str(FEW)

    run(main())


# -- what changes --------------------------------------------------------------------------------------------


def test_a_graph_that_joins_a_fleet_begins_at_the_cursor_of_its_node(tmp_path: Path, shared: Path) -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            a, b = await two(stack, tmp_path, shared)
            instances = [await a.add(1, end=6), await b.add(1, end=6)]
            for worker in (a, b):
                worker.announce(fleet=frozenset())
                await worker.run(at=100.0)
                assert await worker.enqueued() == NUMBERS[:6]
            for worker, instance, end in zip((a, b), instances, (8, 10), strict=True):
                worker.announce(fleet=frozenset({"g"}))
                instance.end = end
                await worker.run()
            instances[0].end = 10
            await a.run()
            assert (await a.enqueued(), await b.enqueued()) == ([6, 7], [8, 9])
            # each for itself for a while, and back again
            for worker, instance in zip((a, b), instances, strict=True):
                worker.announce(fleet=frozenset())
                instance.end = 12
                await worker.run()
            assert (await a.enqueued(), await b.enqueued()) == ([10, 11], [10, 11])
            for worker, instance in zip((a, b), instances, strict=True):
                worker.announce(fleet=frozenset({"g"}))
                instance.end = 14
                await worker.run()
            assert (await a.enqueued(), await b.enqueued()) == ([12, 13], [])

    run(main())


def crashed(data: Path, shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave a node that has taken the first pair for the fleet, and died before it was enqueued."""

    async def main() -> None:
        async with Worker(data, fleet=shared) as worker:
            await worker.add(1)
            with monkeypatch.context() as patched:

                async def die(*_: Any) -> None:
                    raise StoreError("dead")

                patched.setattr(cursors, "_apply", die)
                await worker.sources.trigger(worker.queue, "g", at=100.0)
                await until(lambda: (shared / "g.json").exists() and "taken" in file_of(shared)["sources"].get("source", ()))
                await worker.sources.stop()
            assert await worker.enqueued() == []

    run(main())
    assert file_of(shared)["sources"]["source"]["cursor"] == "2"


def test_what_was_taken_is_enqueued_though_the_graph_has_changed(
    tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crashed(tmp_path / "a", shared, monkeypatch)

    async def main() -> None:
        async with Worker(tmp_path / "a", fleet=shared) as worker:
            await worker.sources.resume(worker.queue)
            worker.announce(sources={"g": ["renamed"]}, fleet=frozenset())
            await worker.add(1, end=0)
            await worker.idle()
            (lease,) = lease_any(worker.queue, 9, 1 << 30)
            assert (lease.header.start, lease.header.documents) == ("source", 2)

    run(main())


def test_who_has_left_the_fleet_fetches_what_it_had_taken_itself(
    tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    crashed(tmp_path / "a", shared, monkeypatch)

    async def main() -> None:
        async with Worker(tmp_path / "a") as worker:
            await worker.sources.resume(worker.queue)
            await worker.add(1)
            await worker.idle()
            assert await worker.enqueued() == NUMBERS
            assert "has left its fleet" in caplog.text

    run(main())


def test_what_a_shard_has_lost_is_fetched_again(tmp_path: Path, shared: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with Worker(tmp_path / "a", fleet=shared) as worker:
            await worker.add(1, end=4)
            await worker.run(at=100.0)
        shutil.copytree(tmp_path / "a" / "shards", tmp_path / "backup" / "shards")
        async with Worker(tmp_path / "a", fleet=shared) as worker:
            await worker.add(1)
            await worker.run(at=160.0)
        async with Worker(tmp_path / "backup", fleet=shared) as worker:
            await worker.add(1)
            await worker.run(at=220.0)
            assert await worker.enqueued() == NUMBERS
            assert "more for the fleet than its shard has recorded" in caplog.text

    run(main())
