"""Workers that ask one another: who owns what, and what becomes of it while an owner is away."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator
from typing import Any

import pytest

from pypes.core.limits import Limits
from pypes.errors import QueueFull, StoreError, Unavailable
from pypes.ingest.contracts.intake import Key
from pypes.ingest.delivery import Header, Spooled
from pypes.ingest.receipt import ReceiptId
from pypes.ingest.store.shards import owner_of
from pypes.runtime.worker import peers
from pypes.runtime.worker import worker as worker_module
from pypes.runtime.worker.snapshot import GenerationStatus
from pypes.runtime.worker.worker import IngestWorker
from tests.runtime.worker.supervised import Supervisor, header, supervised


def owned_by(number: int, owners: int = 2) -> str:
    """The name of a graph that a shard owns."""
    return next(name for name in map("g{}".format, range(100)) if owner_of(name, owners) == number)


def shard_of(receipt: str) -> int:
    return ReceiptId.parse(receipt).shard


@contextlib.asynccontextmanager
async def two(supervisor: Supervisor, **changes: Any) -> AsyncIterator[tuple[IngestWorker, IngestWorker]]:
    """Two workers of a node whose graphs ``g0`` to ``g99`` keep order."""
    graphs = [f"g{number}" for number in range(100)]
    supervisor.topology |= {"ordered": graphs, "graphs": dict.fromkeys(["g", *graphs], 1)}
    config = supervisor.config(workers=2, **changes)
    first, second = await IngestWorker.start(config), await IngestWorker.start(config)
    try:
        yield first, second
    finally:
        await second.stop()
        await first.stop()


@supervised
async def test_documents_of_an_ordered_graph_go_to_its_owner(supervisor: Supervisor) -> None:
    async with two(supervisor) as workers:
        assert workers[0].is_ordered("g0")
        assert not workers[0].is_ordered("g")
        for number in (0, 1):
            graph = owned_by(number)
            for worker in workers:
                receipt = await worker.submit(header(graph), b"{}", b"{}")
                assert shard_of(receipt) == number
                assert (await worker.records.receipt(receipt, 10)).state == "done"
        # nobody else's documents travel
        assert [shard_of(await worker.submit(header(), b"{}")) for worker in workers] == [0, 1]


@supervised
async def test_a_key_leads_to_one_owner(supervisor: Supervisor) -> None:
    async with two(supervisor) as workers:
        names = [f"g\0{number}" for number in range(20)]
        for name in names:
            found = {shard_of(await worker.submit(header(), b"{}", key=Key(name, b"x" * 16))) for worker in workers}
            assert found == {owner_of(name, 2)}
        assert {owner_of(name, 2) for name in names} == {0, 1}
        # in an ordered graph its owner comes first
        graph = owned_by(1)
        assert shard_of(await workers[0].submit(header(graph), b"{}", key=Key("k", b"x" * 16))) == 1


@supervised
async def test_a_snapshot_is_of_all_shards(supervisor: Supervisor) -> None:
    async with two(supervisor) as (first, second):
        supervisor.is_holding = True
        await second.submit(header(), b"{}", b"{}")
        for worker in (first, second):
            found = await worker.snapshot()
            assert [(each.shard, each.queue and each.queue.deliveries) for each in found.shards] == [(0, 0), (1, 1)]
            assert (found.node, found.generation) == (7, 2)
            assert found.generations == [GenerationStatus(1, 1, 0), GenerationStatus(2, 2, 1)]


@supervised
async def test_a_snapshot_says_which_shard_cannot_be_asked(supervisor: Supervisor) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(peers, "PEER_WAIT_S", 0.0)
        async with two(supervisor) as (first, second):
            await second.stop()
            own, other = (await first.snapshot()).shards
            assert (own.queue is None, own.reason) == (False, "")
            assert (other.queue, other.reason) == (None, "the worker that owns the shard is being restarted; ask again")


@supervised
async def test_large_bodies_go_to_the_owner_as_files(supervisor: Supervisor) -> None:
    async with two(supervisor) as (first, _):
        graph = owned_by(1)
        body = b'{"a": "' + b"x" * worker_module.MESSAGE_BYTES + b'"}'
        async with first.spool(graph) as spool:
            await spool.write(body)
            spooled = await spool.finish()
        assert "/001/spool/" in spooled.path
        for sent in (spooled, body):
            posted = Header(graph, content_type="application/json", length=len(body), poster="admin")
            receipt = await first.submit(posted, sent)
            assert shard_of(receipt) == 1
            found = await first.records.receipt(receipt, 10)
            assert (found.state, found.posted_by) == ("done", "admin")
        with pytest.raises(StoreError) as caught:
            await first.submit(header(graph), Spooled(spooled.path + "0", 5))
        assert caught.value.code == "store.spool_missing"


@supervised
async def test_what_the_owner_refuses_is_refused_as_by_itself(supervisor: Supervisor) -> None:
    supervisor.is_holding = True
    async with two(supervisor, limits=Limits(queue_max_deliveries=1, grace_s=0.05)) as (first, _):
        graph = owned_by(1)
        await first.submit(header(graph), b"{}")
        with pytest.raises(QueueFull):
            await first.submit(header(graph), b"{}")
        first.check_room(10)
        await first.submit(header(), b"{}")
        with pytest.raises(QueueFull):
            first.check_room(10)


@supervised
async def test_an_owner_that_restarts_is_waited_for(supervisor: Supervisor) -> None:
    async with two(supervisor) as (first, second):
        graph = owned_by(1)
        receipt = await first.submit(header(graph), b"{}")
        assert shard_of(receipt) == 1
        await second.stop()
        waiting = asyncio.ensure_future(first.submit(header(graph), b"{}"))
        following = asyncio.ensure_future(first.records.receipt(receipt, 10))
        successor = await IngestWorker.start(supervisor.config(workers=2))
        try:
            assert shard_of(await waiting) == 1
            assert (await following).state == "done"
        finally:
            await successor.stop()


@supervised
async def test_an_owner_that_does_not_come_back_is_given_up(supervisor: Supervisor) -> None:
    async with two(supervisor) as (first, second):
        graph = owned_by(1)
        async with first.spool(graph) as spool:
            await spool.write(b"{}")
            spooled = await spool.finish()
        await second.stop()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(peers, "PEER_WAIT_S", 0.0)
            for body in (b"{}", spooled):
                with pytest.raises(Unavailable) as caught:
                    await first.submit(header(graph), body)
                assert caught.value.code == "receipt.owner_restarts"
        assert not os.path.exists(spooled.path)  # noqa: ASYNC240, PTH110 - nobody else waits for this loop


class Deaf:
    """Plays the owner of shard 1 that dies of what it is asked: nothing is answered."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if line := await reader.readline():
            self.asked.append(json.loads(line)["method"])
        writer.close()


