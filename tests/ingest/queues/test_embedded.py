import asyncio
import os
import resource
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pypes.core.limits import Limits
from pypes.core.nodetime import Clock
from pypes.errors import Gone, InvalidConfig, StoreError
from pypes.ingest.contracts.leasing import Lease
from pypes.ingest.outcome import DeadLetter, Outcome, dead_letter_id
from pypes.ingest.queues.embedded import EmbeddedQueue
from pypes.ingest.store.shards import Shards
from tests.ingest.harness import header, open_queue, run, take, until


def test_a_restart_replays_exactly_what_was_not_acknowledged(tmp_path: Path) -> None:
    async def main() -> None:
        queue = await open_queue(tmp_path)
        # one commit that ends up half acknowledged, and others that are whole
        together = await asyncio.gather(*[queue.intake.append(header(), b"%d" % n) for n in range(10)])
        single = [await queue.intake.append(header(), b"single") for _ in range(3)]
        leases = await take(queue, 13)
        for lease in (*leases[:10:2], leases[11]):
            queue.leasing.ack(lease, Outcome(1))
        await queue.close()

        queue = await open_queue(tmp_path)
        assert queue.stats().deliveries == 7
        again = await take(queue, 7)
        assert [lease.id for lease in again] == [*together[1::2], single[0], single[2]]
        assert [lease.body for lease in again[:5]] == [b"1", b"3", b"5", b"7", b"9"]
        assert all(not queue.leasing.ack(lease, Outcome(1)) for lease in leases), "a token of an earlier life is void"
        for id, state in ((together[0], "done"), (together[1], "processing"), (single[1], "done")):
            receipt = await queue.receipts.get(id)
            assert receipt is not None
            assert receipt.state == state
        for lease in again:
            queue.leasing.ack(lease, Outcome(1))
        assert (queue.stats().bytes, queue.stats().deliveries) == (0, 0)
        await queue.close()

        queue = await open_queue(tmp_path)
        assert queue.stats().commits == 0
        receipt = await queue.receipts.get(together[1])
        assert receipt is not None
        assert receipt.state == "done"
        await queue.close()

    run(main())


def test_counts_of_crashes_outlive_a_restart(tmp_path: Path) -> None:
    async def main() -> None:
        queue = await open_queue(tmp_path)
        await queue.intake.append(header(), b"x")
        (lease,) = await take(queue, 1)
        queue.leasing.record_crash(lease)
        await queue.close()
        queue = await open_queue(tmp_path)
        (lease,) = await take(queue, 1)
        assert (lease.crashes, lease.is_suspect) == (1, True)
        assert queue.leasing.record_crash(lease) == 2
        await queue.close()

    run(main())


_WRITER = """
import asyncio, sys
from pathlib import Path
from pypes.core.limits import Limits
from pypes.ingest.contracts.leasing import Stream
from pypes.ingest.delivery import Header
from pypes.ingest.queues.embedded import EmbeddedQueue
from pypes.ingest.outcome import Outcome
from pypes.ingest.store.shards import Shards

async def main():
    queue = await EmbeddedQueue.open(Shards(Path(sys.argv[1])).lock(0), node=1, limits=Limits())
    def work():
        for n, lease in enumerate(queue.leasing.take(Stream("g", is_bulk=False), 64, 1 << 30)):
            if n % 3:  # what is leased and not acknowledged must come again
                queue.leasing.ack(lease, Outcome(1))
                acked.append(lease.id)
    acked = []
    queue.leasing.on_ready = work
    async def client(name):
        n = 0
        while True:
            body = f"{name}/{n}".encode()
            id = await queue.intake.append(Header("g", length=len(body)), body)
            sys.stdout.write(f"{id} {body.decode()}\\n")
            n += 1
    async def report():
        while True:
            await asyncio.sleep(0.005)
            sys.stdout.flush()
    await asyncio.gather(report(), *[client(n) for n in range(16)])

asyncio.run(main())
"""


