"""Ingest workers with real shards and sockets; the test plays the supervisor and the instance."""

from __future__ import annotations

import asyncio
import os

import pytest

from pypes.core.limits import Limits
from pypes.errors import Draining, NotDeployed, NotFound, Unavailable
from pypes.ingest.receipt import ReceiptId
from pypes.observe import Observer, Settlement
from pypes.runtime.worker.worker import IngestWorker
from tests.runtime.worker.supervised import Supervisor, header, supervised


@supervised
async def test_a_document_is_accepted_handed_over_and_followed(supervisor: Supervisor) -> None:
    worker = await IngestWorker.start(supervisor.config())
    try:
        assert (await supervisor.hears("hello")) == {"pid": os.getpid(), "slot": 0}
        await supervisor.hears("ready")
        assert worker.state == "ready"
        receipt = await worker.submit(header(), b"{}", b"{}")
        found = await worker.records.receipt(receipt, 10)
        assert (found.state, found.published) == ("done", 1)
        assert worker.queue_stats()[0].deliveries == 0
    finally:
        await worker.stop()


class Notes(Observer):
    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []

    def deliveries_accepted(self, graph: str, deliveries: int, documents: int, size: int) -> None:
        self.calls.append(("accepted", graph, deliveries, documents, size))

    def deliveries_leased(self, graph: str, deliveries: int) -> None:
        self.calls.append(("leased", graph, deliveries))

    def deliveries_settled(self, graph: str, settlement: Settlement) -> None:
        self.calls.append(("settled", graph, settlement))


@supervised
async def test_an_observer_is_told_of_deliveries(supervisor: Supervisor) -> None:
    notes = Notes()
    worker = await IngestWorker.start(supervisor.config(), observer=notes)
    try:
        await worker.records.receipt(await worker.submit(header("n"), b"{}", b"{}"), 10)
    finally:
        await worker.stop()
    assert notes.calls == [("accepted", "n", 1, 1, 2), ("leased", "n", 1), ("settled", "n", Settlement(1, 1, 0, 0, 0))]


@supervised
async def test_routes_lead_to_graphs(supervisor: Supervisor) -> None:
    worker = await IngestWorker.start(supervisor.config())
    try:
        assert [worker.resolve(route) for route in (None, "news", "other")] == ["g", "n", "g"]
        supervisor.server.broadcast("topology", topology={**supervisor.topology, "strict_routes": True})
        await worker.control.components.rescan()
        with pytest.raises(NotFound, match="no graph has the route 'other'"):
            worker.resolve("other")
        supervisor.server.broadcast("topology", topology={**supervisor.topology, "default": None})
        # events come in order with the answers to calls
        await worker.control.components.rescan()
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
            await worker.control.graphs.get("x")
        assert (caught.value.code, caught.value.where) == ("graph.not_found", "x")
    finally:
        await worker.stop()


@supervised
async def test_any_worker_answers_for_any_receipt(supervisor: Supervisor) -> None:
    config = supervisor.config(workers=2)
    first, second = await IngestWorker.start(config), await IngestWorker.start(config)
    try:
        receipt = await first.submit(header(), b"{}")
        assert (await second.records.receipt(receipt, 10)).state == "done"
        for unknown in (receipt[:-1] + ("0" if receipt[-1] != "0" else "1"), "0190163d-8694-739b-aea5-966c26f8ad90", "nonsense"):
            with pytest.raises(NotFound):
                await second.records.receipt(unknown)
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
        assert [(await worker.records.receipt(receipt, 10)).state for receipt in receipts] == ["done", "done"]
    finally:
        await worker.stop()


@supervised
async def test_what_another_node_has_given_out_names_that_node(supervisor: Supervisor) -> None:
    worker = await IngestWorker.start(supervisor.config())
    try:
        here = ReceiptId.parse(await worker.submit(header(), b"{}"))
        elsewhere = str(here._replace(node=here.node + 4711))
        letter = worker.records.letter(f"{elsewhere}-0000000")
        for ask in (worker.records.receipt(elsewhere), worker.records.documents(elsewhere, 1, -1), letter):
            with pytest.raises(NotFound, match=rf"names node {here.node + 4711}, .*, node {here.node}:") as raised:
                await ask
            assert raised.value.code == "receipt.other_node"
    finally:
        await worker.stop()


@supervised
async def test_a_receipt_of_a_slot_that_nobody_owns_any_more_adopts_it(supervisor: Supervisor) -> None:
    two = supervisor.config(workers=2)
    first, second = await IngestWorker.start(two), await IngestWorker.start(two)
    receipt = await second.submit(header(), b"{}")
    assert (await second.records.receipt(receipt, 10)).state == "done"
    await first.stop()
    worker = await IngestWorker.start(supervisor.config(workers=1))
    try:
        await second.stop()
        assert (await worker.records.receipt(receipt, 10)).state == "done"
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
        assert (await new.records.receipt(await new.submit(header(), b"{}"), 10)).state == "done"
    finally:
        await new.stop()


@supervised
async def test_drain_refuses_finishes_and_reports(supervisor: Supervisor) -> None:
    worker = await IngestWorker.start(supervisor.config())
    try:
        supervisor.is_holding = True
        receipt = await worker.submit(header(), b"{}")
        supervisor.server.broadcast("drain", grace_s=10.0)
        await worker.control.components.rescan()
        await asyncio.sleep(0)
        assert worker.state == "draining"
        with pytest.raises(Draining):
            worker.submit(header(), b"{}")
        supervisor.is_holding = False
        supervisor.release()
        assert await supervisor.hears("drained") == {"queued": 0}
        assert (await worker.records.receipt(receipt)).state == "done"
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
        assert (await worker.records.receipt(receipt)).state == "processing"
        successor = {"2": supervisor.topology["instances"]["1"]}
        supervisor.server.broadcast("topology", topology={**supervisor.topology, "instances": successor})
        assert (await worker.records.receipt(receipt, 10)).state == "done"
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
        await worker.control.components.rescan()
    await worker.stop()
