"""Ingest workers with real shards and sockets; the test plays the supervisor and the instance."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from pypes.core.limits import Limits
from pypes.errors import Draining, NotDeployed, NotFound, QueueFull, StoreError, Unavailable
from pypes.ingest import protocol
from pypes.ingest.delivery import Header, Spooled
from pypes.ingest.protocol import FrameReader
from pypes.ingest.queue import Key
from pypes.ingest.receipt import ReceiptId
from pypes.ingest.store.shards import owner_of
from pypes.runtime.rpc import Peer, RpcServer
from pypes.runtime.worker import peers
from pypes.runtime.worker import worker as worker_module
from pypes.runtime.worker.config import WorkerConfig
from pypes.runtime.worker.worker import IngestWorker


class Supervisor:
    """Answers what workers ask, and tells them what the test wants; plays one instance that acknowledges everything."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.heard: list[tuple[str, dict[str, Any]]] = []
        self.changed = asyncio.Condition()
        self.is_holding = False
        self.held: list[tuple[asyncio.StreamWriter, int]] = []
        self.topology: dict[str, Any] = {
            "generation": 1,
            "instances": [{"id": 1, "socket": str(folder / "i-1.sock")}],
            "graphs": {"g": 1, "n": 1},
            "routes": {"news": "n"},
            "default": "g",
            "failed": {},
            "ready": True,
        }
        self.server = RpcServer(self.handle)

    async def start(self) -> None:
        await self.server.start(str(self.folder / "control.sock"))
        self.instance = await asyncio.start_unix_server(self.serve, str(self.folder / "i-1.sock"))

    async def handle(self, peer: Peer, method: str, params: dict[str, Any]) -> Any:
        self.heard.append((method, params))
        async with self.changed:
            self.changed.notify_all()
        if method == "hello":
            return self.topology
        if method == "graphs.get":
            raise NotFound("there is no such graph", code="graph.not_found", where=params["name"])
        return method == "lost" and False

    async def hears(self, method: str) -> dict[str, Any]:
        async with asyncio.timeout(10), self.changed:
            await self.changed.wait_for(lambda: any(name == method for name, _ in self.heard))
        return next(params for name, params in self.heard if name == method)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        frames = FrameReader()
        writer.write(protocol.held([]))
        while data := await reader.read(1 << 16):
            for kind, head, body in frames.feed(data):
                if kind != protocol.DELIVER:
                    continue
                for item, _ in protocol.read_items(head, body):
                    self.held.append((writer, item.number))
            if not self.is_holding:
                self.release()
        writer.close()

    def release(self) -> None:
        for writer, number in self.held:
            writer.write(protocol.acks([protocol.Published(1, ("out",), [number], [])], []))
        self.held.clear()

    def config(self, **changes: Any) -> WorkerConfig:
        given: dict[str, Any] = {
            "data_dir": str(self.folder / "data"),
            "runtime_dir": str(self.folder),
            "control_socket": str(self.folder / "control.sock"),
            "listen_fd": -1,
            "lifeline_fd": -1,
            "host": "127.0.0.1",
            "port": 0,
            "workers": 1,
            "node": 7,
            "limits": Limits(grace_s=10.0),
        }
        return WorkerConfig(**{**given, **changes})

    async def close(self) -> None:
        self.instance.close()
        await self.server.close()


def supervised(test: Callable[[Supervisor], Coroutine[None, None, None]]) -> Callable[[], None]:
    @functools.wraps(test)
    def wrapped() -> None:
        async def play() -> None:
            # the paths of sockets must be short
            with tempfile.TemporaryDirectory() as folder:
                supervisor = Supervisor(Path(folder))
                await supervisor.start()
                try:
                    await test(supervisor)
                finally:
                    await supervisor.close()

        asyncio.run(play())

    del wrapped.__wrapped__  # pytest would take the argument for a fixture
    return wrapped


def header(graph: str = "g") -> Header:
    return Header(graph, content_type="application/json", length=2)


@supervised
async def test_a_document_is_accepted_handed_over_and_followed(supervisor: Supervisor) -> None:
    worker = await IngestWorker.start(supervisor.config())
    try:
        assert (await supervisor.hears("hello")) == {"pid": os.getpid(), "slot": 0}
        await supervisor.hears("ready")
        assert worker.state == "ready"
        receipt = await worker.submit(header(), b"{}", b"{}")
        found = await worker.receipt(receipt, 10)
        assert (found.state, found.published) == ("done", 1)
        assert worker.queue_stats()[0].deliveries == 0
    finally:
        await worker.stop()


@supervised
async def test_routes_lead_to_graphs(supervisor: Supervisor) -> None:
    worker = await IngestWorker.start(supervisor.config())
    try:
        assert [worker.resolve(route) for route in (None, "news", "other")] == ["g", "n", "g"]
        supervisor.server.broadcast("topology", **{**supervisor.topology, "default": None})
        # events come in order with the answers to calls
        await worker.control("status")
        with pytest.raises(NotDeployed):
            worker.resolve(None)
        assert worker.resolve("news") == "n"
    finally:
        await worker.stop()


@supervised
async def test_errors_of_the_supervisor_come_back_as_they_were(supervisor: Supervisor) -> None:
    worker = await IngestWorker.start(supervisor.config())
    try:
        with pytest.raises(NotFound) as caught:
            await worker.control("graphs.get", name="x")
        assert (caught.value.code, caught.value.where) == ("graph.not_found", "x")
    finally:
        await worker.stop()


