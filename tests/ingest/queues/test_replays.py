"""Replays lead both ways: from what failed to the delivery that runs it again, and back."""

from collections.abc import Callable
from pathlib import Path

from msgspec import structs

from pypes.core.identity import Named
from pypes.core.nodetime import Clock
from pypes.ingest.contracts.leasing import Lease
from pypes.ingest.contracts.queue import Queue
from pypes.ingest.delivery import Header
from pypes.ingest.outcome import DeadLetter, Details, Fate, Outcome, many_letter_id
from pypes.ingest.queues.embedded import EmbeddedQueue
from pypes.ingest.receipt import ReplayedDocument, ReplayOf, ReplayState
from tests.ingest.harness import letter, open_queue, run, take

PUBLISHED = Outcome(1, version=1, details=Details((Fate("published", ("out",)),), (1, 0)))


async def fail(queue: Queue, lease: Lease, *documents: int) -> list[DeadLetter]:
    """Acknowledge a delivery of which these documents failed and the others were published."""
    dead = tuple(structs.replace(letter(lease.id, n), named=Named(f"id-{n}", "a.csv", "r")) for n in documents)
    queue.leasing.ack(lease, Outcome(lease.header.documents - len(dead), 0, len(dead), dead))
    await queue.leasing.settled()
    return list(dead)


async def replayed(queue: Queue, receipt: str) -> dict[int, ReplayedDocument | None]:
    """Of the failed documents of a delivery, what is told of their replays."""
    reports = await queue.receipts.documents(receipt, 100)
    return {one.index: one.replay for one in reports or () if one.outcome == "failed"}