@pytest.mark.parametrize("lines", [1, 500, 5000])
def test_nothing_reported_durable_is_lost_when_the_process_is_killed(tmp_path: Path, lines: int) -> None:
    writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert writer.stdout is not None
        reported = [writer.stdout.readline().split() for _ in range(lines)]
    finally:
        os.kill(writer.pid, signal.SIGKILL)
        rest, _ = writer.communicate()
    # the last line may be cut off by the kill
    reported += [line.split() for line in rest.splitlines(keepends=True) if line.endswith("\n")]

    async def main() -> None:
        queue = await open_queue(tmp_path)
        waiting = {lease.id: lease.body for lease in await take(queue, queue.stats().deliveries)}
        for id, body in reported:
            if id in waiting:
                assert waiting[id] == body.encode()
            else:
                receipt = await queue.receipts.get(id)
                assert receipt is not None, f"{id} was reported durable and is lost"
                assert receipt.state == "done"
        await queue.close()

    run(main())


def test_a_store_of_a_later_format_is_refused_with_the_version_needed(tmp_path: Path) -> None:
    async def main() -> None:
        queue = await open_queue(tmp_path, version="9.1")
        await queue.close()
        with sqlite3.connect(tmp_path / "shards/000/queue.db") as connection:
            connection.execute("PRAGMA user_version = 99")
        connection.close()
        shard = Shards(tmp_path).lock(0)
        with pytest.raises(StoreError, match=r"format 99.*9\.1") as caught:
            await EmbeddedQueue.open(shard, node=1, limits=Limits())
        assert caught.value.code == "store.too_new"
        shard.release()

    run(main())


def test_a_file_that_is_no_store_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        shard = Shards(tmp_path).lock(0)
        (shard.path / "queue.db").write_bytes(b"this is not a database" * 100)
        with pytest.raises(StoreError):
            await EmbeddedQueue.open(shard, node=1, limits=Limits())
        shard.release()

    run(main())


def test_an_unknown_durability_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        shard = Shards(tmp_path).lock(0)
        with pytest.raises(InvalidConfig):
            await EmbeddedQueue.open(shard, node=1, limits=Limits(), durability="sometimes")
        shard.release()

    run(main())


def test_a_disk_that_refuses_stops_appends_until_it_works_again(tmp_path: Path) -> None:
    """A real one: the process may not write files beyond a size, which SQLite sees as a full disk."""

    async def main() -> None:
        queue = await open_queue(tmp_path, probe_s=0.01)
        kept = await queue.intake.append(header(), b"kept")
        (lease,) = await take(queue, 1)
        queue.leasing.ack(lease, Outcome(1))
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, hard))
        try:
            refused = queue.intake.append(header(), b"x" * 200_000)
            waiting: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            queue.intake.append_for(waiting, header(), b"x")
            with pytest.raises(StoreError) as caught:
                await refused
            assert caught.value.code == "store.failed"
            with pytest.raises(StoreError):
                await waiting
            assert queue.stats().is_failed
            with pytest.raises(StoreError):
                queue.intake.append(header(), b"y")
            receipt = await queue.receipts.get(kept)
            assert receipt is not None
            assert receipt.state == "done"
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            signal.signal(signal.SIGXFSZ, before)
        await until(lambda: not queue.stats().is_failed)
        id = await queue.intake.append(header(), b"z")
        assert [lease.id for lease in await take(queue, 1)] == [id]
        assert queue.stats().deliveries == 1
        await queue.close()
        queue = await open_queue(tmp_path)
        assert [lease.body for lease in await take(queue, 1)] == [b"z"]
        await queue.close()

    run(main())


class FailingConnection(sqlite3.Connection):
    """Fails statements while told to, as a disk does whose sync reports an error."""

    is_failing = False

    def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
        if FailingConnection.is_failing and sql.startswith("INSERT"):
            raise sqlite3.OperationalError("disk I/O error")
        return super().execute(sql, *args)


def failing(*args: Any, **options: Any) -> sqlite3.Connection:
    return sqlite3.connect(*args, factory=FailingConnection, **options)


def test_acknowledgements_of_a_failed_commit_are_kept_for_the_next(tmp_path: Path) -> None:
    async def main() -> None:
        queue = await open_queue(tmp_path, connect=failing, probe_s=0.005)
        ids = await asyncio.gather(*[queue.intake.append(header(), b"x") for _ in range(4)])
        leases = await take(queue, 4)
        FailingConnection.is_failing = True
        try:
            letter = DeadLetter(dead_letter_id(ids[0], 0, "f"), (0,), "g", 1, "f", "F", "c", "boom", "", 1, b"{}", 1.0)
            queue.leasing.ack(leases[0], Outcome(failed=1, dead_letters=(letter,)))
            queue.leasing.ack(leases[1], Outcome(1))
            queue.leasing.record_crash(leases[2])
            await until(lambda: queue.stats().is_failed)
        finally:
            FailingConnection.is_failing = False
        await until(lambda: not queue.stats().is_failed)
        assert [dead.id for dead in await queue.letters.find()] == [letter.id]
        await queue.close()
        queue = await open_queue(tmp_path)
        assert [(lease.id, lease.crashes) for lease in await take(queue, 2)] == [(ids[2], 1), (ids[3], 0)]
        await queue.close()

    run(main())