@supervised
async def test_any_worker_answers_for_any_receipt(supervisor: Supervisor) -> None:
    config = supervisor.config(workers=2)
    first, second = await IngestWorker.start(config), await IngestWorker.start(config)
    try:
        receipt = await first.submit(header(), b"{}")
        assert (await second.receipt(receipt, 10)).state == "done"
        for unknown in (receipt[:-1] + ("0" if receipt[-1] != "0" else "1"), "0190163d-8694-739b-aea5-966c26f8ad90", "nonsense"):
            with pytest.raises(NotFound):
                await second.receipt(unknown)
    finally:
        await second.stop()
        await first.stop()


@supervised
async def test_what_is_queued_is_drained_by_whoever_starts_next(supervisor: Supervisor) -> None:
    """Slot 1 had a worker once; with one worker configured, the one that starts takes both."""
    config = supervisor.config(workers=2, limits=Limits(grace_s=0.05))
    supervisor.is_holding = True
    first, second = await IngestWorker.start(config), await IngestWorker.start(config)
    receipts = [await first.submit(header(), b"{}"), await second.submit(header(), b"{}")]
    await second.stop()
    await first.stop()
    supervisor.is_holding = False
    supervisor.held.clear()
    worker = await IngestWorker.start(supervisor.config(workers=1))
    try:
        assert [(await worker.receipt(receipt, 10)).state for receipt in receipts] == ["done", "done"]
    finally:
        await worker.stop()


@supervised
async def test_a_receipt_of_a_slot_that_nobody_owns_any_more_adopts_it(supervisor: Supervisor) -> None:
    two = supervisor.config(workers=2)
    first, second = await IngestWorker.start(two), await IngestWorker.start(two)
    receipt = await second.submit(header(), b"{}")
    assert (await second.receipt(receipt, 10)).state == "done"
    await first.stop()
    worker = await IngestWorker.start(supervisor.config(workers=1))
    try:
        await second.stop()
        assert (await worker.receipt(receipt, 10)).state == "done"
    finally:
        await worker.stop()


@supervised
async def test_a_worker_waits_for_the_slot_of_a_dying_one(supervisor: Supervisor) -> None:
    old = await IngestWorker.start(supervisor.config())
    starting = asyncio.ensure_future(IngestWorker.start(supervisor.config()))
    await asyncio.sleep(0)
    assert not starting.done()
    await old.stop()
    new = await starting
    try:
        assert (await new.receipt(await new.submit(header(), b"{}"), 10)).state == "done"
    finally:
        await new.stop()


@supervised
async def test_drain_refuses_finishes_and_reports(supervisor: Supervisor) -> None:
    worker = await IngestWorker.start(supervisor.config())
    try:
        supervisor.is_holding = True
        receipt = await worker.submit(header(), b"{}")
        supervisor.server.broadcast("drain", grace_s=10.0)
        await worker.control("status")
        await asyncio.sleep(0)
        assert worker.state == "draining"
        with pytest.raises(Draining):
            worker.submit(header(), b"{}")
        supervisor.is_holding = False
        supervisor.release()
        assert await supervisor.hears("drained") == {"queued": 0}
        assert (await worker.receipt(receipt)).state == "done"
    finally:
        await worker.stop()


@supervised
async def test_an_instance_that_ends_is_reported_and_what_it_had_runs_again(supervisor: Supervisor) -> None:
    worker = await IngestWorker.start(supervisor.config())
    try:
        supervisor.is_holding = True
        receipt = await worker.submit(header(), b"{}")
        async with asyncio.timeout(10):
            while not supervisor.held:  # noqa: ASYNC110 - the instance is played by this very loop
                await asyncio.sleep(0)
        [(writer, _)] = supervisor.held
        supervisor.held.clear()
        supervisor.is_holding = False
        writer.close()
        # the supervisor knows of none by that id: it is gone already
        assert await supervisor.hears("lost") == {"id": 1}
        assert (await worker.receipt(receipt)).state == "processing"
        successor = {"id": 2, "socket": supervisor.topology["instances"][0]["socket"]}
        supervisor.server.broadcast("topology", **{**supervisor.topology, "instances": [successor]})
        assert (await worker.receipt(receipt, 10)).state == "done"
    finally:
        await worker.stop()


@supervised
async def test_without_a_supervisor_a_worker_does_not_start(supervisor: Supervisor) -> None:
    with pytest.raises(OSError):
        await IngestWorker.start(supervisor.config(control_socket=str(supervisor.folder / "nobody.sock")))
    # the slot is free again
    worker = await IngestWorker.start(supervisor.config())
    await supervisor.server.close()
    with pytest.raises(Unavailable):
        await worker.control("status")
    await worker.stop()


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
                assert (await worker.receipt(receipt, 10)).state == "done"
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
async def test_large_bodies_go_to_the_owner_as_files(supervisor: Supervisor) -> None:
    async with two(supervisor) as (first, _):
        graph = owned_by(1)
        body = b'{"a": "' + b"x" * worker_module.MESSAGE_BYTES + b'"}'
        async with first.spool(graph) as spool:
            await spool.write(body)
            spooled = await spool.finish()
        assert "/001/spool/" in spooled.path
        for sent in (spooled, body):
            receipt = await first.submit(Header(graph, content_type="application/json", length=len(body)), sent)
            assert shard_of(receipt) == 1
            assert (await first.receipt(receipt, 10)).state == "done"
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
        following = asyncio.ensure_future(first.receipt(receipt, 10))
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