def test_documents_that_run_from_the_start_lead_to_their_place_there_and_back(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        first = await queue.intake.append(Header("g", documents=6), b"rows")
        (lease,) = await take(queue)
        dead = await fail(queue, lease, 1, 3, 4)
        found = await queue.receipts.get(first)
        assert found is not None
        assert (found.replay_of, found.replays) == (None, ())
        assert await replayed(queue, first) == {1: None, 3: None, 4: None}

        again = (await queue.letters.replay_together([dead[0].id, dead[2].id], True)).receipt
        pending = ReplayedDocument(again, 0, "pending"), ReplayedDocument(again, 1, "pending")
        assert await replayed(queue, first) == {1: pending[0], 3: None, 4: pending[1]}
        (lease,) = await take(queue)
        (left,) = await fail(queue, lease, 1)
        assert await replayed(queue, first) == {
            1: ReplayedDocument(again, 0, "published"),
            3: None,
            4: ReplayedDocument(again, 1, "failed"),
        }
        found = await queue.receipts.get(first)
        assert found is not None
        assert found.replays == (ReplayState(again, 2, "failed"),)
        found = await queue.receipts.get(again)
        assert found is not None
        assert (found.replay_of, found.replays) == (ReplayOf(first, min(dead[0].id, dead[2].id), ""), ())
        reports = await queue.receipts.documents(again, 10)
        assert reports is not None
        assert [one.origin for one in reports] == [ReplayedDocument(first, 1), ReplayedDocument(first, 4)]

        # what fails again leads on
        third = await queue.letters.replay(left.id, True)
        assert await replayed(queue, again) == {1: ReplayedDocument(third, 0, "pending")}

    play(scenario)


def test_a_packet_that_goes_on_from_its_filter_leads_back_to_all_its_documents(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        first = await queue.intake.append(Header("g", documents=4), b"rows")
        (lease,) = await take(queue)
        joined = structs.replace(letter(first, 1), documents=(1, 2))
        queue.leasing.ack(lease, Outcome(2, 0, 2, (joined,)))
        await queue.leasing.settled()
        again = await queue.letters.replay(joined.id, False)
        (lease,) = await take(queue)
        queue.leasing.ack(lease, PUBLISHED)
        await queue.leasing.settled()
        there = ReplayedDocument(again, 0, "published")
        assert await replayed(queue, first) == {1: there, 2: there}
        found = await queue.receipts.get(again)
        assert found is not None
        assert found.replay_of == ReplayOf(first, joined.id, "f")
        found = await queue.receipts.get(first)
        assert found is not None
        assert found.replays == (ReplayState(again, 2, "done"),)

    play(scenario)


def test_letters_for_many_or_all_documents_lead_on_too(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        first = await queue.intake.append(Header("g", documents=9), b"rows")
        (lease,) = await take(queue)
        many = DeadLetter(many_letter_id(first, "f", "c"), (), "g", 1, "f", "F", "c", "", "", 1, b"", 1.0, (2, 3, 7, 1), 4)
        fates = (Fate("published", ("out",)), Fate("failed", (), "f"))
        details = Details(fates, (2, 0, 3, 1, 2, 0, 1, 1, 1, 0), spans={many.id: many.spans})
        queue.leasing.ack(lease, Outcome(5, 0, 4, (many,), keeps_body=True, details=details))
        await queue.leasing.settled()
        again = await queue.letters.replay(many.id, False)
        assert await replayed(queue, first) == {n: ReplayedDocument(again, at, "pending") for at, n in enumerate((2, 3, 4, 7))}
        second = await queue.intake.append(Header("h", documents=2), b"rows")
        other = next(one for one in await take(queue, 2) if one.id == second)
        queue.leasing.dead_letter(other, "instance.killed", "died")
        await queue.leasing.settled()
        (whole,) = await queue.letters.find()
        again = await queue.letters.replay(whole.id, True)
        assert await replayed(queue, second) == {n: ReplayedDocument(again, n, "pending") for n in (0, 1)}
        found = await queue.receipts.get(second)
        assert found is not None
        if isinstance(queue, EmbeddedQueue):  # one that leases ahead may have it under way already
            assert found.replays == (ReplayState(again, 2, "queued"),)
        assert [one.id for one in await take(queue)] == [again]
        found = await queue.receipts.get(second)
        assert found is not None
        assert found.replays == (ReplayState(again, 2, "processing"),)

    play(scenario)


def test_what_failed_keeps_its_names_when_its_letters_are_gone(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        header = Header("g", documents=3, route="r", filename="a.csv")
        first = await queue.intake.append(header, b"rows")
        assert [(one.file, one.route) for one in await queue.receipts.documents(first, 10) or ()] == [("a.csv", "r")] * 3
        (lease,) = await take(queue)
        dead = structs.replace(letter(first, 1), named=Named("b", "a.csv", "r"))
        fates = (Fate("published"), Fate("failed", (), "f"))
        details = Details(fates, (1, 0, 1, 1, 1, 0), {1: "b"}, {1: dead.id}, files={1: "part.txt"})
        queue.leasing.ack(lease, Outcome(2, 0, 1, (dead,), details=details))
        await queue.leasing.settled()
        await queue.letters.delete([dead.id])
        reports = await queue.receipts.documents(first, 10)
        assert reports is not None
        assert [(one.index, one.id, one.file, one.route) for one in reports] == [
            (0, None, "a.csv", "r"),
            (1, "b", "part.txt", "r"),
            (2, None, "a.csv", "r"),
        ]

    play(scenario)


def test_links_outlive_a_restart_and_go_with_the_replay(tmp_path: Path) -> None:
    async def main() -> None:
        now = [1_700_000_000.0]
        clock = Clock(lambda: now[0])
        queue = await open_queue(tmp_path, clock=clock)
        first = await queue.intake.append(Header("g"), b"x")
        (lease,) = await take(queue)
        (dead,) = await fail(queue, lease, 0)
        again = await queue.letters.replay(dead.id, False)
        await queue.close()

        queue = await open_queue(tmp_path, clock=clock)
        assert await replayed(queue, first) == {0: ReplayedDocument(again, 0, "pending")}
        late = await queue.intake.append(Header("g"), b"x")
        leases = {lease.id: lease for lease in await take(queue, 2)}
        queue.leasing.ack(leases[late], PUBLISHED)
        await queue.leasing.settled()
        await queue.unfinished("g")
        now[0] += 100_000.0
        await queue._retention.look()
        assert links(queue) == [(again, first)], "what waits is not forgotten, however old"
        lease = leases[again]
        queue.leasing.ack(lease, PUBLISHED)
        await queue.leasing.settled()
        found = await queue.receipts.get(again)
        assert found is not None
        assert found.replay_of == ReplayOf(first, dead.id, "f")
        await queue.unfinished("g")
        assert links(queue) == [(again, first)]
        now[0] += 100_000.0
        await queue._retention.look()
        assert links(queue) == []
        await queue.close()

    run(main())


def links(queue: EmbeddedQueue) -> list[tuple[str, str]]:
    return [tuple(row) for row in queue._store.read("SELECT receipt, origin FROM replays")]
