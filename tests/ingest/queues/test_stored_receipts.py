"""What a queue on a store knows of the past, across restarts and failing commits; and what it forgets."""

import asyncio
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pypes.core.identity import Identity
from pypes.core.limits import Limits
from pypes.core.nodetime import Clock, NodeTime
from pypes.core.offsets import STEADY_S
from pypes.errors import Conflict, Gone, QueueFull, StoreError
from pypes.ingest.contracts.intake import Key
from pypes.ingest.delivery import Header
from pypes.ingest.ordering import Overtaken, key_of, pack_keys
from pypes.ingest.outcome import Details, Fate, Outcome, Poison
from pypes.ingest.protocol import Rerun
from pypes.ingest.queues.embedded import EmbeddedQueue
from pypes.ingest.receipt import DocumentReport, ReceiptId, ReceiptQuery
from tests.ingest.harness import letter, open_queue, run, take, until
from tests.ingest.store.format_2 import turn_back


async def work_off(queue: EmbeddedQueue, n: int, header: Header | None = None) -> list[str]:
    """Append and acknowledge ``n`` deliveries, a commit for each."""
    ids = []
    for _ in range(n):
        ids.append(await queue.intake.append(header or Header("g"), b"x"))
        (lease,) = await take(queue, 1)
        queue.leasing.ack(lease, Outcome(1, version=2, details=Details((Fate("published", ("index",)),), (1, 0))))
        await queue._committer.settled()
    return ids


def test_what_is_known_of_documents_outlives_a_restart(tmp_path: Path) -> None:
    async def main() -> None:
        queue = await open_queue(tmp_path)
        together = await asyncio.gather(*[queue.intake.append(Header("g", documents=n), b"x") for n in (1, 3, 1)])
        first, second, _ = await take(queue, 3)
        queue.leasing.ack(first, Outcome(1, version=4, details=Details((Fate("published", ("index",)),), (1, 0))), "doc-1")
        dead = letter(second.id, 2)
        fates = (Fate("published", ("index",)), Fate("failed", (), "f"))
        details = Details(fates, (2, 0, 1, 1), {0: "a"}, {2: dead.id})
        queue.leasing.ack(second, Outcome(2, 0, 1, (dead,), version=4, details=details))
        await queue.close()
        for _ in range(2):  # one delivery of the commit waits, then it is finished, too
            queue = await open_queue(tmp_path)
            assert await queue.receipts.documents(together[0], 9) == [DocumentReport(0, "published", "doc-1", ("index",))]
            reports = await queue.receipts.documents(together[1], 9)
            assert reports is not None
            assert reports[2] == DocumentReport(2, "failed", None, (), "f", dead.id)
            receipt = await queue.receipts.get(together[1])
            assert receipt is not None
            assert (receipt.state, receipt.version, receipt.published) == ("failed", 4, 2)
            assert receipt.started is not None
            assert [found.receipt for found in await queue.receipts.find(ReceiptQuery("failed"), 9)] == [together[1]]
            if queue.stats().deliveries:
                (last,) = await take(queue, 1)
                assert await queue.receipts.documents(last.id, 9) == [DocumentReport(0, "pending")]
                queue.leasing.ack(last, Outcome(1))
            await queue.close()

    run(main())


def test_a_receipt_that_was_given_out_and_forgotten_is_told_from_one_that_never_was(tmp_path: Path) -> None:
    async def main() -> None:
        limits = Limits(receipts_bytes=1)
        queue = await open_queue(tmp_path, limits=limits)
        (first,) = await work_off(queue, 1)
        await queue._retention.look()
        with pytest.raises(Gone) as caught:
            await queue.receipts.get(first)
        assert caught.value.code == "receipt.forgotten"
        never = ReceiptId.parse(first)
        assert await queue.receipts.get(str(never._replace(key=never.key - (10**9 << 6)))) is None
        await queue.close()

        queue = await open_queue(tmp_path, limits=limits)
        with pytest.raises(Gone):
            await queue.receipts.documents(first, 9)
        await queue.close()

    run(main())