@supervised
async def test_what_may_have_been_taken_is_repeated_only_with_a_key(supervisor: Supervisor) -> None:
    async with two(supervisor) as (first, second):
        graph = owned_by(1)
        await second.stop()
        deaf = Deaf()
        server = await asyncio.start_unix_server(deaf.serve, str(supervisor.folder / "w-1.sock"))
        with pytest.raises(Unavailable) as caught:
            await first.submit(header(graph), b"{}")
        assert caught.value.code == "owner.lost"
        assert deaf.asked == ["append"]
        waiting = asyncio.ensure_future(first.submit(header(graph), b"{}", key=Key("k", b"x" * 16)))
        async with asyncio.timeout(10):
            while len(deaf.asked) < 3:  # noqa: ASYNC110 - the owner is played by this very loop
                await asyncio.sleep(0)
        server.close()
        successor = await IngestWorker.start(supervisor.config(workers=2))
        try:
            assert shard_of(await waiting) == 1
        finally:
            await successor.stop()


@supervised
async def test_the_number_of_owners_stays_when_that_of_workers_changes(supervisor: Supervisor) -> None:
    graph = owned_by(1)
    async with two(supervisor) as (first, _):
        assert shard_of(await first.submit(header(graph), b"{}")) == 1
    alone = await IngestWorker.start(supervisor.config(workers=1))
    try:
        assert shard_of(await alone.submit(header(graph), b"{}")) == 1
    finally:
        await alone.stop()
    three = [await IngestWorker.start(supervisor.config(workers=3)) for _ in range(3)]
    try:
        assert {shard_of(await worker.submit(header(graph), b"{}")) for worker in three} == {1}
    finally:
        for worker in three:
            await worker.stop()


@supervised
async def test_a_shard_that_never_was_is_made_by_who_needs_it(supervisor: Supervisor) -> None:
    """The node had two workers at its first start, of which the second never came."""
    graph = owned_by(1)
    supervisor.topology |= {"ordered": [graph], "graphs": {graph: 1}}
    first = await IngestWorker.start(supervisor.config(workers=2))
    await first.stop()
    alone = await IngestWorker.start(supervisor.config(workers=1))
    try:
        receipts = await asyncio.gather(*(alone.submit(header(graph), b"{}") for _ in range(3)))
        assert {shard_of(receipt) for receipt in receipts} == {1}
    finally:
        await alone.stop()
