"""What damage to a block of receipts costs: the receipts in it, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pypes.core.nodetime import Clock
from pypes.errors import Gone, StoreError
from pypes.ingest.delivery import Header
from pypes.ingest.outcome import Outcome
from pypes.ingest.queues.embedded import EmbeddedQueue
from pypes.ingest.receipt import ReceiptQuery
from pypes.ingest.store.inspection import Inspector
from tests.ingest.harness import open_queue, run, take

GRAPHS = ("one", "two")


async def fold(queue: EmbeddedQueue, now: list[float], commits: int = 20) -> dict[str, list[str]]:
    """Receipts by graph, in a block of each."""
    ids: dict[str, list[str]] = {graph: [] for graph in GRAPHS}
    for _ in range(commits):
        for graph, id in zip(
            GRAPHS, await asyncio.gather(*[queue.intake.append(Header(graph), b"x") for graph in GRAPHS]), strict=True
        ):
            ids[graph].append(id)
        for lease in await take(queue, 2):
            queue.leasing.ack(lease, Outcome(1))
        await queue._committer.settled()
    now[0] += 2000.0
    await queue._retention.look()
    return ids


def damage(path: Path, column: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        torn = f"CAST(substr({column}, 1, 12) || zeroblob(9) AS BLOB)"
        connection.execute(f"UPDATE blocks SET {column} = {torn} WHERE graph = 'one'")


@pytest.mark.parametrize("column", ["keys", "data"])
def test_a_damaged_block_costs_its_receipts_only(tmp_path: Path, caplog: pytest.LogCaptureFixture, column: str) -> None:
    path = tmp_path / "shards/000/queue.db"

    async def main() -> None:
        now = [1_700_000_000.0]
        queue = await open_queue(tmp_path, clock=Clock(lambda: now[0]))
        ids = await fold(queue, now)
        await queue.close()
        damage(path, column)
        with closing(Inspector(path.parent, 1, 0)) as inspector:
            (problem,) = inspector.problems()
        assert problem.startswith("receipts of graph 'one' from commit ")
        assert "a block of receipts is damaged" in problem

        queue = await open_queue(tmp_path, clock=Clock(lambda: now[0]))
        for id in ids["two"]:
            assert await queue.receipts.get(id) is not None
            assert await queue.receipts.documents(id, 9)
        with pytest.raises(StoreError, match="a block of receipts is damaged") as caught:
            await queue.receipts.get(ids["one"][3])
        assert caught.value.code == "store.damaged"
        assert [one.receipt for one in await queue.receipts.find(ReceiptQuery("done"), 100)] == sorted(ids["two"])
        assert queue.totals()["one"].published == 20
        later = await fold(queue, now)
        assert await queue.receipts.get(later["one"][0]) is not None
        now[0] += 86_400.0
        await queue._retention.look()
        with pytest.raises(Gone):
            await queue.receipts.get(ids["one"][3])
        await queue.close()

    run(main())
    assert any("receipts are left out of a list" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("seed", range(8))
def test_damaged_pages_keep_no_delivery_waiting(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "shards/000/queue.db"

    async def main() -> None:
        now = [1_700_000_000.0]
        queue = await open_queue(tmp_path, clock=Clock(lambda: now[0]))
        ids = await fold(queue, now)
        waiting = await queue.intake.append(Header("one"), b"waits")
        await queue.close()
        with closing(sqlite3.connect(path)) as connection:
            roots = dict(connection.execute("SELECT name, rootpage FROM sqlite_master WHERE tbl_name IN ('blocks', 'totals')"))
            (size,) = connection.execute("PRAGMA page_size").fetchone()
        rng = random.Random(seed)
        page = rng.choice(sorted(roots.values()))
        with path.open("r+b") as file:
            file.seek((page - 1) * size + rng.choice((0, size - 200)))
            file.write(rng.randbytes(100))

        queue = await open_queue(tmp_path, clock=Clock(lambda: now[0]))
        (lease,) = await take(queue, 1)
        assert lease.id == waiting
        queue.leasing.ack(lease, Outcome(1))
        await queue._committer.settled()
        assert await queue.receipts.get(waiting) is not None
        for id in (ids["one"][0], ids["two"][0]):
            with contextlib.suppress(StoreError):
                await queue.receipts.get(id)
        now[0] += 2000.0
        await queue._retention.look()
        await queue.close()

    run(main())