def test_receipts_are_forgotten_by_time_and_bytes(tmp_path: Path) -> None:
    async def main() -> None:
        now = [1_700_000_000.0]
        limits = Limits(receipts_s=100, receipts_bytes=1 << 20)
        queue = await open_queue(tmp_path, limits=limits, clock=Clock(lambda: now[0]))
        (old,) = await work_off(queue, 1)
        now[0] += 200
        (young,) = await work_off(queue, 1)
        await queue._retention.look()
        with pytest.raises(Gone):
            await queue.receipts.get(old)
        assert await queue.receipts.get(young) is not None

        # ids of a megabyte each
        large = []
        for _ in range(6):
            large.append(await queue.intake.append(Header("g", documents=1000), b"x"))
            (lease,) = await take(queue, 1)
            ids = {number: os.urandom(500).hex() for number in range(1000)}  # what repeats would take no room
            details = Details((Fate("published", ("index",)),), (1000, 0), ids)
            queue.leasing.ack(lease, Outcome(1000, version=1, details=details))
            await queue._committer.settled()
        await queue._retention.look()
        with pytest.raises(Gone):
            await queue.receipts.documents(large[0], 1)
        assert await queue.receipts.documents(large[-1], 1) == [DocumentReport(0, "published", ids[0], ("index",))]
        await queue.close()

    run(main())


@pytest.mark.parametrize("jump", [8 * 86_400.0, -8 * 86_400.0])
def test_a_wall_clock_that_jumps_ages_no_receipt_and_no_key(tmp_path: Path, jump: float) -> None:
    async def main() -> None:
        now = {"wall": 1_700_000_000.0, "elapsed": 5.0}

        def pass_time(seconds: float) -> None:
            now.update({name: at + seconds for name, at in now.items()})

        async def look_for_the_old() -> None:
            await work_off(queue, 1)
            await queue._retention.look()

        clock, _ = NodeTime.start(tmp_path / "clock", lambda: now["wall"], lambda: now["elapsed"], "boot")
        queue = await open_queue(tmp_path, clock=clock)
        (old,) = await work_off(queue, 1)
        key = Key("k", b"d")
        repeated = await queue.intake.append(Header("g", documents=1), b"x", key=key)
        await take(queue, 1)
        pass_time(STEADY_S)
        now["wall"] += jump
        clock.look()
        await look_for_the_old()
        pass_time(2 * STEADY_S)  # and it stays wrong
        await look_for_the_old()
        assert await queue.receipts.get(old) is not None
        assert await queue.intake.append(Header("g", documents=1), b"x", key=key) == repeated
        now["wall"] -= jump
        clock.look()
        await look_for_the_old()
        receipt = await queue.receipts.get(old)
        assert receipt is not None
        assert receipt.received == "2023-11-14T22:13:20.000Z"
        assert [one.receipt for one in await queue.receipts.find(ReceiptQuery("done", 1_700_000_000.0), 1)] == [old]
        assert await queue.receipts.find(ReceiptQuery("done", now["wall"] + 1), 1) == []

        pass_time(8 * 86_400.0)  # now it has grown old
        await look_for_the_old()
        with pytest.raises(Gone):
            await queue.receipts.get(old)
        await queue.close()

    run(main())


def test_nothing_is_forgotten_for_its_age_just_after_a_start(tmp_path: Path) -> None:
    async def main() -> None:
        now = {"wall": 1_700_000_000.0, "elapsed": 5.0}
        for boot in ("first", "second"):
            clock, _ = NodeTime.start(tmp_path / "clock", lambda: now["wall"], lambda: now["elapsed"], boot)
            queue = await open_queue(tmp_path, clock=clock)
            ids = await work_off(queue, 1)
            await queue._retention.look()
            await queue.close()
            if boot == "first":
                (old,) = ids
                now["wall"] += 30 * 86_400.0  # the machine was off for so long, or its clock is wrong
        queue = await open_queue(tmp_path, clock=clock)
        assert await queue.receipts.get(old) is not None
        now["elapsed"] += STEADY_S
        await work_off(queue, 1)
        await queue._retention.look()
        with pytest.raises(Gone):
            await queue.receipts.get(old)
        await queue.close()

    run(main())


