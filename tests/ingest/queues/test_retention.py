"""Receipts are folded when they are minutes old, and forgotten when they are too old or too many; nobody sees the difference."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from pypes.access.audit import AuditQuery
from pypes.core.graph_limits import NO_LIMITS, GraphLimits
from pypes.core.limits import Limits
from pypes.core.nodetime import Clock
from pypes.errors import Gone, StoreError
from pypes.ingest.delivery import Header
from pypes.ingest.outcome import Details, Fate, Outcome
from pypes.ingest.queues import searching
from pypes.ingest.queues.embedded import EmbeddedQueue
from pypes.ingest.receipt import DocumentReport, Receipt, ReceiptId, ReceiptQuery
from pypes.ingest.store.forgetting import forget
from pypes.ingest.whereabouts import DocumentQuery, Whereabouts
from tests.ingest.harness import letter, open_queue, run, take
from tests.ingest.queues.test_letters import ADA

START = 1_700_000_000.0
PUBLISHED = Details((Fate("published", ("index",)),), (1, 0))


class Time:
    """The node's clock, in the hands of a test."""

    def __init__(self) -> None:
        self.now = START
        self.clock = Clock(lambda: self.now)


async def finish(queue: EmbeddedQueue, *graphs: str, rng: random.Random | None = None) -> list[str]:
    """One commit of a delivery for each of these graphs, finished in different ways if there is an ``rng`` to choose them."""
    documents = [rng.randint(1, 3) if rng is not None else 1 for _ in graphs]
    appends = [queue.intake.append(Header(g, documents=n), b"x") for g, n in zip(graphs, documents, strict=True)]
    ids = await asyncio.gather(*appends)
    for lease in await take(queue, len(graphs)):
        number = lease.header.documents
        if rng is None or rng.random() < 0.5:
            details = Details((Fate("published", ("index",)),), (number, 0), {0: f"id-{lease.id[-4:]}"})
            queue.leasing.ack(lease, Outcome(number, version=3, details=details))
        elif rng.random() < 0.5:
            queue.leasing.ack(lease, Outcome(0, number, version=3, details=Details((Fate("dropped", (), "f"),), (number, 0))))
        else:
            queue.leasing.ack(lease, Outcome(number - 1, 0, 1, (letter(lease.id, number - 1),), version=3))
    await queue._committer.settled()
    return list(ids)


async def seen(queue: EmbeddedQueue, ids: list[str]) -> list[object]:
    """All that is told of these receipts, one by one, in lists and in searches."""
    found: list[object] = []
    for id in ids:
        found += [await queue.receipts.get(id), await queue.receipts.documents(id, 9), await looked(queue, f"id-{id[-4:]}")]
    for state in (None, "done", "failed"):
        for graph, among in (("", ()), ("g", ()), ("other", ()), ("", ("none", "o*r")), ("", ("g", "other"))):
            for newest in (True, False):
                for page in (3, 1000):
                    found.append(await listed(queue, state, graph, page, among, newest=newest))
    return found


async def looked(queue: EmbeddedQueue, text: str) -> list[Whereabouts]:
    found, until = [], 0
    while True:
        looked = await queue.receipts.look(DocumentQuery(text), 1, until)
        found += looked.found
        if not looked.until:
            return found
        assert not until or looked.until < until
        until = looked.until


async def listed(
    queue: EmbeddedQueue, state: str | None, graph: str, page: int, among: tuple[str, ...] = (), *, newest: bool
) -> list[str]:
    ids: list[str] = []
    after = ""
    while found := await queue.receipts.find(ReceiptQuery(state, 0.0, graph, among), page, after, newest=newest):
        ids += [receipt.receipt for receipt in found]
        after = ids[-1]
    return ids