def test_bodies_beyond_the_cache_are_read_again_in_order(tmp_path: Path) -> None:
    async def main() -> None:
        queue = await open_queue(tmp_path, limits=Limits(cache_bytes=20_000))
        ids = [await queue.intake.append(header(), b"%03d" % n * 300) for n in range(100)]
        assert queue.stats().cached_bytes <= 20_000
        leases: list[Lease] = []
        while len(leases) < 100:
            leases += await take(queue, 1)
            assert queue.stats().cached_bytes <= 2 * 20_000
        assert [lease.id for lease in leases] == ids
        assert [lease.body for lease in leases] == [b"%03d" % n * 300 for n in range(100)]
        for lease in leases:
            assert queue.leasing.ack(lease, Outcome(1))
        await queue.close()

    run(main())


@pytest.mark.parametrize("durability", ["interval", "never"])
def test_weaker_durability_still_survives_the_end_of_the_process(tmp_path: Path, durability: str) -> None:
    async def main() -> None:
        queue = await open_queue(tmp_path, durability=durability, interval_s=0.01)
        ids = [await queue.intake.append(header(), b"x") for _ in range(20)]
        await queue.close()
        queue = await open_queue(tmp_path)
        assert [lease.id for lease in await take(queue, 20)] == ids
        await queue.close()

    run(main())


def test_old_receipts_are_forgotten(tmp_path: Path) -> None:
    async def main() -> None:
        queue = await open_queue(tmp_path, limits=Limits(receipts_bytes=4000))
        ids: list[str] = []
        for _ in range(150):
            ids += await asyncio.gather(*[queue.intake.append(header(), b"x") for _ in range(100)])
            for lease in await take(queue, 100):
                queue.leasing.ack(lease, Outcome(1))
            await queue.letters.find()  # waits for the commit
        await queue._retention.look()
        with pytest.raises(Gone):
            await queue.receipts.get(ids[0])
        assert await queue.receipts.get(ids[-1]) is not None
        await queue.close()

    run(main())


def test_a_clock_that_goes_back_does_not_repeat_a_key(tmp_path: Path) -> None:
    async def main() -> None:
        times = iter([1e9] + [1e9 - 1000] * 1000)
        queue = await open_queue(tmp_path, clock=Clock(lambda: next(times)))
        ids = [await queue.intake.append(header(), b"x") for _ in range(3)]
        assert ids == sorted(set(ids))
        await queue.close()
        queue = await open_queue(tmp_path, clock=Clock(lambda: 1e9 - 2000))
        ids.append(await queue.intake.append(header(), b"x"))
        assert ids == sorted(set(ids))
        await queue.close()

    run(main())


def test_cursors_outlive_a_restart_and_go_with_what_was_fetched(tmp_path: Path) -> None:
    async def main() -> None:
        queue = await open_queue(tmp_path)
        await queue.cursors.move(("g", "", "{}"))
        await queue.cursors.append(header(body=b"[]"), b"[]", ("g", "source", "1"))
        await queue.cursors.append(header(body=b"[]"), b"[]", ("g", "source", "2"))
        await queue.cursors.move(("other", "source", "3"))
        await queue.cursors.append(header(body=b"[]"), b"[]", ("two", "a", "4"), ("two", "b", "5"))
        await queue.cursors.move(("two", "c", "6"), ("two", "d", "7"))
        await queue.close()
        queue = await open_queue(tmp_path)
        assert await queue.cursors.of_filter("source", "g") == {"g": "2"}
        assert await queue.cursors.of_filter("source") == {"g": "2", "other": "3"}
        assert await queue.cursors.of_filter("") == {"g": "{}"}
        assert await queue.cursors.of_filter("nobody") == {}
        assert await queue.cursors.of_graph("two") == {"a": "4", "b": "5", "c": "6", "d": "7"}
        assert len(await take(queue, 3)) == 3
        await queue.close()
        with pytest.raises(StoreError):
            queue.cursors.move(("g", "source", "4"))

    run(main())