def test_a_store_that_counted_ahead_goes_on_and_is_shown_as_now(tmp_path: Path) -> None:
    async def main() -> None:
        ahead, now = 1_700_000_000.0 + 86_400.0, 1_700_000_000.0
        queue = await open_queue(tmp_path, clock=Clock(lambda: ahead))
        (first,) = await work_off(queue, 1)
        await queue.close()
        clock, _ = NodeTime.start(tmp_path / "clock", lambda: now, lambda: 5.0, "boot")
        queue = await open_queue(tmp_path, clock=clock)
        (second,) = await work_off(queue, 1)
        assert second > first
        receipt = await queue.receipts.get(second)
        assert receipt is not None
        assert receipt.received == receipt.finished == "2023-11-14T22:13:20.000Z"
        await queue.close()

    run(main())


def test_what_waits_is_not_forgotten_however_old_and_neither_is_its_key(tmp_path: Path) -> None:
    async def main() -> None:
        now = [1_700_000_000.0]
        queue = await open_queue(tmp_path, limits=Limits(receipts_bytes=1), clock=Clock(lambda: now[0]))
        key, other = Key("g\0k", b"1"), Key("g\0other", b"1")
        waiting = await queue.intake.append(Header("g"), b"waits", None, key)
        await take(queue, 1)
        done = await queue.intake.append(Header("g"), b"x", None, other)
        (lease,) = await take(queue, 1)
        queue.leasing.ack(lease, Outcome(1))
        await queue._committer.settled()
        for _ in range(2):
            now[0] += 4000.0
            await queue._retention.look()
            receipt = await queue.receipts.get(waiting)
            assert receipt is not None
            assert receipt.state == "processing"
            assert await queue.intake.append(Header("g"), b"waits", None, key) == waiting
        assert await queue.intake.append(Header("g"), b"x", None, other) != done
        await queue.close()

    run(main())


def test_keys_outlive_a_restart(tmp_path: Path) -> None:
    async def main() -> None:
        queue = await open_queue(tmp_path)
        id = await queue.intake.append(Header("g"), b"x", None, Key("k", b"1"))
        await queue.close()
        queue = await open_queue(tmp_path)
        assert await queue.intake.append(Header("g"), b"x", None, Key("k", b"1")) == id
        with pytest.raises(Conflict):
            await queue.intake.append(Header("g"), b"x", None, Key("k", b"2"))
        assert queue.stats().deliveries == 1
        await queue.close()

    run(main())


class FailingConnection(sqlite3.Connection):
    """Fails transactions while told to, as a disk does whose sync reports an error."""

    is_failing = False

    def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
        if FailingConnection.is_failing and sql.startswith(("INSERT", "COMMIT")):
            raise sqlite3.OperationalError("disk I/O error")
        return super().execute(sql, *args)


def failing(*args: Any, **options: Any) -> sqlite3.Connection:
    return sqlite3.connect(*args, factory=FailingConnection, **options)


def test_a_failed_commit_keeps_what_it_took_and_frees_its_keys(tmp_path: Path) -> None:
    async def main() -> None:
        queue = await open_queue(tmp_path, connect=failing, probe_s=0.005)
        id = await queue.intake.append(Header("g", callback="http://127.0.0.1:1/"), b"x")
        other = await queue.intake.append(Header("g"), b"y")
        first, second = await take(queue, 2)
        dead = letter(id)
        key = Key("k", b"1")
        FailingConnection.is_failing = True
        try:
            queue.leasing.ack(first, Outcome(failed=1, dead_letters=(dead,)))
            queue.leasing.record_poison(second, Poison(0, "pdf", "killed by SIGSEGV"))
            with pytest.raises(StoreError):
                await queue.intake.append(Header("g"), b"x", None, key)
            with pytest.raises(StoreError):
                await queue.letters.delete([dead.id])
        finally:
            FailingConnection.is_failing = False
        await until(lambda: not queue.stats().is_failed)
        assert [found.id for found in await queue.letters.find()] == [dead.id]
        assert [callback.receipt for callback in await queue.callbacks.due(4e9, 9)] == [id]
        await queue.intake.append(Header("g"), b"x", None, key)
        await queue.close()

        queue = await open_queue(tmp_path)
        assert queue.stats().dead_letters == 1
        again = (await take(queue, 2))[0]
        assert (again.id, queue.leasing.rerun(again)) == (other, Rerun((Poison(0, "pdf", "killed by SIGSEGV"),)))
        await queue.close()

    run(main())


