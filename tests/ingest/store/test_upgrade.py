"""A store of format 1 is opened by this version: nothing in it is lost, whenever it is interrupted."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from pypes.core.limits import Limits
from pypes.errors import StoreError
from pypes.ingest.outcome import Outcome
from pypes.ingest.queues.embedded import EmbeddedQueue
from pypes.ingest.store.schema import FORMAT
from pypes.ingest.store.shards import Shards
from tests.ingest.harness import open_queue, run, take
from tests.ingest.store import format_1


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


def test_100_000_queued_deliveries_are_all_processed(tmp_path: Path) -> None:
    async def main() -> None:
        ids = write_100_000(tmp_path)
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
        assert [r.receipt for r in await queue.receipts.find("failed", 0, 10)] == [failed]
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
