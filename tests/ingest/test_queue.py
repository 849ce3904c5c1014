"""One behaviour suite over every implementation of the queue."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from pypes.core.limits import Limits
from pypes.errors import Conflict, NotFound, QueueFull, StoreError
from pypes.ingest.delivery import Header, Spooled
from pypes.ingest.embedded import EmbeddedQueue
from pypes.ingest.memory import MemoryQueue
from pypes.ingest.outcome import DeadLetter, Outcome, dead_letter_id
from pypes.ingest.queue import Lease, Queue
from pypes.ingest.receipt import ReceiptId
from pypes.ingest.shards import Shards

MANY = 1 << 30
Scenario = Callable[[Queue], Awaitable[None]]


@pytest.fixture(params=["memory", "embedded", "embedded-cold"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., None]:
    """Run a scenario on a fresh queue; "cold" keeps no body in memory, so that everything is read again."""

    def run(scenario: Scenario, **limits: int) -> None:
        if request.param == "embedded-cold":
            limits["cache_bytes"] = 1

        async def main() -> None:
            queue: Queue
            if request.param == "memory":
                queue = MemoryQueue(limits=Limits(**limits), node=7, shard=3)
            else:
                queue = await EmbeddedQueue.open(Shards(tmp_path).claim(3), node=7, limits=Limits(**limits))
            try:
                async with asyncio.timeout(30):
                    await scenario(queue)
            finally:
                await queue.close()

        asyncio.run(main())

    return run


def header(documents: int = 1, body: bytes | Spooled = b"") -> Header:
    return Header("g", documents=documents, length=len(body))


async def take(queue: Queue, n: int = 1, ttl_s: float | None = None) -> list[Lease]:
    """Lease exactly ``n`` deliveries, waiting for them."""
    ready = asyncio.Event()
    queue.on_ready = ready.set
    leases: list[Lease] = []
    while len(leases) < n:
        ready.clear()
        found = queue.lease(n - len(leases), MANY, ttl_s)
        leases += found
        if not found:
            await ready.wait()
    return leases


def letter(receipt: str, ordinal: int = 0) -> DeadLetter:
    id = dead_letter_id(receipt, 0, "f", ordinal)
    return DeadLetter(id, (0,), "g", 1, "f", "F", "component.failed", "boom", "", 1, b'{"fields": {}}', 1.0)


def test_deliveries_are_leased_in_order_with_what_was_appended(run: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        bodies = [f"body {n}".encode() for n in range(50)]
        receipts = await asyncio.gather(*[queue.append(header(body=b), b, b + b"!") for b in bodies])
        assert len(set(receipts)) == 50
        leases = await take(queue, 50)
        assert [lease.id for lease in leases] == list(receipts)
        assert [lease.body for lease in leases] == bodies
        assert all(lease.decoded in (None, body + b"!") for lease, body in zip(leases, bodies, strict=True))
        assert leases[0].header == header(body=bodies[0])
        assert queue.lease(1, MANY) == []

    run(scenario)


def test_a_receipt_leads_to_node_and_shard(run: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        id = ReceiptId.parse(await queue.append(header(), b"x"))
        assert (id.node, id.shard) == (7, 3)

    run(scenario)


def test_a_receipt_follows_its_delivery(run: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        first, second = [await queue.append(header(3), b"x") for _ in range(2)]
        receipt = await queue.receipt(first)
        assert receipt is not None
        assert (receipt.state, receipt.accepted, receipt.pending, receipt.finished) == ("queued", 3, 3, None)
        leases = await take(queue, 2)
        receipt = await queue.receipt(first)
        assert receipt is not None
        assert receipt.state == "processing"
        assert queue.ack(leases[0], Outcome(2, 1))
        assert queue.ack(leases[1], Outcome(2, 0, 1, (letter(second),)))
        for _ in range(2):  # before and after it is in the store
            receipt = await queue.receipt(first)
            assert receipt is not None
            assert (receipt.state, receipt.published, receipt.dropped, receipt.failed, receipt.pending) == ("done", 2, 1, 0, 0)
            assert receipt.finished is not None
            assert receipt.finished >= receipt.received
            receipt = await queue.receipt(second)
            assert receipt is not None
            assert (receipt.state, receipt.failed) == ("failed", 1)
            assert [found.error for found in await queue.letters()] == ["boom"]

    run(scenario)


def test_ids_that_were_never_given_out_are_unknown(run: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        given = ReceiptId.parse(await queue.append(header(), b"x"))
        for other in (
            given._replace(shard=4),
            given._replace(node=8),
            given._replace(salt=given.salt ^ 1),
            given._replace(position=5),
            given._replace(key=given.key + 1),
        ):
            assert await queue.receipt(str(other)) is None
        with pytest.raises(NotFound):
            await queue.receipt("nonsense")

    run(scenario)


def test_waiting_for_a_receipt_ends_with_the_delivery_or_the_time(run: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        id = await queue.append(header(), b"x")
        receipt = await queue.wait_receipt(id, 0.01)
        assert receipt is not None
        assert receipt.state == "queued"
        waiting = asyncio.create_task(queue.wait_receipt(id, 20))
        (lease,) = await take(queue)
        queue.ack(lease, Outcome(1))
        receipt = await waiting
        assert receipt is not None
        assert receipt.state == "done"

    run(scenario)


def test_an_acknowledged_delivery_is_gone_and_its_token_void(run: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        await queue.append(header(), b"x")
        (lease,) = await take(queue)
        assert queue.ack(lease, Outcome(1))
        assert not queue.ack(lease, Outcome(1))
        assert not queue.nack(lease)
        assert not queue.extend(lease, 1)
        assert not queue.dead_letter(lease, "x", "y")
        stats = queue.stats()
        assert (stats.deliveries, stats.bytes, stats.leased, stats.acknowledged) == (0, 0, 0, 1)

    run(scenario)


def test_what_is_given_back_goes_first_under_a_new_token(run: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        for body in (b"1", b"2"):
            await queue.append(header(), body)
        (first,) = await take(queue)
        assert queue.nack(first, suspect=True)
        again, second = await take(queue, 2)
        assert (again.body, again.attempt, again.is_suspect, second.body) == (b"1", 2, True, b"2")
        assert not queue.ack(first, Outcome(1))
        assert queue.ack(again, Outcome(1))

    run(scenario)


def test_a_delay_is_kept(run: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        await queue.append(header(), b"1")
        (lease,) = await take(queue)
        queue.nack(lease, delay_s=0.05)
        assert queue.lease(1, MANY) == []
        assert queue.stats().delayed == 1
        (again,) = await take(queue)
        assert again.attempt == 2

    run(scenario)


def test_a_lease_runs_out_unless_it_is_extended(run: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        for body in (b"1", b"2"):
            await queue.append(header(), body)
        first, second = await take(queue, 2, ttl_s=0.05)
        assert queue.extend(second, 60)
        (again,) = await take(queue)
        assert again.body == b"1"
        assert not queue.ack(first, Outcome(1))
        assert queue.ack(again, Outcome(1))
        assert queue.ack(second, Outcome(1))

    run(scenario)


def test_bytes_bound_a_lease_but_never_below_one(run: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        await asyncio.gather(*[queue.append(header(), b"x" * 10) for _ in range(5)])
        (first,) = await take(queue)
        queue.nack(first)
        assert len(queue.lease(5, 1)) == 1
        assert sum(len(lease.body) for lease in queue.lease(5, 25)) <= 25

    run(scenario)


def test_a_full_queue_refuses_and_takes_again_after_acknowledgements(run: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        appended = [queue.append(header(), b"x") for _ in range(3)]
        with pytest.raises(QueueFull) as caught:
            queue.append(header(), b"x")
        assert caught.value.retry_after_s > 0
        await asyncio.gather(*appended)
        (lease,) = await take(queue)
        queue.ack(lease, Outcome(1))
        await queue.append(header(), b"x")
        with pytest.raises(QueueFull):
            queue.append(header(), b"x")

    run(scenario, queue_max_deliveries=3)


def test_bytes_bound_the_queue(run: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        await queue.append(header(), b"x" * 60)
        with pytest.raises(QueueFull):
            queue.append(header(), b"x" * 50)
        await queue.append(header(), b"x" * 40)

    run(scenario, queue_max_bytes=100)


def test_crashes_are_counted(run: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        await queue.append(header(), b"x")
        for count in (1, 2, 3):
            (lease,) = await take(queue)
            assert lease.crashes == count - 1
            assert queue.record_crash(lease) == count
            queue.nack(lease, suspect=True)

    run(scenario)


def test_a_dead_delivery_keeps_its_body_and_can_be_replayed(run: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        id = await queue.append(header(2), b"poison")
        (lease,) = await take(queue)
        assert queue.dead_letter(lease, "instance.killed", "it killed three instances")
        receipt = await queue.receipt(id)
        assert receipt is not None
        assert (receipt.state, receipt.failed) == ("failed", 2)
        (dead,) = await queue.letters()
        assert (dead.code, dead.graph, dead.receipt) == ("instance.killed", "g", id)
        kept = await queue.letter(dead.id)
        assert kept is not None
        assert (kept.body, kept.has_body, kept.size) == (b"poison", True, 6)
        assert await queue.letters(after=dead.id) == []
        with pytest.raises(NotFound):
            await queue.replay(f"{id}-0123456789", True)
        fresh = await queue.replay(dead.id, False)
        assert fresh != id
        assert await queue.letters() == []
        (again,) = await take(queue)
        assert (again.id, again.body, again.header.documents) == (fresh, b"poison", 2)

    run(scenario)


def test_an_acknowledgement_can_keep_the_body_with_its_dead_letters(run: Callable[..., None], tmp_path: Path) -> None:
    async def scenario(queue: Queue) -> None:
        await queue.append(header(2), b"unreadable")
        (lease,) = await take(queue)
        queue.ack(lease, Outcome(1, 0, 1, (letter(lease.id),), keeps_body=True))
        (dead,) = await queue.letters()
        with pytest.raises(Conflict) as caught:
            await queue.replay(dead.id, False)
        assert caught.value.code == "deadletters.not_kept"
        await queue.replay(dead.id, True)
        (again,) = await take(queue)
        assert (again.body, again.header.documents, again.header.only) == (b"unreadable", 1, (0,))
        queue.ack(again, Outcome(2))

        folder = tmp_path / "shards" / "003" / "spool"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "kept"
        path.write_bytes(b"large")
        await queue.append(header(), Spooled(str(path), 5))
        (lease,) = await take(queue)
        own = letter(lease.id)
        queue.ack(lease, Outcome(0, 0, 1, (own,), keeps_body=True))
        (dead,) = await queue.letters()
        assert dead.id == own.id
        await queue.replay(dead.id, True)
        (again,) = await take(queue)
        assert isinstance(again.body, Spooled)
        with again.body.open() as file:
            assert file.read() == b"large"

    run(scenario)


def test_a_rerun_replaces_its_dead_letters(run: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        await queue.append(header(), b"x")
        (lease,) = await take(queue)
        queue.ack(lease, Outcome(0, 0, 1, (letter(lease.id), letter(lease.id), letter(lease.id, 1))))
        assert len(await queue.letters()) == 2

    run(scenario)


def test_a_spool_file_goes_with_its_delivery(run: Callable[..., None], tmp_path: Path) -> None:
    async def scenario(queue: Queue) -> None:
        folder = tmp_path / "shards" / "003" / "spool"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "large"
        path.write_bytes(b"large")
        await queue.append(header(), Spooled(str(path), 5))
        (lease,) = await take(queue)
        assert isinstance(lease.body, Spooled)
        with lease.body.open() as file:
            assert file.read() == b"large"
        queue.ack(lease, Outcome(1))
        await queue.close()
        assert not path.exists()

    run(scenario)


def test_a_closed_queue_takes_nothing(run: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        appended = queue.append(header(), b"x")
        await queue.close()
        assert await appended
        with pytest.raises(StoreError):
            queue.append(header(), b"x")

    run(scenario)