def counted(path: Path, table: str) -> int:
    with closing(sqlite3.connect(path / "shards/000/queue.db")) as connection:
        (number,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
        return int(number)


@pytest.mark.parametrize("seed", range(3))
def test_what_is_folded_is_found_as_before(tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        rng, time = random.Random(seed), Time()
        queue = await open_queue(tmp_path, clock=time.clock)
        ids: list[str] = []
        for number in range(40):
            ids += await finish(queue, *rng.choices(("g", "other"), k=rng.randint(1, 4)), rng=rng)
            time.now += rng.choice((0.001, 1.0, 30.0))
            if number in (15, 25):
                time.now += 700 * rng.random()
                await queue._retention.look()
        time.now += 1300.0
        ids += await finish(queue, "g", "other")
        before = await seen(queue, ids)
        assert counted(tmp_path, "receipts") > 1
        await queue._retention.look()
        assert (counted(tmp_path, "receipts"), counted(tmp_path, "details") < 3) == (1, True)
        assert await seen(queue, ids) == before
        assert any(isinstance(each, Whereabouts) for part in before if isinstance(part, list) for each in part)
        monkeypatch.setattr(searching, "MOST_BLOCKS", 1)
        never = ReceiptId.parse(ids[0])
        for other in (never._replace(salt=never.salt ^ 1), never._replace(position=99), never._replace(key=never.key + 1)):
            assert await queue.receipts.get(str(other)) is None
        await queue.close()
        queue = await open_queue(tmp_path, clock=time.clock)
        assert await seen(queue, ids) == before
        await queue.close()

    run(main())


def test_few_receipts_wait_for_others_before_they_are_folded(tmp_path: Path) -> None:
    async def main() -> None:
        time = Time()
        queue = await open_queue(tmp_path, clock=time.clock)
        await finish(queue, "g")
        for passed, folded in ((601.0, 0), (610.0, 1)):
            time.now += passed
            await queue._retention.look()
            assert counted(tmp_path, "blocks") == folded
        await queue.close()

    run(main())


def test_a_graph_may_have_a_time_of_its_own(tmp_path: Path) -> None:
    async def main() -> None:
        time = Time()
        queue = await open_queue(tmp_path, clock=time.clock)
        queue.intake.deployed({"short": GraphLimits(receipts_s=3600.0), "long": NO_LIMITS})
        short, long = await finish(queue, "short", "long")
        for passed in (3000.0, 1000.0):
            assert await queue.receipts.get(short) is not None
            time.now += passed
            await queue._retention.look()
        with pytest.raises(Gone):
            await queue.receipts.get(short)
        receipt = await queue.receipts.get(long)
        assert isinstance(receipt, Receipt)
        assert await queue.receipts.documents(long, 9) == [DocumentReport(0, "published", f"id-{long[-4:]}", ("index",))]
        time.now += 86_400.0
        await queue._retention.look()
        with pytest.raises(Gone):
            await queue.receipts.get(long)
        assert counted(tmp_path, "blocks") == 0
        await queue.close()

    run(main())


def test_a_graph_may_have_a_size_of_its_own(tmp_path: Path) -> None:
    async def main() -> None:
        time = Time()
        queue = await open_queue(tmp_path, clock=time.clock)
        queue.intake.deployed({"small": GraphLimits(receipts_bytes=500), "large": NO_LIMITS})
        ids = []
        for _ in range(4):  # a block for each
            ids.append(await finish(queue, "small", "large"))
            time.now += 2000.0
            await queue._retention.look()
        with pytest.raises(Gone):
            await queue.receipts.get(ids[0][0])
        for id in (ids[-1][0], ids[0][1]):
            assert await queue.receipts.get(id) is not None
        await queue.close()

    run(main())


def test_whoever_has_most_makes_room_and_that_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        time = Time()
        queue = await open_queue(tmp_path, clock=time.clock, limits=Limits(receipts_bytes=3000))
        rare = await finish(queue, "rare")
        time.now += 2000.0
        await queue._retention.look()
        often = []
        for _ in range(30):
            often += await finish(queue, *["often"] * 20)
            time.now += 2000.0
            await queue._retention.look()
        assert await queue.receipts.get(rare[0]) is not None
        assert await queue.receipts.get(often[-1]) is not None
        with pytest.raises(Gone):
            await queue.receipts.get(often[0])
        await queue.close()

    run(main())
    assert [r.levelname for r in caplog.records if "forgotten before their time" in r.message] == ["WARNING"]


def test_a_receipt_that_is_just_being_forgotten_is_gone(tmp_path: Path) -> None:
    async def main() -> None:
        time = Time()
        queue = await open_queue(tmp_path, clock=time.clock)
        (id,) = await finish(queue, "g")
        time.now += 2000.0
        await queue._retention.look()
        # the transaction is through, and the event loop has not heard of it
        queue._store.change(partial(forget, graph="g", before=1 << 62, surplus=0))
        with pytest.raises(Gone):
            await queue.receipts.get(id)
        await queue.close()

    run(main())


def test_documents_are_not_told_without_their_details(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        time = Time()
        queue = await open_queue(tmp_path, clock=time.clock)
        id = await queue.intake.append(Header("g", documents=2), b"x")
        (lease,) = await take(queue)
        queue.leasing.ack(lease, Outcome(1, 1, details=Details((Fate("dropped", (), "f"), Fate("published")), (1, 0, 1, 1))))
        assert [one.outcome for one in await queue.receipts.documents(id, 9) or ()] == ["dropped", "published"]
        time.now += 2000.0
        await queue._retention.look()
        details = queue.receipts._ledger.details

        def forget_before(key: int, position: int) -> Details | None:
            queue._store.change(partial(forget, graph="g", before=1 << 62, surplus=0))
            return details(key, position)

        monkeypatch.setattr(queue.receipts._ledger, "details", forget_before)
        with pytest.raises(Gone):
            await queue.receipts.documents(id, 9)
        await queue.close()

    run(main())


@pytest.mark.parametrize("torn", ["'torn'", "replace(data, ',', '.')", "replace(data, ',0,[0,', ',0,[0.')"])
def test_a_damaged_row_holds_up_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture, torn: str) -> None:
    async def main() -> None:
        time = Time()
        queue = await open_queue(tmp_path, clock=time.clock)
        damaged, intact = await finish(queue, "g"), await finish(queue, "g")
        await queue.close()
        with closing(sqlite3.connect(tmp_path / "shards/000/queue.db")) as connection, connection:
            key = ReceiptId.parse(damaged[0]).key
            connection.execute(f"UPDATE receipts SET data = {torn} WHERE key = ?", (key,))
        queue = await open_queue(tmp_path, clock=time.clock)
        time.now += 2000.0
        await queue._retention.look()
        await queue._retention.look()
        assert (counted(tmp_path, "receipts"), counted(tmp_path, "blocks")) == (1, 1)
        assert await queue.receipts.get(intact[0]) is not None
        assert await listed(queue, None, "", 9, newest=True) == intact
        with pytest.raises(StoreError, match="a row of receipts is damaged"):
            await queue.receipts.get(damaged[0])
        await queue.close()

    run(main())
    assert len([r for r in caplog.records if "receipts are damaged" in r.message]) == 1


def test_a_disk_that_fails_leaves_everything_for_later(tmp_path: Path) -> None:
    async def main() -> None:
        time = Time()
        queue = await open_queue(tmp_path, clock=time.clock)
        (id,) = await finish(queue, "g")
        time.now += 2000.0
        queue._store._writer.execute("PRAGMA query_only = 1")
        await queue._retention.look()
        queue._store._writer.execute("PRAGMA query_only = 0")
        assert (counted(tmp_path, "receipts"), counted(tmp_path, "blocks")) == (1, 0)
        await queue._retention.look()
        assert (counted(tmp_path, "receipts"), counted(tmp_path, "blocks")) == (0, 1)
        assert await queue.receipts.get(id) is not None
        await queue.close()

    run(main())


def test_lines_of_the_audit_log_go_when_they_are_too_old(tmp_path: Path) -> None:
    async def main() -> None:
        time = Time()
        queue = await open_queue(tmp_path, clock=time.clock, limits=Limits(audit_s=100.0))
        for _ in range(2):
            await queue.cursors.move(("g", "", "{}"), cause=ADA)
            time.now += 60.0
        assert len(await queue.audited.lines(AuditQuery())) == 2
        await queue._retention.look()
        assert [entry.place.number for entry in await queue.audited.lines(AuditQuery())] == [2]
        await queue.close()
        queue = await open_queue(tmp_path, clock=time.clock, limits=Limits(audit_s=100.0))
        await queue.cursors.move(("g", "", "{}"), cause=ADA)
        assert [entry.place.number for entry in await queue.audited.lines(AuditQuery())] == [3, 2]
        await queue.close()

    run(main())


def test_a_store_of_an_earlier_release_gets_its_audit_log_once(tmp_path: Path) -> None:
    path = tmp_path / "shards/000/queue.db"

    async def main() -> None:
        await (await open_queue(tmp_path)).close()
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript("DROP TABLE audit; DROP TABLE audit_gone")
        queue = await open_queue(tmp_path)
        await queue.cursors.move(("g", "", "{}"), cause=ADA)
        assert len(await queue.audited.lines(AuditQuery())) == 1
        await queue.close()
        before = path.read_bytes()
        await (await open_queue(tmp_path)).close()
        assert path.read_bytes() == before, "an opening has written something"

    run(main())
