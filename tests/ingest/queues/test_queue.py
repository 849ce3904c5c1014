"""One behaviour suite over every implementation of the queue."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from pypes.core.limits import Limits
from pypes.errors import Conflict, NotFound, QueueFull, StoreError
from pypes.ingest.deadletter import KeptLetter, LetterGroup, LetterQuery
from pypes.ingest.delivery import PACKETS, Header, Spooled
from pypes.ingest.ordering import key_of, pack_keys
from pypes.ingest.outcome import Blame, DeadLetter, Details, Fate, Outcome, dead_letter_id
from pypes.ingest.protocol import Rerun
from pypes.ingest.queue import Key, Lease, Queue, Stream
from pypes.ingest.queues.embedded import EmbeddedQueue
from pypes.ingest.queues.memory import MemoryQueue
from pypes.ingest.receipt import DocumentReport, ReceiptId, received_of
from pypes.ingest.store.shards import Shards

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


async def drawn(queue: Queue, stream: Stream, n: int) -> list[Lease]:
    """Lease exactly ``n`` deliveries of a stream, waiting for them."""
    ready = asyncio.Event()
    queue.on_ready = ready.set
    leases: list[Lease] = []
    while len(leases) < n:
        ready.clear()
        found = queue.lease(n - len(leases), MANY, stream=stream)
        leases += found
        if not found:
            await ready.wait()
    return leases


def test_streams_are_leased_independently(run: Callable[..., None]) -> None:
    """Of commits that hold several, and whatever nobody takes from lies in front."""

    async def scenario(queue: Queue) -> None:
        streams = [Stream(graph, is_bulk) for graph in "gh" for is_bulk in (False, True)]
        appended: dict[Stream, list[str]] = {stream: [] for stream in streams}
        for _ in range(5):
            futures = [(stream, queue.append(Header(stream.graph, is_bulk=stream.is_bulk), b"x")) for stream in streams]
            for stream, future in futures:
                appended[stream].append(await future)
        for stream in reversed(streams):
            leases = await drawn(queue, stream, 5)
            assert [lease.id for lease in leases] == appended[stream]
            for lease in leases:
                assert queue.ack(lease, Outcome(1))
        stats = queue.stats()
        assert (stats.deliveries, stats.bytes, stats.cached_bytes, stats.bulk_deliveries, stats.bulk_bytes) == (0,) * 5

    run(scenario)


def test_documents_of_one_key_are_lent_one_after_the_other(run: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        a, b = (Header("g", keys=pack_keys([key_of(id)])) for id in "ab")
        first, second, other = await asyncio.gather(*(queue.append(header, b"x") for header in (a, a, b)))
        (lease,) = await drawn(queue, Stream("g", False), 1)
        assert lease.id == first
        assert [lease.id for lease in await drawn(queue, Stream("g", False), 1)] == [other]
        assert queue.is_held("g")
        assert queue.lease(5, MANY) == []
        queue.nack(lease)
        (lease,) = await drawn(queue, Stream("g", False), 1)
        assert (lease.id, lease.attempt) == (first, 2)
        queue.dead_letter(lease, "test", "it failed")
        assert [lease.id for lease in await drawn(queue, Stream("g", False), 1)] == [second]

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


# -- receipts and documents -------------------------------------------------------------------------------


def published(*takers: str, version: int = 3) -> Outcome:
    return Outcome(1, version=version, details=Details((Fate("published", takers),), (1, 0)))


def test_a_receipt_has_times_graph_and_version(run: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        id = await queue.append(header(), b"x")
        receipt = await queue.receipt(id)
        assert receipt is not None
        assert (receipt.started, receipt.graph, receipt.version) == (None, "g", 0)
        (lease,) = await take(queue)
        receipt = await queue.receipt(id)
        assert receipt is not None
        assert receipt.started is not None
        queue.nack(lease)
        started = receipt.started
        (lease,) = await take(queue)
        queue.ack(lease, published("index"), "doc-1")
        receipt = await queue.receipt(id)
        assert receipt is not None
        assert (receipt.started, receipt.graph, receipt.version) == (started, "g", 3)
        assert receipt.finished is not None
        assert receipt.received <= receipt.started <= receipt.finished

    run(scenario)


def test_documents_of_one_fate_are_told_without_details(run: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        single = await queue.append(header(), b"x")
        many = await queue.append(header(500), b"x")
        assert await queue.documents(single, 10) == [DocumentReport(0, "pending")]
        assert await queue.documents(many, 2, 497) == [DocumentReport(498, "pending"), DocumentReport(499, "pending")]
        first, second = await take(queue, 2)
        queue.ack(first, published("index", "copy"), "doc-1")
        queue.ack(second, Outcome(0, 500, version=1, details=Details((Fate("dropped", (), "only"),), (500, 0))))
        for _ in range(2):
            assert await queue.documents(single, 10) == [DocumentReport(0, "published", "doc-1", ("index", "copy"))]
            page = await queue.documents(many, 3, 100)
            assert page == [DocumentReport(i, "dropped", None, (), "only") for i in (101, 102, 103)]
            assert await queue.documents(many, 10, 499) == []

    run(scenario)


def test_documents_that_fared_differently_are_told_apart(run: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        id = await queue.append(header(5), b"x")
        (lease,) = await take(queue)
        dead = letter(id)
        fates = (Fate("published", ("index",)), Fate("failed", ("copy",), "index"), Fate("dropped", (), "only"))
        details = Details(fates, (1, 1, 3, 0, 1, 2), {0: "a", 4: "e"}, {0: dead.id})
        queue.ack(lease, Outcome(3, 1, 1, (dead,), version=2, details=details))
        reports = [
            DocumentReport(0, "failed", "a", ("copy",), "index", dead.id),
            *[DocumentReport(i, "published", None, ("index",)) for i in (1, 2, 3)],
            DocumentReport(4, "dropped", "e", (), "only"),
        ]
        assert await queue.documents(id, 10) == reports
        assert await queue.documents(id, 2, 1) == reports[2:4]

    run(scenario)


def test_an_outcome_without_details_still_names_dead_letters(run: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        id = await queue.append(header(2), b"x")
        (lease,) = await take(queue)
        dead = letter(id)
        queue.ack(lease, Outcome(1, 0, 1, (dead,)))
        documents = await queue.documents(id, 10)
        assert documents == [DocumentReport(0, "failed", None, (), "f", dead.id), DocumentReport(1, "published")]

    run(scenario)


def test_receipts_are_listed_by_state_and_paged(run: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        ids = [await queue.append(header(), b"x") for _ in range(6)]
        for n, lease in enumerate(await take(queue, 4)):
            queue.ack(lease, Outcome(failed=1, dead_letters=(letter(lease.id),)) if n % 2 else published("index"))
        await take(queue)

        async def listed(state: str | None, limit: int = 10, after: str = "", since: float = 0.0) -> list[str]:
            return [receipt.receipt for receipt in await queue.receipts(state, since, limit, after)]

        assert await listed("failed") == [ids[1], ids[3]]
        assert await listed("done") == [ids[0], ids[2]]
        assert await listed("processing") == [ids[4]]
        assert await listed("queued") == [ids[5]]
        assert await listed(None) == ids
        assert await listed(None, 2, ids[0]) == ids[1:3]
        assert await listed("failed", 1, ids[1]) == [ids[3]]
        assert await listed(None, since=received_of(ids[-1]) + 60) == []
        assert await listed(None, since=received_of(ids[0]) - 60) == ids

    run(scenario)


# -- dead letters -----------------------------------------------------------------------------------------


def failed(receipt: str, filter: str, code: str, time: float, documents: tuple[int, ...] = (0,)) -> DeadLetter:
    id = dead_letter_id(receipt, documents[0], filter)
    return DeadLetter(id, documents, "g", 1, filter, "F", code, "boom", "trace", 2, b'{"fields": {"n": 1}}', time)


async def fail(queue: Queue, *letters: tuple[str, str, float], documents: int = 1, body: bytes = b"x") -> list[DeadLetter]:
    """Have a delivery of ``documents`` leave these dead letters (filter, code, time), document by document."""
    await queue.append(Header("g", content_type="text/plain", documents=documents, length=len(body)), body)
    (lease,) = await take(queue)
    dead = tuple(failed(lease.id, *each, (n,)) for n, each in enumerate(letters))
    assert queue.ack(lease, Outcome(documents - len(dead), 0, len(dead), dead))
    return list(dead)


def test_dead_letters_are_found_grouped_and_shown(run: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        first = await fail(queue, ("html", "rejected", 1.0), ("pdf", "component.failed", 2.0), documents=3)
        second = await fail(queue, ("html", "rejected", 5.0))
        everything = sorted([*first, *second], key=lambda dead: dead.id)

        async def found(limit: int = 10, after: str = "", **query: Any) -> list[str]:
            return [dead.id for dead in await queue.letters(LetterQuery(**query), limit, after)]

        assert await found() == [dead.id for dead in everything]
        assert await found(1, everything[0].id) == [everything[1].id]
        assert await found(filter="html") == sorted([first[0].id, second[0].id])
        assert await found(code="component.failed", graph="g") == [first[1].id]
        assert await found(since=3.0) == [second[0].id]
        assert await found(graph="other") == []
        groups = await queue.letter_groups()
        assert groups == [LetterGroup("g", "html", "rejected", 2, 5.0), LetterGroup("g", "pdf", "component.failed", 1, 2.0)]
        assert await queue.letter_groups(LetterQuery(filter="pdf")) == groups[1:]
        kept = await queue.letter(first[0].id)
        assert kept == KeptLetter(first[0], False, True, b"x", "text/plain", "", 1)
        assert await queue.letter(f"{first[0].receipt}-0000000000") is None

    run(scenario)


def test_an_edited_dead_letter_is_replayed_from_its_filter(run: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        (dead,) = await fail(queue, ("html", "rejected", 1.0))
        assert not await queue.edit_letter(f"{dead.receipt}-0000000000", b"{}")
        assert await queue.edit_letter(dead.id, b'{"fields": {"n": 2}}')
        kept = await queue.letter(dead.id)
        assert kept is not None
        assert (kept.letter.packet, kept.is_edited) == (b'{"fields": {"n": 2}}', True)
        receipt = await queue.replay(dead.id, from_start=False)
        assert await queue.letters() == []
        (lease,) = await take(queue)
        assert (lease.id, lease.body) == (receipt, b'{"fields": {"n": 2}}')
        head = lease.header
        assert (head.graph, head.content_type, head.start, head.replays, head.documents) == ("g", PACKETS, "html", dead.id, 1)
        with pytest.raises(NotFound):
            await queue.replay(dead.id, from_start=False)

    run(scenario)


def test_the_body_is_kept_once_until_the_last_dead_letter_is_gone(run: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        first, second = await fail(queue, ("f", "rejected", 1.0), ("f", "rejected", 1.0), documents=9, body=b"nine documents")
        with_both = queue.stats().dead_letter_bytes
        receipt = await queue.replay(first.id, from_start=True)
        (lease,) = await take(queue)
        assert (lease.id, lease.body) == (receipt, b"nine documents")
        assert (lease.header.only, lease.header.documents, lease.header.replays) == ((0,), 1, first.id)
        # it fails again: its ordinal is that of the first document of the original body
        again = failed(lease.id, "f", "rejected", 2.0)
        queue.ack(lease, Outcome(0, 0, 1, (again,)))
        await queue.replay(again.id, from_start=True)
        (lease,) = await take(queue)
        assert (lease.header.only, lease.body) == ((0,), b"nine documents")
        kept = await queue.letter(second.id)
        assert kept is not None
        assert kept.has_body
        assert await queue.delete_letters([second.id, first.id]) == 1
        assert queue.stats().dead_letters == 0
        assert queue.stats().dead_letter_bytes == 0 < with_both

    run(scenario)


def test_a_large_body_is_not_kept_unless_it_is_needed(run: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        (dead,) = await fail(queue, ("f", "rejected", 1.0), body=b"x" * 101)
        kept = await queue.letter(dead.id)
        assert kept is not None
        assert not kept.has_body
        with pytest.raises(Conflict) as caught:
            await queue.replay(dead.id, from_start=True)
        assert caught.value.code == "deadletters.not_kept"
        await queue.replay(dead.id, from_start=False)

    run(scenario, dead_letter_body_bytes=100)


def test_full_dead_letters_push_back_until_there_is_room(run: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        for _ in range(4):
            await queue.append(header(), b"x")
        leases = await take(queue, 3)
        for lease in leases[:2]:
            queue.ack(lease, Outcome(failed=1, dead_letters=(letter(lease.id),)))
        with pytest.raises(QueueFull) as caught:
            queue.append(header(), b"x")
        assert caught.value.code == "deadletters.full"
        assert queue.lease(1, MANY) == []
        # what is in flight is stored all the same
        queue.ack(leases[2], Outcome(failed=1, dead_letters=(letter(leases[2].id),)))
        dead = await queue.letters()
        assert len(dead) == 3
        ready = asyncio.Event()
        queue.on_ready = ready.set
        assert await queue.delete_letters([dead[0].id, dead[1].id]) == 2
        await ready.wait()
        await queue.append(header(), b"x")
        assert len(queue.lease(5, MANY)) >= 1

    run(scenario, dead_letters_kept=2)


def test_a_replay_makes_room_itself(run: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        (dead,) = await fail(queue, ("f", "rejected", 1.0))
        with pytest.raises(QueueFull):
            queue.append(header(), b"x")
        receipt = await queue.replay(dead.id, from_start=False)
        (lease,) = await take(queue)
        assert lease.id == receipt

    run(scenario, dead_letters_kept=1)


# -- idempotency keys -------------------------------------------------------------------------------------


def test_a_key_gives_the_same_receipt_and_nothing_twice(run: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        key = Key("POST a", b"digest")
        together = await asyncio.gather(*[queue.append(header(), b"x", None, key) for _ in range(20)])
        assert len(set(together)) == 1
        assert await queue.append(header(), b"x", None, key) == together[0]
        other = await queue.append(header(), b"x", None, Key("POST b", b"digest"))
        assert other != together[0]
        assert queue.stats().deliveries == 2
        for lease in await take(queue, 2):
            queue.ack(lease, Outcome(1))
        assert await queue.append(header(), b"x", None, key) == together[0]
        with pytest.raises(Conflict) as caught:
            await queue.append(header(), b"y", None, Key("POST a", b"another"))
        assert caught.value.code == "idempotency.mismatch"
        assert queue.stats().deliveries == 0

    run(scenario)


def test_a_refused_append_frees_its_key(run: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        await queue.append(header(), b"x")
        with pytest.raises(QueueFull):
            await queue.append(header(), b"y", None, Key("k", b"1"))
        (lease,) = await take(queue)
        queue.ack(lease, Outcome(1))
        assert await queue.append(header(), b"y", None, Key("k", b"1"))

    run(scenario, queue_max_deliveries=1)


def test_one_who_hangs_up_takes_the_answer_from_nobody(run: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        key = Key("k", b"1")
        first = queue.append(header(), b"x", None, key)
        second = queue.append(header(), b"x", None, key)
        first.cancel()
        assert await second
        assert queue.stats().deliveries == 1

    run(scenario)


# -- callbacks --------------------------------------------------------------------------------------------


def test_a_finished_delivery_with_a_callback_leaves_one(run: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        came = asyncio.Event()
        queue.on_callback = came.set
        id = await queue.append(Header("g", callback="http://127.0.0.1:1/"), b"x")
        assert await queue.callbacks(2e9, 10) == []
        (lease,) = await take(queue)
        queue.ack(lease, Outcome(1))
        await came.wait()
        (callback,) = await queue.callbacks(4e9, 10)
        assert (callback.receipt, callback.url, callback.attempts) == (id, "http://127.0.0.1:1/", 0)
        queue.callback_failed(id, 3e9)
        assert await queue.callbacks(2e9, 10) == []
        assert await queue.next_callback() == 3e9
        (callback,) = await queue.callbacks(4e9, 10)
        assert callback.attempts == 1
        queue.callback_done(id)
        assert await queue.callbacks(4e9, 10) == []
        assert await queue.next_callback() is None

    run(scenario)


# -- reruns -----------------------------------------------------------------------------------------------


def test_blames_and_commits_of_earlier_runs_are_told(run: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        await queue.append(header(5), b"x")
        (lease,) = await take(queue)
        assert queue.rerun(lease) is None
        queue.blame(lease, Blame(1, "pdf", "killed by SIGSEGV"))
        queue.blame(lease, Blame(3, "pdf", "killed by SIGSEGV"))
        queue.committed(lease, "index", [0, 2])
        queue.committed(lease, "index", [4])
        queue.committed(lease, "copy", [0])
        blames = (Blame(1, "pdf", "killed by SIGSEGV"), Blame(3, "pdf", "killed by SIGSEGV"))
        known = Rerun(blames, {"index": (0, 2, 4), "copy": (0,)})
        assert queue.rerun(lease) == known
        queue.nack(lease, suspect=True)
        (lease,) = await take(queue)
        assert queue.rerun(lease) == known
        queue.ack(lease, Outcome(5))
        assert queue.rerun(lease) is None

    run(scenario)
