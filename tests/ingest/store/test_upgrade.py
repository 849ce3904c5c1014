"""Stores of earlier formats are opened by this version: nothing in them is lost, whenever it is interrupted."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from pypes.core.limits import Limits
from pypes.core.nodetime import Clock
from pypes.errors import Conflict, StoreError
from pypes.ingest.accounts import Counts
from pypes.ingest.contracts.intake import Key
from pypes.ingest.delivery import Header
from pypes.ingest.outcome import Details, Fate, Outcome
from pypes.ingest.queues.embedded import EmbeddedQueue
from pypes.ingest.receipt import ReceiptId, ReceiptQuery
from pypes.ingest.store.schema import FORMAT
from pypes.ingest.store.shards import Shards
from tests.ingest.harness import open_queue, run, take
from tests.ingest.store import format_1
from tests.ingest.store.format_2 import turn_back


def writer(data: Path) -> format_1.Writer:
    folder = data / "shards" / "000"
    folder.mkdir(parents=True)
    return format_1.Writer(folder / "queue.db")


def write_100_000(data: Path) -> list[str]:
    old = writer(data)
    ids: list[str] = []
    for n in range(1000):
        ids += old.commit([b'{"n": %d}' % (100 * n + i) for i in range(100)])
    old.close()
    return ids


async def queue_100_000(data: Path) -> list[str]:
    """As format 2 has them."""
    queue = await open_queue(data)
    ids: list[str] = []
    for n in range(0, 100_000, 10_000):
        ids += await asyncio.gather(*[queue.intake.append(Header("g"), b'{"n": %d}' % i) for i in range(n, n + 10_000)])
    await queue.close()
    turn_back(data / "shards/000/queue.db")
    return ids


@pytest.mark.parametrize("format", [1, 2])
def test_100_000_queued_deliveries_are_all_processed(tmp_path: Path, format: int) -> None:
    async def main() -> None:
        ids = write_100_000(tmp_path) if format == 1 else await queue_100_000(tmp_path)
        queue = await open_queue(tmp_path)
        assert queue.stats().deliveries == 100_000
        number = 0
        while number < 100_000:
            leases = await take(queue, min(5000, 100_000 - number))
            for lease in leases:
                assert (lease.id, lease.body) == (ids[number], b'{"n": %d}' % number)
                assert lease.header.documents == 1
                assert queue.leasing.ack(lease, Outcome(1))
                number += 1
        await queue.close()
        queue = await open_queue(tmp_path)
        assert queue.stats().deliveries == 0
        for id in (ids[0], ids[50_000], ids[-1]):
            receipt = await queue.receipts.get(id)
            assert receipt is not None
            assert (receipt.state, receipt.graph) == ("done", "g")
        await queue.close()

    run(main(), within_s=120)


def test_receipts_progress_crashes_and_dead_letters_stay_readable(tmp_path: Path) -> None:
    async def main() -> None:
        old = writer(tmp_path)
        done, failed = old.receipts([[3, 2, 1, 0, 250], [1, 0, 0, 1, 40]])
        half, crashed = old.commit([b"finished", b"waiting"])
        old.finish(0, [1, 1, 0, 0, 12])
        old.crash(1, 2)
        old.dead_letter(failed, "html", b'{"fields": {"id": "x"}, "meta": {}, "field_meta": {}}')
        old.dead_letter(done, "", b"the body", whole=format_1.header(8, 3))
        old.close()

        queue = await open_queue(tmp_path)
        receipt = await queue.receipts.get(done)
        assert receipt is not None
        assert (receipt.state, receipt.accepted, receipt.published, receipt.dropped) == ("done", 3, 2, 1)
        assert (receipt.received, receipt.started) == ("2023-11-14T22:13:20.001Z", None)
        assert receipt.finished == "2023-11-14T22:13:20.251Z"
        receipt = await queue.receipts.get(half)
        assert receipt is not None
        assert receipt.state == "done"
        assert [r.receipt for r in await queue.receipts.find(ReceiptQuery("failed"), 10)] == [failed]
        (lease,) = await take(queue, 1)
        assert (lease.id, lease.body, lease.crashes, lease.is_suspect) == (crashed, b"waiting", 2, True)

        letters = await queue.letters.find()
        assert sorted(letter.receipt for letter in letters) == [done, failed]
        assert all(letter.id.startswith(f"{letter.receipt}-") for letter in letters)
        by_receipt = {letter.receipt: letter for letter in letters}
        packet = await queue.letters.get(by_receipt[failed].id)
        assert packet is not None
        assert (packet.letter.packet[:9], packet.letter.traceback, packet.has_body) == (b'{"fields"', "trace", False)
        whole = await queue.letters.get(by_receipt[done].id)
        assert whole is not None
        assert (whole.body, whole.content_type, whole.letter.packet) == (b"the body", "application/json", b"")
        await queue.letters.replay(whole.letter.id, from_start=True)
        (again,) = await take(queue, 1)
        assert (again.body, again.header.documents, again.header.only) == (b"the body", 1, (0,))
        await queue.close()

    run(main(), within_s=120)


def test_receipts_details_and_keys_of_format_2_stay_and_are_folded(tmp_path: Path) -> None:
    now = [1_700_000_000.0]

    async def main() -> None:
        clock = Clock(lambda: now[0])
        queue = await open_queue(tmp_path, clock=clock)
        done, waiting = await asyncio.gather(*[queue.intake.append(Header("g", documents=2), b"x") for _ in range(2)])
        other = await queue.intake.append(Header("other"), b"x")
        for lease in await take(queue, 3):
            if lease.id != waiting:
                details = Details((Fate("published", ("index",)), Fate("dropped", (), "f")), (1, 0, 1, 1))
                queue.leasing.ack(lease, Outcome(1, 1, details=details) if lease.id == done else Outcome(1))
        await queue.close()
        keys = [("g\0old", b"0123456789abcdef", ReceiptId.parse(done).key, done)]
        turn_back(tmp_path / "shards/000/queue.db", keys=keys)

        queue = await open_queue(tmp_path, clock=clock)
        assert queue.totals() == {"g": Counts(4, 1, 1, 0), "other": Counts(1, 1)}
        assert await queue.intake.append(Header("g"), b"x", None, Key("g\0old", b"0123456789abcdef")) == done
        with pytest.raises(Conflict):
            await queue.intake.append(Header("g"), b"x", None, Key("g\0old", b"another digest.."))
        (lease,) = await take(queue, 1)
        queue.leasing.ack(lease, Outcome(2))
        await queue._committer.settled()
        before = [(await queue.receipts.get(id), await queue.receipts.documents(id, 9)) for id in (done, waiting, other)]
        now[0] += 2000.0
        await queue._retention.look()
        assert queue._store.read("SELECT count(*) FROM receipts") == [(0,)]
        after = [(await queue.receipts.get(id), await queue.receipts.documents(id, 9)) for id in (done, waiting, other)]
        assert after == before
        assert await queue.intake.append(Header("g"), b"x", None, Key("g\0old", b"0123456789abcdef")) == done
        now[0] += 3600.0
        await queue._retention.look()
        assert await queue.intake.append(Header("g"), b"x", None, Key("g\0old", b"0123456789abcdef")) != done
        await queue.close()

    run(main())


_UPGRADE = """
import os, signal, sqlite3, sys
from pathlib import Path
from pypes.ingest.store.store import Store

