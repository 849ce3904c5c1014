"""Shards that came from another node: a worker serves them, under the ids that they had."""

from __future__ import annotations

import pytest

from pypes.core.limits import Limits
from pypes.errors import NotFound, StoreError
from pypes.ingest.deadletter import LetterQuery
from pypes.ingest.outcome import DeadLetter, Outcome, dead_letter_id
from pypes.ingest.queues.embedded import EmbeddedQueue
from pypes.ingest.receipt import ReceiptId, ReceiptQuery
from pypes.ingest.store.origin import Origin
from pypes.ingest.store.shards import Shards
from pypes.runtime.worker.worker import IngestWorker
from tests.ingest.harness import take
from tests.runtime.worker.supervised import Supervisor, header, supervised


async def moved(supervisor: Supervisor, slot: int = 255) -> tuple[list[str], str]:
    """Give node 7 shard 0 of node 9: two deliveries that wait, and one with a dead letter."""
    there = Shards(supervisor.folder / "elsewhere")
    queue = await EmbeddedQueue.open(there.lock(0), node=9, limits=Limits())
    failed = await queue.intake.append(header(), b"{}")
    (lease,) = await take(queue, 1)
    letter = DeadLetter(dead_letter_id(failed, 0, "f"), (0,), "g", 1, "f", "F", "c", "boom", "", 1, b"{}", 1.0)
    queue.leasing.ack(lease, Outcome(failed=1, dead_letters=(letter,), keeps_body=True))
    receipts = [await queue.intake.append(header(), b"{}") for _ in range(2)]
    await queue.close()
    here = Shards(supervisor.folder / "data")
    Origin(9, 0, "n9").write(there.folder(0))
    there.folder(0).rename(here.folder(slot))
    return receipts, letter.id


@supervised
async def test_it_is_finished_and_answered_for(supervisor: Supervisor) -> None:
    receipts, letter = await moved(supervisor)
    worker = await IngestWorker.start(supervisor.config())
    try:
        own = await worker.submit(header(), b"{}")
        for receipt, node in ((receipts[0], 9), (receipts[1], 9), (own, 7)):
            assert ReceiptId.parse(receipt)[:2] == (node, 0)
            assert (await worker.records.receipt(receipt, 10)).state == "done"
        found = (await worker.records.receipts(ReceiptQuery(), 10, "")).found
        assert {own, *receipts} <= {each.receipt for each in found}
        again = (await worker.records.replay(letter, True)).receipt
        assert ReceiptId.parse(again)[:2] == (9, 0)
        assert (await worker.records.receipt(again, 10)).state == "done"
        assert (await worker.records.letters(LetterQuery(), 10, "")).found == []
        with pytest.raises(NotFound) as caught:
            await worker.records.receipt(str(ReceiptId.parse(own)._replace(shard=255)))
        assert caught.value.code == "receipt.not_found"
    finally:
        await worker.stop()


@supervised
async def test_no_worker_takes_its_slot(supervisor: Supervisor) -> None:
    await moved(supervisor, 1)
    first = await IngestWorker.start(supervisor.config(workers=2, limits=Limits(grace_s=0.0)))
    try:
        with pytest.raises(StoreError) as caught:
            await IngestWorker.start(supervisor.config(workers=2, limits=Limits(grace_s=0.0)))
        assert caught.value.code == "store.adopted"
    finally:
        await first.stop()
