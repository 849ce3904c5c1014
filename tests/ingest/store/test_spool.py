"""Bodies in files beside the store of a shard: durable, taken over, removed; gone, refused."""

import os
from pathlib import Path

import pytest

from pypes.errors import StoreError
from pypes.ingest.delivery import Header, Spooled
from pypes.ingest.outcome import Outcome
from tests.ingest.harness import header, open_queue, run, take, until


def test_a_spool_file_is_durable_taken_over_and_removed(tmp_path: Path) -> None:
    async def main() -> None:
        queue = await open_queue(tmp_path)
        folder = tmp_path / "shards/000/spool"
        async with queue.blobs.create() as writer:
            for _ in range(5):
                await writer.write(b"x" * (1 << 19))
            body = await writer.finish()
        assert body.size == 5 << 19
        id = await queue.intake.append(Header("g", length=body.size), body)
        async with queue.blobs.create() as writer:
            await writer.write(b"x" * (1 << 21))  # then the client hangs up
        assert [path.name for path in folder.iterdir()] == [body.name]
        (folder / "orphan").write_bytes(b"left by a crash")
        await queue.close()

        queue = await open_queue(tmp_path)
        assert [path.name for path in folder.iterdir()] == [body.name]
        (lease,) = await take(queue, 1)
        assert (lease.id, lease.body) == (id, body)
        queue.leasing.dead_letter(lease, "instance.killed", "three times")
        (dead,) = await queue.letters.find()
        await queue.close()

        queue = await open_queue(tmp_path)
        fresh = await queue.letters.replay(dead.id, False)
        (lease,) = await take(queue, 1)
        assert lease.id == fresh
        assert isinstance(lease.body, Spooled)
        with lease.body.open() as file:
            assert len(file.read()) == body.size
        queue.leasing.ack(lease, Outcome(1))
        await queue.letters.find()
        await until(lambda: not list(folder.iterdir()))
        await queue.close()

    run(main())


def test_a_spool_file_that_is_gone_becomes_a_dead_letter(tmp_path: Path) -> None:
    async def main() -> None:
        queue = await open_queue(tmp_path)
        async with queue.blobs.create() as writer:
            await writer.write(b"x")
            body = await writer.finish()
        lost = await queue.intake.append(Header("g", length=1), body)
        other = await queue.intake.append(header(), b"x")
        await queue.close()
        os.unlink(body.path)  # noqa: PTH108 - as a disk would: not the queue's doing
        queue = await open_queue(tmp_path)
        assert [lease.id for lease in await take(queue, 1)] == [other]
        (dead,) = await queue.letters.find()
        assert dead.code == "store.spool_missing"
        receipt = await queue.receipts.get(lost)
        assert receipt is not None
        assert receipt.state == "failed"
        await queue.close()

    run(main())


def test_a_refused_spool_file_is_removed(tmp_path: Path) -> None:
    async def main() -> None:
        queue = await open_queue(tmp_path)
        path = tmp_path / "shards/000/spool/late"
        path.write_bytes(b"x")
        await queue.close()
        with pytest.raises(StoreError):
            queue.intake.append(header(), Spooled(str(path), 1))
        assert not path.exists()

    run(main())