class Killed(sqlite3.Connection):
    def execute(self, sql, *args):
        if sql.startswith(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().execute(sql, *args)

def connect(*args, **options):
    return sqlite3.connect(*args, factory=Killed, **options)

# pages reach the log before the transaction ends
Store(Path(sys.argv[1]), connect=lambda *a, **o: (c := connect(*a, **o), c.execute("PRAGMA cache_size = 2"))[0])
"""


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE commits",
        "CREATE TABLE keys",
        "INSERT INTO crashes",
        "DROP TABLE receipts_1",
        "PRAGMA user_version =",
        "COMMIT",
    ],
)
def test_a_kill_in_the_middle_of_it_leaves_a_store_that_upgrades_again(tmp_path: Path, statement: str) -> None:
    old = writer(tmp_path)
    ids = [id for n in range(200) for id in old.commit([b"%d" % n])]
    finished = [id for _ in range(2000) for id in old.receipts([[1, 1, 0, 0, 5]] * 20)]
    old.dead_letter(finished[0], "f", b"{}")
    old.close()
    path = tmp_path / "shards/000/queue.db"
    killed = subprocess.run([sys.executable, "-c", _UPGRADE, str(path), statement], check=False)
    assert killed.returncode == -signal.SIGKILL
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)

    async def main() -> None:
        queue = await open_queue(tmp_path)
        assert [lease.id for lease in await take(queue, 200)] == ids
        assert await queue.receipts.get(finished[-1]) is not None
        assert len(await queue.letters.find()) == 1
        await queue.close()

    run(main(), within_s=120)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (FORMAT,)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE blocks",
        "CREATE TABLE spans",
        "CREATE TABLE IF NOT EXISTS keys_",
        "DROP TABLE keys",
        "PRAGMA user_version =",
        "COMMIT",
    ],
)
def test_a_kill_in_the_middle_of_an_upgrade_from_format_2(tmp_path: Path, statement: str) -> None:
    path = tmp_path / "shards/000/queue.db"

    async def fill() -> list[str]:
        queue = await open_queue(tmp_path)
        ids = await asyncio.gather(*[queue.intake.append(Header("g"), b"%d" % n) for n in range(200)])
        await queue.close()
        key = ReceiptId.parse(ids[0]).key
        turn_back(path, keys=[(f"g\0{n}", bytes(16), key, ids[n % 200]) for n in range(2000)])
        return list(ids)

    async def main() -> None:
        ids = await fill()
        killed = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", _UPGRADE, str(path), statement], check=False)
        assert killed.returncode == -signal.SIGKILL
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA user_version").fetchone() == (2,)
        queue = await open_queue(tmp_path)
        assert [lease.id for lease in await take(queue, 200)] == ids
        assert await queue.intake.append(Header("g"), b"", None, Key(f"g\0{201}", bytes(16))) == ids[1]
        await queue.close()

    run(main(), within_s=120)


def test_a_later_format_is_refused_with_the_version_needed(tmp_path: Path) -> None:
    async def main() -> None:
        await (await open_queue(tmp_path)).close()
        path = tmp_path / "shards/000/queue.db"
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(f"PRAGMA user_version = {FORMAT + 1}")
            connection.execute("UPDATE meta SET value = '3.4' WHERE name = 'version'")
            connection.commit()
        before = os.stat(path).st_size  # noqa: PTH116 - the file, whatever pathlib thinks
        shard = Shards(tmp_path).lock(0)
        with pytest.raises(StoreError, match=r"run Pypes 3\.4 or newer") as caught:
            await EmbeddedQueue.open(shard, node=1, limits=Limits())
        assert caught.value.code == "store.too_new"
        assert os.stat(path).st_size == before  # noqa: PTH116
        shard.release()

    run(main(), within_s=120)
