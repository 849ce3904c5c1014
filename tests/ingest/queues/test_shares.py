"""Graphs share the bounds of a queue: one that fills up keeps no other from going on."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

from pypes.core.graph_limits import NO_LIMITS, GraphLimits
from pypes.core.limits import Limits
from pypes.errors import DiskFull, LettersFull, QueueFull
from pypes.ingest.contracts.leasing import Lease, Stream
from pypes.ingest.contracts.queue import GraphUse, Queue
from pypes.ingest.delivery import Header
from pypes.ingest.outcome import Outcome
from tests.ingest.harness import MANY, letter, open_queue, run, sharing, take


async def post(queue: Queue, graph: str, body: bytes = b"x", *, is_bulk: bool = False) -> str:
    return await queue.intake.append(Header(graph, length=len(body), is_bulk=is_bulk), body)


async def refused(queue: Queue, graph: str, body: bytes = b"x") -> QueueFull:
    with pytest.raises(QueueFull) as caught:
        await post(queue, graph, body)
    with pytest.raises(type(caught.value)):
        queue.intake.check_room(len(body), graph)
    return caught.value


async def fail(queue: Queue, lease: Lease, count: int = 1) -> None:
    dead = [structs.replace(letter(lease.id, ordinal=n), graph=lease.header.graph) for n in range(count)]
    assert queue.leasing.ack(lease, Outcome(failed=1, dead_letters=tuple(dead)))
    await queue.leasing.settled()


def test_a_graph_fills_half_of_the_queue(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        queue.intake.deployed(sharing("a", "b"))
        for _ in range(5):
            await post(queue, "a")
        refusal = await refused(queue, "a")
        assert (refusal.code, refusal.where) == ("queue.full", "a")
        assert "queue_max_deliveries: 5 of 10" in refusal.message
        for _ in range(5):
            await post(queue, "b")
        assert (await refused(queue, "b")).where == ""
        (lease,) = await take(queue, stream=Stream("a", False))
        queue.leasing.ack(lease, Outcome(published=1))
        await queue.leasing.settled()
        await post(queue, "a")

    play(scenario, queue_max_deliveries=10)


def test_a_graph_fills_half_of_the_bytes(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        queue.intake.deployed(sharing("a", "b"))
        # a graph that has nothing may have one, whatever its size
        await post(queue, "a", b"x" * 60)
        assert "queue_max_bytes: 50 of 100" in (await refused(queue, "a")).message
        await post(queue, "b", b"x" * 40)

    play(scenario, queue_max_bytes=100)


def test_the_only_graph_fills_the_whole_queue(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        queue.intake.deployed(sharing("a"))
        for _ in range(10):
            await post(queue, "a")
        assert (await refused(queue, "a")).where == ""
        (lease,) = await take(queue)
        queue.leasing.ack(lease, Outcome(published=1))
        await queue.leasing.settled()
        # it is beyond its share as soon as there is another, which finds room
        queue.intake.deployed(sharing("a", "b"))
        assert (await refused(queue, "a")).where == "a"
        await post(queue, "b")

    play(scenario, queue_max_deliveries=10)


def test_what_is_scarce_is_kept_for_those_that_have_little(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        queue.intake.deployed(sharing("a", "b", "c"))
        for graph, count in (("a", 20), ("b", 16)):
            for _ in range(count):
                await post(queue, graph)
        for graph in "ab":
            assert "queue_max_deliveries: 13 of 40" in (await refused(queue, graph)).message
        for _ in range(4):
            await post(queue, "c")
        assert (await refused(queue, "c")).where == ""

    play(scenario, queue_max_deliveries=40)


def test_bulk_is_shared_likewise(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        queue.intake.deployed(sharing("a", "b"))
        for _ in range(9):
            await post(queue, "a", is_bulk=True)
        with pytest.raises(QueueFull):
            await post(queue, "a", is_bulk=True)
        await post(queue, "a")
        await post(queue, "b", is_bulk=True)

    play(scenario, queue_max_deliveries=20)


def test_a_graph_full_of_dead_letters_stands_still_alone(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        queue.intake.deployed(sharing("a", "b"))
        for graph in ("a", "a", "a", "b", "b"):
            await post(queue, graph)
        for lease in await take(queue, 2, stream=Stream("a", False)):
            await fail(queue, lease)
        refusal = await refused(queue, "a")
        assert (type(refusal), refusal.code, refusal.where) == (LettersFull, "deadletters.full", "a")
        assert "dead_letters_kept: 2 of 4" in refusal.message
        assert queue.leasing.streams() == [Stream("b", False)]
        assert queue.leasing.take(Stream("a", False), 1, MANY) == []
        assert [lease.header.graph for lease in await take(queue, 2)] == ["b", "b"]
        assert (queue.stats().held, queue.stats().dead_letters) == (1, 2)
        await post(queue, "b")
        ready = asyncio.Event()
        queue.leasing.on_ready = ready.set
        assert await queue.letters.delete([(await queue.letters.find())[0].id]) == 1
        await ready.wait()
        await post(queue, "a")
        assert Stream("a", False) in queue.leasing.streams()
        assert queue.stats().held == 0

    play(scenario, dead_letters_kept=4)


def test_letters_of_some_do_not_stop_one_that_has_none(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        queue.intake.deployed(sharing("a", "b", "c"))
        for graph, count in (("a", 5), ("b", 5), ("c", 1)):
            await post(queue, graph)
            (lease,) = await take(queue, stream=Stream(graph, False))
            await fail(queue, lease, count)
        for graph in "ab":
            assert isinstance(await refused(queue, graph), LettersFull)
        await post(queue, "c")
        (lease,) = await take(queue)
        assert lease.header.graph == "c"

    play(scenario, dead_letters_kept=10)


def test_bytes_of_letters_are_shared_with_the_bodies_kept(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        queue.intake.deployed(sharing("a", "b"))
        await post(queue, "a", b"x" * 5000)
        (lease,) = await take(queue)
        await fail(queue, lease)
        assert "dead_letters_bytes: 4000 of 8000" in (await refused(queue, "a")).message
        await post(queue, "b")
        (dead,) = await queue.letters.find()
        await queue.letters.replay(dead.id, from_start=False)
        await post(queue, "a")

    play(scenario, dead_letters_bytes=8000)


def test_shares_are_known_after_a_restart(tmp_path: Path) -> None:
    limits = Limits(queue_max_deliveries=10, dead_letters_bytes=8000)

    async def main() -> None:
        queue = await open_queue(tmp_path, limits=limits)
        await post(queue, "a", b"x" * 5000)
        (lease,) = await take(queue)
        await fail(queue, lease)
        for _ in range(5):
            await post(queue, "b")
        await queue.close()
        queue = await open_queue(tmp_path, limits=limits)
        queue.intake.deployed(sharing("a", "b", "c"))
        before = queue.stats().dead_letter_bytes
        assert (before > 5000, queue.stats().deliveries) == (True, 5)
        assert isinstance(await refused(queue, "a"), LettersFull)
        assert (await refused(queue, "b")).where == "b"
        await post(queue, "c")
        for lease in await take(queue, 6):
            queue.leasing.ack(lease, Outcome(published=1))
            await queue.leasing.settled()
        await post(queue, "b")
        (dead,) = await queue.letters.find()
        assert await queue.letters.delete([dead.id]) == 1
        assert queue.stats().dead_letter_bytes == 0
        await post(queue, "a")
        await queue.close()

    run(main())


@pytest.mark.parametrize(
    ("limits", "limit", "share"),
    [
        ({"queue_max_deliveries": 2}, "queue_max_deliveries", 2),
        ({"queue_max_bytes": 25}, "queue_max_bytes", 25),
        ({"queue_max_deliveries": 2, "disk_bytes": 25}, "queue_max_deliveries", 2),
    ],
)
@pytest.mark.parametrize("others", ["", "b"])
def test_a_graph_has_its_own_limit_in_the_queue(
    play: Callable[..., None], limits: dict[str, int], limit: str, share: int, others: str
) -> None:
    async def scenario(queue: Queue) -> None:
        queue.intake.deployed(sharing(*others, a=GraphLimits(**limits)))
        for _ in range(2):
            await post(queue, "a", b"x" * 10)
        refusal = await refused(queue, "a", b"x" * 10)
        assert (type(refusal), refusal.where, refusal.limit) == (QueueFull, "a", limit)
        assert f"graph 'a' has reached its own limit {limit} ({share} in this shard)" in refusal.message
        # it is raised on the live graph
        queue.intake.deployed(sharing(*others, a=NO_LIMITS))
        await post(queue, "a", b"x" * 10)

    play(scenario, queue_max_deliveries=1000, queue_max_bytes=100_000)


def test_an_own_limit_takes_the_place_of_the_half(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        queue.intake.deployed(sharing("b", a=GraphLimits(queue_max_deliveries=8)))
        for _ in range(8):
            await post(queue, "a")
        assert "own limit queue_max_deliveries (8 in this" in (await refused(queue, "a")).message
        # never more than the node's
        queue.intake.deployed(sharing("b", a=GraphLimits(queue_max_deliveries=80)))
        await post(queue, "a")
        # what is scarce is shared as without it
        assert "fills its share of the queue (queue_max_deliveries: 5 of 10)" in (await refused(queue, "a")).message
        await post(queue, "b")
        refusal = await refused(queue, "b")
        assert (refusal.where, refusal.limit) == ("", "queue_max_deliveries")

    play(scenario, queue_max_deliveries=10)


def test_a_refusal_of_the_whole_queue_names_the_limit(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        queue.intake.deployed(sharing("a"))
        await post(queue, "a", b"x" * 10)
        assert (await refused(queue, "a", b"x" * 10)).limit == "queue_max_bytes"

    play(scenario, queue_max_bytes=15)


def test_bulk_has_nine_tenths_of_an_own_limit(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        queue.intake.deployed(sharing(a=GraphLimits(queue_max_deliveries=10)))
        for _ in range(9):
            await post(queue, "a", is_bulk=True)
        with pytest.raises(QueueFull, match=r"own limit queue_max_deliveries \(9 in this"):
            await post(queue, "a", is_bulk=True)
        await post(queue, "a")
        assert (await refused(queue, "a")).limit == "queue_max_deliveries"

    play(scenario)


def test_a_graph_has_its_own_limit_of_dead_letters(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        queue.intake.deployed(sharing("b", a=GraphLimits(dead_letters_kept=2)))
        for graph in ("a", "a", "b"):
            await post(queue, graph)
            (lease,) = await take(queue)
            await fail(queue, lease)
        refusal = await refused(queue, "a")
        assert (type(refusal), refusal.code, refusal.where) == (LettersFull, "deadletters.full", "a")
        assert refusal.limit == "dead_letters_kept"
        assert "own limit dead_letters_kept (2 in this shard)" in refusal.message
        await post(queue, "b")
        ready = asyncio.Event()
        queue.leasing.on_ready = ready.set
        queue.intake.deployed(sharing("b", a=GraphLimits(dead_letters_kept=3)))
        await ready.wait()
        await post(queue, "a")

    play(scenario)


def test_what_waits_and_dead_letters_share_the_disk_of_a_graph(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        queue.intake.deployed(sharing("b", a=GraphLimits(disk_bytes=8000)))
        await post(queue, "a", b"x" * 5000)
        (lease,) = await take(queue)
        await fail(queue, lease)
        await post(queue, "a", b"x" * 500)
        refusal = await refused(queue, "a", b"x" * 3000)
        assert (type(refusal), refusal.code, refusal.where) == (DiskFull, "graph.disk_full", "a")
        assert refusal.limit == "disk_bytes"
        assert "500 bytes wait" in refusal.message
        with pytest.raises(DiskFull):  # nine tenths are 7200
            await post(queue, "a", b"x" * 1700, is_bulk=True)
        await post(queue, "b", b"x" * 3000)
        # what was taken is run: that makes room
        (lease,) = await take(queue, stream=Stream("a", False))
        queue.leasing.ack(lease, Outcome(published=1))
        await queue.leasing.settled()
        # a replay takes no more than it had
        (dead,) = await queue.letters.find()
        await queue.letters.replay(dead.id, from_start=True)
        assert (await refused(queue, "a", b"x" * 4000)).limit == "disk_bytes"

    play(scenario)


def test_dead_letters_that_fill_the_disk_of_a_graph_stop_it(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        queue.intake.deployed(sharing("b", a=GraphLimits(disk_bytes=4000)))
        # a graph that has nothing may have one, whatever its size
        await post(queue, "a", b"x" * 5000)
        (lease,) = await take(queue)
        await fail(queue, lease)
        refusal = await refused(queue, "a")
        assert (type(refusal), refusal.limit) == (LettersFull, "disk_bytes")
        (dead,) = await queue.letters.find()
        assert await queue.letters.delete([dead.id]) == 1
        await post(queue, "a")

    play(scenario)


def test_the_usage_of_each_graph_is_shown_with_the_bounds_in_force(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        queue.intake.deployed(sharing("a", b=GraphLimits(queue_max_bytes=50, disk_bytes=90)))
        await post(queue, "c", b"xx")
        await post(queue, "a", b"xxx")
        (lease,) = await take(queue, stream=Stream("a", False))
        await fail(queue, lease)
        shared = {
            "queue_max_deliveries": 10,
            "queue_max_bytes": 500,
            "dead_letters_kept": 4,
            "dead_letters_bytes": 500,
            "keys_kept": 3,
        }
        assert await queue.unfinished("a") == 0  # and that is in the store
        # lanes and the last minute have tests of their own
        uses = {graph: replace(use, lanes={}, lately=None) for graph, use in queue.uses().items()}
        letter_bytes = queue.stats().dead_letter_bytes
        assert uses == {
            "a": GraphUse(0, 0, 1, letter_bytes, 0, 0, shared, accepted=1, failed=1),
            "b": GraphUse(0, 0, 0, 0, 0, 0, {**shared, "queue_max_bytes": 50, "disk_bytes": 90}),
            "c": GraphUse(1, 2, 0, 0, 0, 0, shared, accepted=1),
        }
        assert uses["c"].shares() == {**dict.fromkeys(shared, 0.0), "queue_max_deliveries": 0.1, "queue_max_bytes": 2 / 500}
        assert uses["a"].shares()["dead_letters_kept"] == 1 / 4
        assert replace(uses["b"], bytes=9, dead_letter_bytes=18, receipt_bytes=18).shares()["disk_bytes"] == 0.5
        assert replace(uses["b"], limits={"keys_kept": 0}).shares() == {"keys_kept": 1.0}

    play(scenario, queue_max_deliveries=20, queue_max_bytes=1000, dead_letters_kept=8, dead_letters_bytes=1000, keys_kept=6)
