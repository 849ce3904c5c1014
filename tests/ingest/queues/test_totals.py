"""Totals by graph equal what the receipts say, to the last document, however often the queue is opened again."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from pypes.core.limits import Limits
from pypes.core.nodetime import Clock
from pypes.ingest.accounts import NONE, Counts
from pypes.ingest.contracts.leasing import Lease
from pypes.ingest.delivery import Header
from pypes.ingest.outcome import Outcome
from pypes.ingest.queues.embedded import EmbeddedQueue
from pypes.ingest.receipt import ReceiptQuery
from tests.ingest.harness import lease_any, letter, open_queue, run


async def ledger(queue: EmbeddedQueue) -> dict[str, Counts]:
    """The sums of all receipts."""
    found: dict[str, Counts] = {}
    for receipt in await queue.receipts.find(ReceiptQuery(), 100_000):
        own = Counts(receipt.accepted, receipt.published, receipt.dropped, receipt.failed)
        found[receipt.graph] = found.get(receipt.graph, NONE).plus(own)
    return found


def an_outcome(rng: random.Random, lease: Lease) -> Outcome:
    number = lease.header.documents
    published = rng.randint(0, number)
    dropped = rng.randint(0, number - published)
    failed = number - published - dropped
    return Outcome(published, dropped, failed, tuple(letter(lease.id, n) for n in range(failed)))


@pytest.mark.parametrize("seed", range(5))
def test_totals_equal_the_receipts(tmp_path: Path, seed: int) -> None:
    async def main() -> None:
        rng, now = random.Random(seed), [1_700_000_000.0]
        clock = Clock(lambda: now[0])
        queue = await open_queue(tmp_path, clock=clock)
        for _ in range(30):
            graphs = rng.choices(("g", "other"), k=rng.randint(1, 5))
            await asyncio.gather(*[queue.intake.append(Header(g, documents=rng.randint(1, 4)), b"x") for g in graphs])
            leases = lease_any(queue, 100)
            for lease in leases:
                if rng.random() < 0.7:  # the others stay with a commit that is done in part
                    queue.leasing.ack(lease, an_outcome(rng, lease))
                else:
                    queue.leasing.nack(lease)
            now[0] += 200.0
            await queue._committer.settled()
            assert queue.totals() == await ledger(queue)
            if rng.random() < 0.2:
                await queue._retention.look()
            if rng.random() < 0.2:
                await queue.close()
                queue = await open_queue(tmp_path, clock=clock)
            assert queue.totals() == await ledger(queue)
        await queue.close()

    run(main())


def test_what_is_forgotten_still_counts(tmp_path: Path) -> None:
    async def main() -> None:
        queue = await open_queue(tmp_path, limits=Limits(receipts_bytes=1))
        await asyncio.gather(*[queue.intake.append(Header("g", documents=3), b"x") for _ in range(4)])
        for lease in lease_any(queue, 3):
            queue.leasing.ack(lease, Outcome(2, 1))
        (last,) = lease_any(queue, 1)
        await queue._committer.settled()
        queue.leasing.ack(last, Outcome(0, 3))
        await queue._committer.settled()
        await queue._retention.look()
        assert await queue.receipts.find(ReceiptQuery(), 9) == []
        for _ in range(2):
            assert queue.totals() == {"g": Counts(12, 6, 6, 0)}
            await queue.close()
            queue = await open_queue(tmp_path)
        await queue.close()

    run(main())


def test_what_was_refused_by_the_disk_is_not_counted(tmp_path: Path) -> None:
    async def main() -> None:
        queue = await open_queue(tmp_path)
        await queue.intake.append(Header("g"), b"x")
        queue._store._writer.execute("PRAGMA query_only = 1")
        with pytest.raises(Exception, match="disk"):
            await queue.intake.append(Header("g"), b"x")
        queue._store._writer.execute("PRAGMA query_only = 0")
        assert queue.totals() == {"g": Counts(1)}
        await queue.close()

    run(main())
