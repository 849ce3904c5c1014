"""Commits of which little is left: their rows shrink, and what is left is as it was, whenever the process ends."""

import asyncio
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from pypes.errors import StoreError
from pypes.ingest.contracts.leasing import Lease, Stream
from pypes.ingest.delivery import Header
from pypes.ingest.outcome import Outcome
from pypes.ingest.queues.embedded import EmbeddedQueue
from pypes.ingest.receipt import ReceiptQuery
from pypes.ingest.store.write_batch import Result, WriteBatch
from tests.ingest.harness import letter, open_queue, run, take, until

LARGE = 60_000


def row_bytes(data: Path) -> int:
    with sqlite3.connect(f"file:{data}/shards/000/queue.db?mode=ro", uri=True) as connection:
        (size,) = connection.execute("SELECT coalesce(sum(length(data)), 0) FROM commits").fetchone()
    connection.close()
    return int(size)


async def mixed(queue: EmbeddedQueue, *, failing: bool = False) -> tuple[list[str], list[Lease]]:
    """One commit: eight large deliveries of a graph that are done, and two small ones of another that wait."""
    posted = [
        queue.intake.append(Header("paused" if n % 5 == 2 else "g", id=f"{n}"), b"%d" % n * (1 if n % 5 == 2 else LARGE))
        for n in range(10)
    ]
    receipts = list(await asyncio.gather(*posted))
    leases = await take(queue, 8, stream=Stream("g", False))
    for number, lease in enumerate(leases):
        is_dead = failing and number == 3
        queue.leasing.ack(lease, Outcome(failed=1, dead_letters=(letter(lease.id),)) if is_dead else Outcome(published=1))
    return receipts, leases


async def check(queue: EmbeddedQueue, receipts: list[str]) -> None:
    """What waits is what had not been acknowledged, under the same receipts."""
    left = await take(queue, 2)
    assert [(lease.id, lease.header.graph, lease.header.id, lease.body) for lease in left] == [
        (receipts[2], "paused", "2", b"2"),
        (receipts[7], "paused", "7", b"7"),
    ]
    for number, receipt in enumerate(receipts):
        found = await queue.receipts.get(receipt)
        assert found is not None
        assert found.state == ("processing" if number % 5 == 2 else "done")
    for lease in left:
        queue.leasing.ack(lease, Outcome(published=1))


def test_what_is_done_does_not_stay_on_the_disk_for_what_is_not(tmp_path: Path) -> None:
    async def main() -> None:
        queue = await open_queue(tmp_path, rewrite_s=0.0)
        receipts, _ = await mixed(queue)
        await until(lambda: row_bytes(tmp_path) < 4096)
        await check(queue, receipts)
        await queue.close()
        queue = await open_queue(tmp_path)
        assert (queue.stats().deliveries, queue.stats().bytes, queue.stats().commits) == (0, 0, 0)
        assert [receipt.state for receipt in await queue.receipts.find(ReceiptQuery(), 20)] == ["done"] * 10
        await queue.close()

    run(main())


def test_rows_are_written_anew_at_once_when_they_keep_too_much(tmp_path: Path) -> None:
    async def main() -> None:
        queue = await open_queue(tmp_path, spare_bytes=20 * LARGE)
        posted = []
        for count in (1, 2):
            posted += [(await mixed(queue))[0]]
            await queue.callbacks.due(0.0, 1)  # waits for the store
            assert row_bytes(tmp_path) > 8 * LARGE * count
        # of three, the two oldest: what is left is well below the bound
        posted += [(await mixed(queue))[0]]
        await until(lambda: row_bytes(tmp_path) < 9 * LARGE)
        await queue.callbacks.due(0.0, 1)
        assert row_bytes(tmp_path) > 8 * LARGE
        for receipts in posted:
            await check(queue, receipts)
        await queue.close()

    run(main())


