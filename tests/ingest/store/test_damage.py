"""What the disk does to a queue: damaged rows, pages and logs, files that are gone, no room."""

import asyncio
import logging
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pypes.errors import StoreError, StoreFull
from pypes.ingest.delivery import Header
from pypes.ingest.outcome import Outcome
from pypes.ingest.receipt import ReceiptId
from tests.ingest.harness import lease_any, open_queue, run, take, until


def file_of(data: Path) -> Path:
    return data / "shards" / "000" / "queue.db"


def corrupt(path: Path, marker: bytes, by: bytes) -> None:
    """Overwrite what the file holds at the only place where ``marker`` is."""
    content = path.read_bytes()
    assert content.count(marker) == 1
    path.write_bytes(content.replace(marker, by + marker[len(by) :]))


async def write(data: Path, *bodies: bytes) -> list[str]:
    """A commit for each body."""
    queue = await open_queue(data)
    ids = [await queue.intake.append(Header("g", length=len(body)), body) for body in bodies]
    await queue.close()
    return ids


def test_a_damaged_row_holds_up_nothing_and_is_told_by_name(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        ids = await write(tmp_path, b"first", b"the second which goes bad", b"third")
        corrupt(file_of(tmp_path), b"second which goes bad", b"SECOND")
        queue = await open_queue(tmp_path)
        leases = await take(queue, 2)
        assert [(lease.id, lease.body) for lease in leases] == [(ids[0], b"first"), (ids[2], b"third")]
        (dead,) = await queue.letters.find()
        assert (dead.code, dead.receipt, dead.graph) == ("store.damaged", ids[1], "g")
        assert ids[1] in dead.error
        assert "shard 0" in dead.error
        kept = await queue.letters.get(dead.id)
        assert kept is not None
        assert not kept.has_body
        receipt = await queue.receipts.get(ids[1])
        assert receipt is not None
        assert (receipt.state, receipt.failed) == ("failed", 1)
        assert any(ids[1] in str(getattr(record, "receipt", "")) for record in caplog.records)
        for lease in leases:
            queue.leasing.ack(lease, Outcome(1))
        assert queue.stats().bytes == 0
        await queue.close()

        # the row stays for whoever looks into it, and is not told again
        queue = await open_queue(tmp_path)
        assert queue.stats().deliveries == 0
        assert len(await queue.letters.find()) == 1
        await queue.close()
        with closing(sqlite3.connect(file_of(tmp_path))) as connection:
            assert connection.execute("SELECT count(*) FROM commits").fetchone() == (1,)

    run(main())


def test_a_row_whose_index_has_damaged_text_holds_up_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        queue = await open_queue(tmp_path)
        ids = [
            await queue.intake.append(Header("g", length=1, filename=name), b"x")
            for name in ("first", "the-one-that-goes-bad", "third")
        ]
        await queue.close()
        corrupt(file_of(tmp_path), b"one-that-goes-bad", b"\xff\xfe")
        queue = await open_queue(tmp_path)
        assert [lease.id for lease in await take(queue, 2)] == [ids[0], ids[2]]
        await until(lambda: queue.stats().dead_letters == 1)
        (dead,) = await queue.letters.find()
        assert (dead.code, dead.receipt) == ("store.damaged", ids[1])
        await queue.close()

    run(main())


def test_a_damaged_page_of_a_large_row_holds_up_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        large = b"x" * 160_000 + b"a mark in the middle" + b"x" * 160_000  # ten pages
        ids = await write(tmp_path, b"first", large, b"third")
        # the start of an overflow page is the number of the next
        path = file_of(tmp_path)
        content = bytearray(path.read_bytes())
        page = content.index(b"a mark in the middle") // 32768
        content[page * 32768 : page * 32768 + 4] = b"\xff\xff\xff\xff"
        path.write_bytes(content)
        queue = await open_queue(tmp_path)
        leases = await take(queue, 2)
        assert [lease.id for lease in leases] == [ids[0], ids[2]]
        # where even the start of the row cannot be read, it is of no stream that anything else is in, and read by itself
        async with asyncio.timeout(10):
            while not (letters := await queue.letters.find()):
                assert not lease_any(queue, 1, 1 << 20)
        (dead,) = letters
        assert (dead.code, dead.receipt) == ("store.damaged", ids[1])
        for lease in leases:
            queue.leasing.ack(lease, Outcome(1))
        await queue.intake.append(Header("g"), b"fourth")
        assert not queue.stats().is_failed
        await queue.close()

    run(main())


def test_around_a_page_that_cannot_be_listed_both_sides_are_served(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        bodies = [b"row %03d " % n + b"x" * 6000 for n in range(40)]
        ids = await write(tmp_path, *bodies)
        path = file_of(tmp_path)
        content = bytearray(path.read_bytes())
        page = content.index(b"row 020 ") // 32768
        content[page * 32768 : page * 32768 + 8] = b"\xff" * 8  # the header of a leaf
        path.write_bytes(content)
        queue = await open_queue(tmp_path)
        count = queue.stats().deliveries
        assert 20 < count < 40
        found = [lease.id for lease in await take(queue, count)]
        assert found[0] == ids[0]
        assert found[-1] == ids[-1]
        assert ids[20] not in found
        assert any("cannot be read" in record.getMessage() and record.levelno == logging.ERROR for record in caplog.records)
        await queue.close()

    run(main())


def test_damaged_receipts_keep_no_delivery_waiting(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        queue = await open_queue(tmp_path)
        for graph in [f"a graph with many receipts {n} {400 * 'x'}" for n in range(120)]:
            await queue.intake.append(Header(graph), b"done")
            (lease,) = await take(queue, 1)
            queue.leasing.ack(lease, Outcome(1))
        waits = await queue.intake.append(Header("g"), b"waits")
        await queue.close()
        path = file_of(tmp_path)
        content = bytearray(path.read_bytes())
        page = content.index(b'[["a graph with many receipts 3') // 32768
        content[page * 32768 : page * 32768 + 8] = b"\xff" * 8
        path.write_bytes(content)
        queue = await open_queue(tmp_path)
        (lease,) = await take(queue, 1)
        assert lease.id == waits
        assert any("receipts cannot be read" in record.getMessage() for record in caplog.records)
        await queue.close()

    run(main())


def copy_of_a_killed_node(data: Path, to: Path) -> None:
    """What a kill leaves: file and log as they are while the node runs."""
    (to / "shards/000").mkdir(parents=True)
    for name in ("queue.db", "queue.db-wal"):
        shutil.copy(data / "shards/000" / name, to / "shards/000" / name)


@pytest.mark.parametrize("frame", [0, 3])
def test_frames_behind_a_broken_one_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture, frame: int) -> None:
    async def main() -> None:
        data, left = tmp_path / "data", tmp_path / "left"
        queue = await open_queue(data)
        ids = [await queue.intake.append(Header("g"), b"body %d" % n) for n in range(10)]
        copy_of_a_killed_node(data, left)
        await queue.close()
        sound = tmp_path / "sound"
        shutil.copytree(left, sound)
        queue = await open_queue(sound)
        assert queue.stats().deliveries == 10
        assert not caplog.records
        await queue.close()

        log = left / "shards/000/queue.db-wal"
        content = bytearray(log.read_bytes())
        step = 24 + 32768
        frames = (len(content) - 32) // step
        broken = frames - 1 - frame
        content[32 + broken * step + 24 + 100] ^= 0xFF
        log.write_bytes(content)
        queue = await open_queue(left)
        (record,) = [record for record in caplog.records if record.levelno == logging.WARNING]
        assert (record.shard, record.frames, record.valid) == (0, frame + 1, broken)  # type: ignore[attr-defined]
        count = queue.stats().deliveries
        assert count < 10
        assert [lease.id for lease in await take(queue, count)] == ids[:count]
        await queue.close()

    run(main())


class FullConnection(sqlite3.Connection):
    """Answers insertions as SQLite does on a full disk, while told to."""

    is_full = False

    def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
        if FullConnection.is_full and sql.startswith("INSERT"):
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error
        return super().execute(sql, *args)


def test_a_full_disk_is_told_as_such(tmp_path: Path) -> None:
    async def main() -> None:
        queue = await open_queue(tmp_path, probe_s=0.01, connect=lambda *a, **o: sqlite3.connect(*a, factory=FullConnection, **o))
        FullConnection.is_full = True
        try:
            with pytest.raises(StoreFull):
                await queue.intake.append(Header("g"), b"x")
            with pytest.raises(StoreFull) as caught:
                queue.intake.append(Header("g"), b"x")
            assert caught.value.code == "store.full"
        finally:
            FullConnection.is_full = False
        while queue.stats().is_failed:  # noqa: ASYNC110 - the probe tells no one
            await asyncio.sleep(0.001)
        assert await queue.intake.append(Header("g"), b"x")
        await queue.close()

    run(main())


def test_a_read_only_store_says_so(tmp_path: Path) -> None:
    async def main() -> None:
        queue = await open_queue(tmp_path)
        queue._store._writer.execute("PRAGMA query_only = 1")
        with pytest.raises(StoreError, match="read-only") as caught:
            await queue.intake.append(Header("g"), b"x")
        assert not isinstance(caught.value, StoreFull)
        queue._store._writer.execute("PRAGMA query_only = 0")
        await queue.close()

    run(main())


class UnreadableConnection(sqlite3.Connection):
    """Answers reads of the rows ``unreadable`` as SQLite does where the disk does."""

    unreadable: tuple[int, ...] = ()

    def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
        if sql.startswith("SELECT key, data, crc") or (sql.startswith("SELECT data, crc") and args[0][0] in self.unreadable):
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = 266  # SQLITE_IOERR_READ
            raise error
        return super().execute(sql, *args)


@pytest.mark.parametrize("others", [0, 3])
def test_a_row_that_the_disk_does_not_give_holds_up_nothing(tmp_path: Path, others: int) -> None:
    async def main() -> None:
        ids = await write(tmp_path, b"unreadable", *[b"intact"] * others)

        class Connection(UnreadableConnection):
            unreadable = (ReceiptId.parse(ids[0]).key,)

        queue = await open_queue(tmp_path, probe_s=0.01, connect=lambda *a, **o: sqlite3.connect(*a, factory=Connection, **o))
        while queue.stats().deliveries > others:  # noqa: ASYNC110 - nobody is told; the deadline is that of run()
            await asyncio.sleep(0.001)
        (dead,) = await queue.letters.find()
        assert (dead.code, dead.receipt) == ("store.damaged", ids[0])
        assert [lease.id for lease in await take(queue, others)] == ids[1:]
        await queue.close()

    run(main())


class RestingConnection(sqlite3.Connection):
    """Answers every read of rows as SQLite does where the disk gives nothing at all, until it is told to work."""

    is_resting = True
    tries = 0

    def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
        if type(self).is_resting and sql.startswith(("SELECT key, data, crc", "SELECT data, crc")):
            type(self).tries += sql.startswith("SELECT key, data, crc")
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = 266  # SQLITE_IOERR_READ
            raise error
        return super().execute(sql, *args)


def test_a_store_that_cannot_be_read_is_tried_again_at_its_own_pace_and_told_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        (id,) = await write(tmp_path, b"waits")

        class Connection(RestingConnection):
            pass

        def connect(*args: Any, **options: Any) -> sqlite3.Connection:
            return sqlite3.connect(*args, factory=Connection, **options)

        queue = await open_queue(tmp_path, probe_s=0.01, connect=connect)
        while Connection.tries < 2:
            lease_any(queue, 1, 1 << 20)
            await asyncio.sleep(0.001)
        told = [record for record in caplog.records if "waiting deliveries cannot be read" in record.getMessage()]
        assert len(told) == 1
        Connection.is_resting = False
        assert [lease.id for lease in await take(queue, 1)] == [id]
        await queue.close()

        Connection.is_resting, Connection.tries = True, 0
        queue = await open_queue(tmp_path, probe_s=3600, connect=connect)
        while Connection.tries < 1 or queue._refill.is_busy:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.001)
        for _ in range(10):
            assert lease_any(queue, 1, 1 << 20) == []
            assert not queue._refill.is_busy
        await queue.close()

    run(main())


def test_whoever_waits_for_what_is_damaged_is_told(tmp_path: Path) -> None:
    async def main() -> None:
        (id,) = await write(tmp_path, b"unreadable")

        class Connection(UnreadableConnection):
            unreadable = (ReceiptId.parse(id).key,)

        queue = await open_queue(tmp_path, probe_s=0.01, connect=lambda *a, **o: sqlite3.connect(*a, factory=Connection, **o))
        changed = asyncio.Event()
        queue.leasing.on_ready = changed.set
        await changed.wait()
        assert queue.stats().deliveries == 0
        await queue.close()

    run(main())