def test_callbacks_and_full_dead_letters_outlive_a_restart(tmp_path: Path) -> None:
    async def main() -> None:
        limits = Limits(dead_letters_kept=1)
        queue = await open_queue(tmp_path, limits=limits)
        id = await queue.intake.append(Header("g", callback="http://127.0.0.1:1/"), b"x")
        (lease,) = await take(queue, 1)
        queue.leasing.ack(lease, Outcome(failed=1, dead_letters=(letter(id),)))
        await queue.close()
        queue = await open_queue(tmp_path, limits=limits)
        assert [callback.receipt for callback in await queue.callbacks.due(4e9, 9)] == [id]
        with pytest.raises(QueueFull):
            queue.intake.append(Header("g"), b"x")
        size = queue.stats().dead_letter_bytes
        assert size > 0
        assert await queue.letters.delete([letter(id).id]) == 1
        assert queue.stats().dead_letter_bytes == 0
        await queue.intake.append(Header("g"), b"x")
        await queue.close()

    run(main())


def test_a_spooled_body_kept_for_two_dead_letters_goes_with_the_last(tmp_path: Path) -> None:
    async def main() -> None:
        folder = tmp_path / "shards/000/spool"
        queue = await open_queue(tmp_path)
        async with queue.blobs.create() as writer:
            await writer.write(b"spooled")
            body = await writer.finish()
        await queue.intake.append(Header("g", documents=2, length=7), body)
        (lease,) = await take(queue, 1)
        dead = (letter(lease.id, 0), letter(lease.id, 1))
        queue.leasing.ack(lease, Outcome(failed=2, dead_letters=dead))
        await queue.letters.replay(dead[0].id, from_start=True)
        await queue.close()
        queue = await open_queue(tmp_path)
        assert len(list(folder.iterdir())) == 2  # two names of one file
        (lease,) = await take(queue, 1)
        queue.leasing.ack(lease, Outcome(1))
        await queue.letters.replay(dead[1].id, from_start=True)
        (lease,) = await take(queue, 1)
        with lease.body.open() as file:  # type: ignore[union-attr]
            assert file.read() == b"spooled"
        queue.leasing.ack(lease, Outcome(1))
        await queue._committer.settled()
        await until(lambda: not list(folder.iterdir()))
        assert queue.stats().dead_letter_bytes == 0
        await queue.close()

    run(main())


def test_what_an_earlier_release_noted_while_bulk_waits_still_counts(tmp_path: Path) -> None:
    """Its store has the order keys of newer documents, and no table for what they are."""

    async def main() -> None:
        queue = await open_queue(tmp_path)
        bulk = await queue.intake.append(Header("g", keys=pack_keys([1, 2]), is_bulk=True), b"old")
        await queue.close()
        path = tmp_path / "shards" / "000" / "queue.db"
        turn_back(path, without=["newer"])
        with closing(sqlite3.connect(path)) as db, db:
            db.execute("INSERT INTO fresh VALUES ('g', 2, ?)", (1 << 60,))
        queue = await open_queue(tmp_path)
        (lease,) = await take(queue, 1)
        assert (lease.id, lease.rerun) == (bulk, Rerun(superseded=Overtaken((), (2,))))
        await queue.close()

    run(main())


def test_what_came_while_bulk_waits_supersedes_it_after_a_restart(tmp_path: Path) -> None:
    async def main() -> None:
        queue = await open_queue(tmp_path)
        one, two, three = (Identity("", id) for id in ("doc-29685295", "doc-32060020", "3"))
        keys = pack_keys([key_of(one.id), key_of(three.id)])
        bulk = await queue.intake.append(Header("g", keys=keys, is_bulk=True), b"old")
        live = await queue.intake.append(Header("g", keys=pack_keys([key_of(two.id)]), identities=(two,)), b"new")
        (lease,) = await take(queue, 1)
        assert lease.id == live
        queue.leasing.ack(lease, Outcome(1))
        await queue.close()
        queue = await open_queue(tmp_path)
        (lease,) = await take(queue, 1)
        assert (lease.id, lease.rerun) == (bulk, Rerun(superseded=Overtaken((two,))))
        queue.leasing.ack(lease, Outcome(1))
        await queue._committer.settled()
        await queue._committer.settled()
        assert queue._store.fresh() == []
        await queue.close()

    run(main())