def test_many_rows_are_written_anew_in_a_transaction(tmp_path: Path) -> None:
    async def main() -> None:
        queue = await open_queue(tmp_path, spare_bytes=100_000)
        batches: list[int] = []
        written = queue._store.commit

        def commit(batch: WriteBatch) -> Result:
            batches.append(len(batch.rewrites))
            return written(batch)

        queue._store.commit = commit  # type: ignore[method-assign]
        for n in range(100):
            await asyncio.gather(*[queue.intake.append(Header(graph), b"%1000d" % n) for graph in ("g", "g", "g", "paused")])
        for lease in await take(queue, 300, stream=Stream("g", False)):
            queue.leasing.ack(lease, Outcome(published=1))
        await until(lambda: row_bytes(tmp_path) < 200_000)
        assert [count for count in batches if count] == [64, 13]
        left = await take(queue, 100, stream=Stream("paused", False))
        assert [lease.body for lease in left] == [b"%1000d" % n for n in range(100)]
        await queue.close()

    run(main())


def test_what_is_left_is_found_after_a_crash(tmp_path: Path) -> None:
    async def main() -> None:
        queue = await open_queue(tmp_path / "first", rewrite_s=0.0)
        receipts, _ = await mixed(queue, failing=True)
        await until(lambda: row_bytes(tmp_path / "first") < 4096)
        shutil.copytree(tmp_path / "first", tmp_path / "second")
        await queue.close()
        queue = await open_queue(tmp_path / "second")
        assert (queue.stats().deliveries, queue.stats().bytes, queue.stats().dead_letters) == (2, 2, 1)
        left = await take(queue, 2)
        assert [(lease.id, lease.body) for lease in left] == [(receipts[2], b"2"), (receipts[7], b"7")]
        await queue.close()

    run(main())


def test_a_commit_that_is_done_in_part_is_looked_at_after_a_restart(tmp_path: Path) -> None:
    async def main() -> None:
        queue = await open_queue(tmp_path)
        receipts, _ = await mixed(queue)
        await queue.receipts.find(ReceiptQuery(), 10)
        await queue.close()
        assert row_bytes(tmp_path) > 8 * LARGE
        queue = await open_queue(tmp_path, rewrite_s=0.0)
        await until(lambda: row_bytes(tmp_path) < 4096)
        await check(queue, receipts)
        await queue.close()

    run(main())


def test_a_row_is_looked_at_again_when_more_of_it_is_done(tmp_path: Path) -> None:
    async def main() -> None:
        queue = await open_queue(tmp_path, rewrite_s=0.0)
        await asyncio.gather(*[queue.intake.append(Header("g"), b"x" * LARGE) for _ in range(3)])
        for _ in range(2):
            (lease,) = await take(queue)
            queue.leasing.ack(lease, Outcome(published=1))
            await queue.callbacks.due(0.0, 1)  # waits for the store
        await until(lambda: row_bytes(tmp_path) < 2 * LARGE)
        (lease,) = await take(queue)
        assert lease.body == b"x" * LARGE
        await queue.close()

    run(main())


@pytest.mark.parametrize("options", [{"rewrite_s": 0.0}, {"spare_bytes": 0}])
def test_a_disk_that_fails_leaves_the_row_as_it_was(tmp_path: Path, options: dict[str, Any]) -> None:
    class Failing(sqlite3.Connection):
        is_failing = False

        def execute(self, sql: str, *rest: Any) -> sqlite3.Cursor:
            if Failing.is_failing and sql == "COMMIT":
                raise sqlite3.OperationalError("disk I/O error")
            return super().execute(sql, *rest)

    def connect(*args: Any, **options: Any) -> sqlite3.Connection:
        return sqlite3.connect(*args, factory=Failing, **options)

    async def main() -> None:
        queue = await open_queue(tmp_path, probe_s=0.01, connect=connect, **options)
        Failing.is_failing = True
        receipts, _ = await mixed(queue)
        await until(lambda: queue.stats().is_failed)
        assert row_bytes(tmp_path) > 8 * LARGE
        with pytest.raises(StoreError):
            await queue.intake.append(Header("g"), b"x")
        Failing.is_failing = False
        await until(lambda: row_bytes(tmp_path) < 4096)
        await check(queue, receipts)
        await queue.close()

    run(main())
