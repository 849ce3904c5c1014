"""Dead letters that are replayed together: each document once, whatever it left; and under which receipt it ran first."""

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from msgspec import structs

from pypes.core.identity import Identity
from pypes.errors import Conflict, NotFound
from pypes.ingest.contracts.leasing import Stream
from pypes.ingest.contracts.queue import Queue
from pypes.ingest.delivery import Header
from pypes.ingest.ordering import key_of, pack_keys
from pypes.ingest.outcome import DeadLetter, Outcome, many_letter_id
from tests.ingest.harness import letter, take
from tests.ingest.queues.test_letters import ADA, told


async def fail(queue: Queue, *letters: tuple[int, ...], documents: int = 1, body: bytes = b"rows") -> list[DeadLetter]:
    """Have a delivery leave dead letters that were made of these documents."""
    await queue.intake.append(Header("g", content_type="text/csv", documents=documents, length=len(body), poster="ann"), body)
    (lease,) = await take(queue)
    dead = tuple(
        structs.replace(letter(lease.id, own[0] if own else 0, ordinal), documents=own) for ordinal, own in enumerate(letters)
    )
    assert queue.leasing.ack(lease, Outcome(0, 0, documents, dead))
    await queue.leasing.settled()
    return list(dead)


def test_a_document_runs_again_with_all_that_it_left(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        first, *_ = await fail(queue, (0,), (0,), (0,))
        other, *_ = await fail(queue, (0,))
        receipt = await queue.letters.replay(first.id, from_start=True)
        assert [left.id for left in await queue.letters.find()] == [other.id]
        (lease,) = await take(queue)
        assert (lease.id, lease.body, lease.header.only) == (receipt, b"rows", ())
        assert queue.stats().deliveries == 1

    play(scenario)


def test_letters_go_along_that_share_a_document_with_one_that_does(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        dead = await fail(queue, (0, 1), (1, 2), (3,), documents=5)
        await queue.letters.replay(dead[0].id, from_start=True)
        assert [left.id for left in await queue.letters.find()] == [dead[2].id]
        (lease,) = await take(queue)
        assert (lease.header.only, lease.header.documents) == ((0, 1, 2), 3)
        whole = await fail(queue, (), (1,), documents=4)
        await queue.letters.replay(whole[1].id, from_start=True)
        assert [left.id for left in await queue.letters.find()] == [dead[2].id]
        (lease,) = await take(queue)
        assert (lease.header.only, lease.header.documents) == ((), 4)

    play(scenario)


def test_edits_of_letters_that_go_from_the_start_are_counted(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        await fail(queue, (0, 1), (1, 2), (3,), (4,), documents=5)
        dead = sorted(await queue.letters.find(), key=lambda one: one.documents)
        for edited in dead[1:3]:
            assert await queue.letters.edit(edited.id, b"{}")
        # the second goes along, the third does not
        assert (await queue.letters.replay_together([dead[0].id], from_start=True)).edits == 1
        assert (await queue.letters.replay_together([dead[3].id], from_start=True)).edits == 0

    play(scenario)


def part(receipt: str, row: int, **meta: Any) -> DeadLetter:
    packet = orjson.dumps({"fields": {}, "meta": {"document": "t", "part": f"row={row}", **meta}})
    return structs.replace(letter(receipt, 0, row), packet=packet)


def test_parts_of_documents_with_versions_go_from_the_start_unless_it_is_said(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        await queue.intake.append(Header("g", content_type="text/csv", documents=3, length=4), b"rows")
        (lease,) = await take(queue)
        rows = [part(lease.id, n, run=1) for n in range(3)]
        plain = structs.replace(part(lease.id, 3), documents=(1,))
        edited = [structs.replace(part(lease.id, n, run=1), documents=(2,)) for n in (4, 5)]
        dead = (*rows, plain, *edited)
        queue.leasing.ack(lease, Outcome(0, 0, 3, dead, keeps_body=True, has_whole_packets=True))
        await queue.leasing.settled()
        assert len(await queue.letters.find()) == 6
        assert await queue.letters.edit(edited[0].id, b'{"fields": {"n": 2}}')
        asked = [one.id for one in (*rows[1:], plain, *edited)]
        assert sorted((await queue.letters.replay_together(asked, from_start=False)).left) == sorted(asked)
        replayed = await queue.letters.replay_together(asked, from_start=None)
        # the row that was not asked for is of the same document, and so goes along
        assert (replayed.letters, sorted(replayed.left)) == (3, sorted(one.id for one in (plain, *edited)))
        (lease,) = await take(queue)
        assert (lease.header.only, lease.header.start, lease.body) == ((0,), "", b"rows")

    play(scenario)


def test_documents_of_one_receipt_are_one_delivery(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        dead = await fail(queue, (1,), (3,), (4,), documents=6)
        replayed = await queue.letters.replay_together([dead[0].id, dead[2].id, f"{dead[0].receipt}-gone"], from_start=True)
        (lease,) = await take(queue)
        assert (lease.id, replayed.letters, replayed.left) == (replayed.receipt, 2, ())
        assert (lease.header.only, lease.header.documents, lease.body) == ((1, 4), 2, b"rows")
        assert [left.id for left in await queue.letters.find()] == [dead[1].id]
        with pytest.raises(NotFound):
            await queue.letters.replay_together([dead[0].id], from_start=True)

    play(scenario)


def test_only_what_failed_before_the_first_filter_goes_together_by_itself(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        await queue.intake.append(Header("g", documents=4, length=4), b"rows")
        (lease,) = await take(queue)
        lines = [structs.replace(letter(lease.id, n), filter="") for n in range(3)]
        later = letter(lease.id, 3)
        queue.leasing.ack(lease, Outcome(0, 0, 4, (*lines, later), keeps_body=True, has_whole_packets=True))
        await queue.leasing.settled()
        assert len(await queue.letters.find()) == 4
        assert await queue.letters.edit(lines[1].id, b'{"fields": {"n": 2}}')
        replayed = await queue.letters.replay_together([one.id for one in (*lines, later)], from_start=False)
        assert (replayed.letters, sorted(replayed.left)) == (2, sorted([lines[1].id, later.id]))
        (lease,) = await take(queue)
        assert (lease.header.only, lease.header.start) == ((0, 2), "")
        # the packets of the others are whole, though the body was needed
        await queue.letters.replay(lines[1].id, from_start=False)
        await queue.letters.replay(later.id, from_start=False)
        assert [lease.header.start for lease in await take(queue, 2)] == ["", "f"]
        replayed = await queue.letters.replay_together([(await fail(queue, (0,)))[0].id], from_start=False)
        assert (replayed.receipt, replayed.letters, len(replayed.left)) == ("", 0, 1)

    play(scenario)


def test_a_letter_that_stands_for_many_runs_their_documents(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        await queue.intake.append(Header("g", documents=100, length=4), b"rows")
        (lease,) = await take(queue)
        id = many_letter_id(lease.id, "f", "component.failed")
        many = structs.replace(letter(lease.id), id=id, documents=(), packet=b"", spans=(10, 40, 60, 20), failures=75)
        one = letter(lease.id, 3)
        queue.leasing.ack(lease, Outcome(39, 0, 61, (one, many), keeps_body=True, has_whole_packets=True))
        await queue.leasing.settled()
        assert [found.id for found in await queue.letters.find()] == [many.id, one.id]
        kept = await queue.letters.get(many.id)
        assert kept is not None
        assert (kept.letter.spans, kept.letter.failures, kept.has_body) == ((10, 40, 60, 20), 75, True)
        (group,) = await queue.letters.groups()
        assert (group.count, group.failures) == (2, 76)
        documents = {document.index: document for document in await queue.receipts.documents(lease.id, 100) or ()}
        assert documents[3].deadletter == one.id
        await queue.letters.replay(one.id, from_start=False)
        await queue.letters.replay(many.id, from_start=False)
        first, second = await take(queue, 2)
        assert first.header.start == "f"
        assert (second.header.only, second.header.documents) == ((*range(10, 50), *range(60, 80)), 60)
        assert queue.stats().dead_letters == queue.stats().dead_letter_bytes == 0

    play(scenario)


def test_a_replay_knows_where_its_documents_ran_first(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        dead = await fail(queue, (1,), (4,), documents=6)
        first = dead[0].receipt
        await queue.letters.replay(dead[0].id, from_start=False)
        (lease,) = await take(queue)
        assert lease.header.origin == (first, 1)
        again = letter(lease.id)
        queue.leasing.ack(lease, Outcome(0, 0, 1, (again,)))
        await queue.leasing.settled()
        await queue.letters.replay(again.id, from_start=True)
        (lease,) = await take(queue)
        assert (lease.header.origin, lease.header.only) == ((first, 1), ())
        await queue.letters.replay(dead[1].id, from_start=True)
        (lease,) = await take(queue)
        # the ordinals of the body are those of the first run
        assert (lease.header.origin, lease.header.only) == ((first, 0), (4,))
        again = letter(lease.id)
        queue.leasing.ack(lease, Outcome(0, 0, 1, (again,)))
        await queue.leasing.settled()
        await queue.letters.replay(again.id, from_start=False)
        (lease,) = await take(queue)
        assert lease.header.origin == (first, 4)

    play(scenario)


@pytest.mark.parametrize("edited", [False, True])
@pytest.mark.parametrize("ways", [(False, False, True), (True, False, False), (False, True, True), (None, None, None)])
def test_every_replay_knows_its_first_run_and_who_posted(
    ways: tuple[bool | None, ...], edited: bool, play: Callable[..., None]
) -> None:
    """From the filter or the start, or (None) as in bulk; edited or not; and the replay of the replay, and its replay."""

    async def scenario(queue: Queue) -> None:
        async def replay(dead: DeadLetter, from_start: bool | None) -> Header:
            replayed = await queue.letters.replay_together([dead.id], from_start)
            if replayed.left:  # one that goes from its filter goes by itself
                await queue.letters.replay(dead.id, from_start=False)
            (lease,) = await take(queue)
            again.append(letter(lease.id))
            queue.leasing.ack(lease, Outcome(0, 0, 1, (again[-1],), keeps_body=True, has_whole_packets=True))
            await queue.leasing.settled()
            return lease.header

        again = await fail(queue, (1,), (4,), documents=6)
        first = again[-1].receipt
        if edited:
            assert len(await queue.letters.find()) == 2
            assert await queue.letters.edit(again[-1].id, b'{"fields": {"n": 2}}')
        for from_start in ways:
            header = await replay(again[-1], from_start)
            assert header.origin is not None
            receipt, ordinal = header.origin
            # ``only`` counts in the body of the first run
            assert (header.poster, receipt, ordinal + (header.only[0] if header.only else 0)) == ("ann", first, 4)

    play(scenario)


def test_two_replays_of_one_document_at_once_are_one(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        dead = await fail(queue, (0,), (0,))
        answers = await asyncio.gather(
            queue.letters.replay(dead[0].id, from_start=True),
            queue.letters.replay(dead[1].id, from_start=True),
            return_exceptions=True,
        )
        assert sum(isinstance(answer, (Conflict, NotFound)) for answer in answers) == 1
        assert (queue.stats().deliveries, queue.stats().dead_letters) == (1, 0)

    play(scenario)


@pytest.mark.parametrize("from_start", [True, False])
def test_a_replay_supersedes_only_what_it_brings(from_start: bool, play: Callable[..., None]) -> None:
    """One of two ordered documents failed. What waits in the bulk lane of the other one is newer than it, and is not dropped."""
    failed, fine = Identity("", "a"), Identity("", "b")
    keys = pack_keys([key_of("a"), key_of("b")])

    async def scenario(queue: Queue) -> None:
        await queue.intake.append(Header("g", documents=2, length=4, keys=keys, identities=(failed, fine)), b"rows")
        (lease,) = await take(queue)
        dead = letter(lease.id, 0)
        assert queue.leasing.ack(lease, Outcome(1, 0, 1, (dead,), keeps_body=True, has_whole_packets=True))
        await queue.leasing.settled()
        bulk = await queue.intake.append(Header("g", length=3, keys=pack_keys([key_of("b")]), is_bulk=True), b"new")
        replay = await queue.letters.replay(dead.id, from_start=from_start)
        (lease,) = await take(queue)
        assert (lease.id, lease.rerun) == (bulk, None)
        assert queue.leasing.ack(lease, Outcome(1))
        await queue.leasing.settled()
        (lease,) = await take(queue)
        assert (lease.id, lease.header.keys) == (replay, keys)

    play(scenario)


def test_a_replay_of_all_there_was_keeps_its_lane(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        one = Identity("", "a")
        await queue.intake.append(Header("g", length=4, keys=pack_keys([key_of("a")]), identities=(one,)), b"rows")
        (lease,) = await take(queue)
        dead = letter(lease.id, 0)
        assert queue.leasing.ack(lease, Outcome(0, 0, 1, (dead,), keeps_body=True, has_whole_packets=True))
        await queue.leasing.settled()
        bulk = await queue.intake.append(Header("g", length=3, keys=lease.header.keys, is_bulk=True), b"old")
        replay = await queue.letters.replay(dead.id, from_start=True)
        (lease,) = await take(queue, stream=Stream("g", False))
        assert (lease.id, lease.header.is_bulk) == (replay, False)
        assert queue.leasing.ack(lease, Outcome(1))
        await queue.leasing.settled()
        (lease,) = await take(queue)
        assert lease.id == bulk
        assert lease.rerun is not None
        assert lease.rerun.superseded.identities == (one,)

    play(scenario)


def test_letters_that_are_replayed_together_have_one_line_in_the_audit_log(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        dead = await fail(queue, (1,), (3,), (4,), documents=6)
        replayed = await queue.letters.replay_together([dead[0].id, dead[2].id], True, cause=ADA)
        assert await told(queue) == [("deadletters.replay", "ada", "g", min(dead[0].id, dead[2].id), 2, replayed.receipt)]

    play(scenario)
