"""Copying a shard: one moment of it, with the large bodies of that moment, whatever its worker does meanwhile."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from pathlib import Path

import pytest

from pypes.core.databases import copy_to
from pypes.errors import StoreError
from pypes.ingest.delivery import Header, Spooled
from pypes.ingest.outcome import Outcome
from pypes.ingest.queues.embedded import EmbeddedQueue
from pypes.ingest.store.copying import copy_shard
from tests.ingest.harness import open_queue, run, take

BODY = b"x" * 4096


async def post_large(queue: EmbeddedQueue) -> None:
    async with queue.blobs.create() as writer:
        await writer.write(BODY)
        body = await writer.finish()
    await queue.intake.append(Header("g", length=len(BODY)), body)


def test_a_copy_is_whole_while_large_bodies_come_and_go(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "shards" / "000"

    async def work(queue: EmbeddedQueue, is_over: asyncio.Event) -> None:
        while not is_over.is_set():
            for _ in range(3):
                await post_large(queue)
            for lease in await take(queue, 3):
                assert isinstance(lease.body, Spooled)
                queue.leasing.ack(lease, Outcome(1))

    async def main() -> None:
        queue = await open_queue(tmp_path / "data")
        is_over = asyncio.Event()
        working = asyncio.create_task(work(queue, is_over))
        try:
            for n in range(25):
                stats, problems = await asyncio.to_thread(copy_shard, folder, tmp_path / f"copy{n}", 1, 0)
                assert not problems
                assert len(list((tmp_path / f"copy{n}" / "spool").iterdir())) >= stats.deliveries
            is_over.set()
            await working
        finally:
            await queue.close()

    run(main())


def test_a_large_body_that_is_removed_after_the_moment_is_in_the_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "data" / "shards" / "000"

    async def fill() -> None:
        queue = await open_queue(tmp_path / "data")
        await post_large(queue)
        await queue.close()

    run(fill())

    def copy_late(source: sqlite3.Connection, target: Path) -> None:
        for path in (folder / "spool").iterdir():
            path.unlink()
        copy_to(source, target)

    monkeypatch.setattr("pypes.ingest.store.copying.copy_to", copy_late)
    stats, problems = copy_shard(folder, tmp_path / "copy", 1, 0)
    assert (stats.deliveries, problems) == (1, [])
    (copy,) = (tmp_path / "copy" / "spool").iterdir()
    assert copy.read_bytes() == BODY


def test_what_is_damaged_is_copied_and_named(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "shards" / "000"

    async def fill() -> None:
        queue = await open_queue(tmp_path / "data")
        await post_large(queue)
        await queue.intake.append(Header("g", length=2), b"{}")
        await queue.close()

    run(fill())
    shutil.rmtree(folder / "spool")
    stats, problems = copy_shard(folder, tmp_path / "copy", 1, 0)
    assert stats.deliveries == 2
    (problem,) = problems
    assert "is gone" in problem


def test_a_shard_without_a_queue_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no queue"):
        copy_shard(tmp_path, tmp_path / "copy", 1, 0)
