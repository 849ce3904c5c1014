"""Dead letters of every queue: found, edited, replayed, deleted, and what is kept with them."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from pypes.access.audit import AuditQuery, Cause
from pypes.core.identity import Named
from pypes.core.media_types import PACKETS
from pypes.errors import Conflict, NotFound, QueueFull
from pypes.ingest.contracts.queue import Queue
from pypes.ingest.deadletter import STEPS, History, KeptLetter, LetterGroup, LetterQuery
from pypes.ingest.delivery import Header, Spooled
from pypes.ingest.outcome import DeadLetter, Outcome, dead_letter_id, many_letter_id
from pypes.ingest.receipt import received_of
from tests.ingest.harness import MANY, header, lease_any, letter, some, take


def failed(receipt: str, filter: str, code: str, time: float, documents: tuple[int, ...] = (0,)) -> DeadLetter:
    id = dead_letter_id(receipt, documents[0], filter)
    return DeadLetter(id, documents, "g", 1, filter, "F", code, "boom", "trace", 2, b'{"fields": {"n": 1}}', time)


async def fail(queue: Queue, *letters: tuple[str, str, float], documents: int = 1, body: bytes = b"x") -> list[DeadLetter]:
    """Have a delivery of ``documents`` leave these dead letters (filter, code, time), document by document."""
    await queue.intake.append(Header("g", content_type="text/plain", documents=documents, length=len(body)), body)
    (lease,) = await take(queue)
    dead = tuple(failed(lease.id, *each, (n,)) for n, each in enumerate(letters))
    assert queue.leasing.ack(lease, Outcome(documents - len(dead), 0, len(dead), dead))
    await queue.leasing.settled()
    return list(dead)


def test_a_dead_delivery_keeps_its_body_and_can_be_replayed(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        id = await queue.intake.append(header(2), b"poison")
        (lease,) = await take(queue)
        assert queue.leasing.dead_letter(lease, "instance.killed", "it killed three instances")
        await queue.leasing.settled()
        receipt = await queue.receipts.get(id)
        assert receipt is not None
        assert (receipt.state, receipt.failed) == ("failed", 2)
        (dead,) = await queue.letters.find()
        assert (dead.code, dead.graph, dead.receipt) == ("instance.killed", "g", id)
        kept = await queue.letters.get(dead.id)
        assert kept is not None
        assert (kept.body, kept.has_body, kept.size) == (b"poison", True, 6)
        assert await queue.letters.find(after=dead.id) == []
        with pytest.raises(NotFound):
            await queue.letters.replay(f"{id}-0123456789", True)
        fresh = await queue.letters.replay(dead.id, False)
        assert fresh != id
        assert await queue.letters.find() == []
        (again,) = await take(queue)
        assert (again.id, again.body, again.header.documents) == (fresh, b"poison", 2)

    play(scenario)


def test_an_acknowledgement_can_keep_the_body_with_its_dead_letters(play: Callable[..., None], tmp_path: Path) -> None:
    async def scenario(queue: Queue) -> None:
        await queue.intake.append(header(2), b"unreadable")
        (lease,) = await take(queue)
        queue.leasing.ack(lease, Outcome(1, 0, 1, (letter(lease.id),), keeps_body=True))
        await queue.leasing.settled()
        (dead,) = await queue.letters.find()
        with pytest.raises(Conflict) as caught:
            await queue.letters.replay(dead.id, False)
        assert caught.value.code == "deadletters.not_kept"
        await queue.letters.replay(dead.id, True)
        (again,) = await take(queue)
        assert (again.body, again.header.documents, again.header.only) == (b"unreadable", 1, (0,))
        queue.leasing.ack(again, Outcome(2))
        await queue.leasing.settled()

        folder = tmp_path / "shards" / "003" / "spool"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "kept"
        path.write_bytes(b"large")
        await queue.intake.append(header(), Spooled(str(path), 5))
        (lease,) = await take(queue)
        own = letter(lease.id)
        queue.leasing.ack(lease, Outcome(0, 0, 1, (own,), keeps_body=True))
        await queue.leasing.settled()
        (dead,) = await queue.letters.find()
        assert dead.id == own.id
        await queue.letters.replay(dead.id, True)
        (again,) = await take(queue)
        assert isinstance(again.body, Spooled)
        with again.body.open() as file:
            assert file.read() == b"large"

    play(scenario)


def test_a_rerun_replaces_its_dead_letters(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        await queue.intake.append(header(), b"x")
        (lease,) = await take(queue)
        queue.leasing.ack(lease, Outcome(0, 0, 1, (letter(lease.id), letter(lease.id), letter(lease.id, ordinal=1))))
        await queue.leasing.settled()
        assert len(await queue.letters.find()) == 2

    play(scenario)


def test_dead_letters_are_found_grouped_and_shown(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        first = await fail(queue, ("html", "rejected", 1.0), ("pdf", "component.failed", 2.0), documents=3)
        second = await fail(queue, ("html", "rejected", 5.0))
        everything = sorted([*first, *second], key=lambda dead: dead.id)

        async def found(limit: int = 10, after: str = "", **query: Any) -> list[str]:
            return [dead.id for dead in await queue.letters.find(LetterQuery(**query), limit, after)]

        assert await found() == [dead.id for dead in everything]
        assert await found(1, everything[0].id) == [everything[1].id]
        assert await found(filter="html") == sorted([first[0].id, second[0].id])
        assert await found(code="component.failed", graph="g") == [first[1].id]
        assert await found(since=3.0) == await found(since=5.0) == [second[0].id]
        assert await found(until=5.0) == sorted(dead.id for dead in first)
        assert await found(since=2.0, until=2.5, code="component.failed") == [first[1].id]
        assert await found(graph="other") == []
        assert await found(among=("x", "g")) == await found(among=("g*",)) == await found()
        assert await found(among=("G", "gg*")) == await found(graph="g", among=("x",)) == []
        groups = await queue.letters.groups()
        assert groups == [LetterGroup("g", "html", "rejected", 2, 5.0, 2), LetterGroup("g", "pdf", "component.failed", 1, 2.0, 1)]
        assert await queue.letters.groups(LetterQuery(filter="pdf")) == groups[1:]
        assert await queue.letters.groups(LetterQuery(among=("g",))) == groups
        assert await queue.letters.groups(LetterQuery(among=("x",))) == []
        kept = await queue.letters.get(first[0].id)
        assert kept == KeptLetter(first[0], False, True, b"x", "text/plain", "", 1)
        assert await queue.letters.get(f"{first[0].receipt}-0000000000") is None

    play(scenario)


def test_groups_are_counted_step_by_step(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        await fail(queue, ("html", "rejected", 50.0), ("pdf", "component.failed", 2.0), documents=3)
        for time in (100.0, 119.9, 120.0, 9999.0):
            await fail(queue, ("html", "rejected", time))
        html, pdf = await queue.letters.groups(LetterQuery(graph="g"), History(100.0, 20.0))
        assert (html.count, html.history) == (5, (2, 1, *(0,) * (STEPS - 3), 1))
        # what was before is no part of it
        assert (pdf.count, pdf.history) == (1, ())
        assert [group.history for group in await queue.letters.groups()] == [(), ()]
        assert await queue.letters.groups(LetterQuery(graph="x"), History(0.0, 1.0)) == []

    play(scenario)


def test_the_delivery_of_a_dead_letter_is_told(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        (dead,) = await fail(queue, ("html", "rejected", 1.0), documents=3, body=b"abc")
        found = await queue.letters.origin(dead.id)
        assert found is not None
        assert (found.letter.id, found.letter.packet, found.letter.traceback) == (dead.id, b"", "")
        assert found.header is not None
        assert (found.header.documents, found.body, found.spool) == (3, b"abc", "")
        assert found.received == pytest.approx(received_of(dead.receipt))
        assert await queue.letters.origin(f"{dead.receipt}-0000000000") is None

    play(scenario)


def test_dead_letters_are_found_by_what_their_document_is_known_by(play: Callable[..., None]) -> None:
    names = [Named("a", "x.csv", "r"), Named("b", "x.csv", "s"), Named(None, "y.csv", "r")]

    async def scenario(queue: Queue) -> None:
        await queue.intake.append(header(5), b"x")
        (lease,) = await take(queue)
        dead = [structs.replace(failed(lease.id, "f", "c", 1.0, (n,)), named=named) for n, named in enumerate(names)]
        dead.append(DeadLetter(many_letter_id(lease.id, "f", "c"), (), "g", 1, "f", "F", "c", "", "", 1, b"", 1.0, (3, 2), 2))
        assert queue.leasing.ack(lease, Outcome(0, 0, 5, tuple(dead)))
        await queue.leasing.settled()
        second = await fail(queue, ("f", "c", 1.0))

        async def found(**query: Any) -> list[int]:
            return [-1 if one.index is None else one.index for one in await queue.letters.find(LetterQuery(**query), newest=True)]

        assert sorted(await found(file="x.csv")) == [0, 1]
        assert await found(file="x.csv", route="s") == [1]
        assert await found(document="a") == [0]
        assert sorted(await found(route="r")) == [0, 2]
        assert sorted(await found(receipt=lease.id)) == [0, 1, 2, 3]
        assert await found(receipt=lease.id, index=4) == [3]
        assert await found(index=0) == [0, 0]
        assert await found(file="z") == []
        groups = await queue.letters.groups(LetterQuery(file="x.csv"))
        assert [group.count for group in groups] == [2]
        kept = await queue.letters.get(dead[0].id)
        assert kept is not None
        assert kept.letter.named == names[0]
        ids = sorted([one.id for one in (*dead, *second)], reverse=True)
        assert [one.id for one in await queue.letters.find(newest=True)] == ids
        assert [one.id for one in await queue.letters.find(limit=2, after=ids[1], newest=True)] == ids[2:4]

    play(scenario)


def test_an_edited_dead_letter_is_replayed_from_its_filter(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        (dead,) = await fail(queue, ("html", "rejected", 1.0))
        assert not await queue.letters.edit(f"{dead.receipt}-0000000000", b"{}")
        assert await queue.letters.edit(dead.id, b'{"fields": {"n": 2}}')
        kept = await queue.letters.get(dead.id)
        assert kept is not None
        assert (kept.letter.packet, kept.is_edited) == (b'{"fields": {"n": 2}}', True)
        receipt = await queue.letters.replay(dead.id, from_start=False)
        assert await queue.letters.find() == []
        (lease,) = await take(queue)
        assert (lease.id, lease.body) == (receipt, b'{"fields": {"n": 2}}')
        head = lease.header
        assert (head.graph, head.content_type, head.start, head.replays, head.documents) == ("g", PACKETS, "html", dead.id, 1)
        with pytest.raises(NotFound):
            await queue.letters.replay(dead.id, from_start=False)

    play(scenario)


def test_the_body_is_kept_once_until_the_last_dead_letter_is_gone(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        first, second = await fail(queue, ("f", "rejected", 1.0), ("f", "rejected", 1.0), documents=9, body=b"nine documents")
        with_both = queue.stats().dead_letter_bytes
        receipt = await queue.letters.replay(first.id, from_start=True)
        (lease,) = await take(queue)
        assert (lease.id, lease.body) == (receipt, b"nine documents")
        assert (lease.header.only, lease.header.documents, lease.header.replays) == ((0,), 1, first.id)
        # it fails again: its ordinal is that of the first document of the original body
        again = failed(lease.id, "f", "rejected", 2.0)
        queue.leasing.ack(lease, Outcome(0, 0, 1, (again,)))
        await queue.leasing.settled()
        await queue.letters.replay(again.id, from_start=True)
        (lease,) = await take(queue)
        assert (lease.header.only, lease.body) == ((0,), b"nine documents")
        kept = await queue.letters.get(second.id)
        assert kept is not None
        assert kept.has_body
        assert await queue.letters.delete([second.id, first.id]) == 1
        assert queue.stats().dead_letters == 0
        assert queue.stats().dead_letter_bytes == 0 < with_both

    play(scenario)


def test_a_large_body_is_not_kept_unless_it_is_needed(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        (dead,) = await fail(queue, ("f", "rejected", 1.0), body=b"x" * 101)
        kept = await queue.letters.get(dead.id)
        assert kept is not None
        assert not kept.has_body
        with pytest.raises(Conflict) as caught:
            await queue.letters.replay(dead.id, from_start=True)
        assert caught.value.code == "deadletters.not_kept"
        await queue.letters.replay(dead.id, from_start=False)

    play(scenario, dead_letter_body_bytes=100)


def test_full_dead_letters_push_back_until_there_is_room(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        for _ in range(4):
            await queue.intake.append(header(), b"x")
        leases = await take(queue, 3)
        for lease in leases[:2]:
            queue.leasing.ack(lease, Outcome(failed=1, dead_letters=(letter(lease.id),)))
            await queue.leasing.settled()
        with pytest.raises(QueueFull) as caught:
            queue.intake.append(header(), b"x")
        assert caught.value.code == "deadletters.full"
        assert lease_any(queue, 1, MANY) == []
        # what is in flight is stored all the same
        queue.leasing.ack(leases[2], Outcome(failed=1, dead_letters=(letter(leases[2].id),)))
        await queue.leasing.settled()
        dead = await queue.letters.find()
        assert len(dead) == 3
        ready = asyncio.Event()
        queue.leasing.on_ready = ready.set
        assert await queue.letters.delete([dead[0].id, dead[1].id]) == 2
        await ready.wait()
        await queue.intake.append(header(), b"x")
        assert len(await some(queue, 5)) >= 1

    play(scenario, dead_letters_kept=2)


def test_a_replay_makes_room_itself(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        (dead,) = await fail(queue, ("f", "rejected", 1.0))
        with pytest.raises(QueueFull):
            queue.intake.append(header(), b"x")
        receipt = await queue.letters.replay(dead.id, from_start=False)
        (lease,) = await take(queue)
        assert lease.id == receipt

    play(scenario, dead_letters_kept=1)


ADA = Cause("", "ada", "10.0.0.7")


async def told(queue: Queue) -> list[tuple[str, str, str, str, int, str]]:
    """What the lines say, the oldest first: operation, by, graph, object, count, receipt."""
    lines = [entry.line for entry in await queue.audited.lines(AuditQuery(is_newest_first=False))]
    return [(line.operation, line.by, line.graph, line.object, line.count, line.receipt) for line in lines]


def test_each_change_has_a_line_in_the_same_transaction(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        one, two, three, four = await fail(queue, *[("f", "c", 1.0)] * 4, documents=4)
        assert (len(await queue.letters.find()), await told(queue)) == (4, [])
        assert await queue.letters.edit(one.id, b'{"fields": {"n": 2}}', ADA)
        assert not await queue.letters.edit("none", b"{}", ADA)
        receipt = await queue.letters.replay(one.id, False, cause=ADA)
        assert await queue.letters.delete([two.id, "none", three.id], ADA) == 2
        assert await queue.letters.delete([two.id], ADA) == 0
        assert await queue.letters.delete([four.id]) == 1
        await queue.cursors.move(("g", "", "{}"))
        await queue.cursors.move(("g", "", "{}"), cause=ADA)
        assert await told(queue) == [
            ("deadletters.edit", "ada", "g", one.id, 1, ""),
            ("deadletters.replay", "ada", "g", one.id, 1, receipt),
            ("deadletters.delete", "ada", "g", min(two.id, three.id), 2, ""),
            ("deadletters.delete", "node", "g", four.id, 1, ""),
            ("sources.run", "ada", "g", "", 1, ""),
        ]

    play(scenario)


def test_of_two_who_delete_the_same_one_has_done_it(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        await fail(queue, ("f", "c", 1.0))
        (letter,) = await queue.letters.find()
        await asyncio.gather(*(queue.letters.delete([letter.id], Cause("", name)) for name in ("ada", "bob")))
        assert [line[:2] for line in await told(queue)] == [("deadletters.delete", "ada")]

    play(scenario)
