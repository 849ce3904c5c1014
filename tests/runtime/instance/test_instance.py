"""Real instance processes on real sockets: nothing is lost or acknowledged early, whatever kills them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from pypes.core.limits import Limits
from pypes.core.media_types import PACKETS
from pypes.ingest.delivery import Header, Spooled
from pypes.ingest.dispatch.dispatcher import Dispatcher
from pypes.ingest.ordering import key_of, pack_keys
from pypes.ingest.outcome import ExitReason
from pypes.runtime.instance.crash_record import CrashRecord, exit_reason_of
from tests.ingest.memory.queue import MemoryQueue
from tests.runtime.instance.harness import WAIT_S, Process, Stage, spec_of, staged, until


@pytest.fixture(autouse=True)
def _environment() -> Iterator[None]:
    yield
    os.environ.pop("OUT_FOLDER", None)


@staged()
async def test_documents_reach_the_publisher_with_their_metadata(stage: Stage) -> None:
    stage.start()
    receipt = await stage.post({"title": "a"}, route="news", id="7")
    found = await stage.receipt(receipt)
    assert (found.state, found.published) == ("done", 1)
    [[fields, meta]] = stage.published()
    assert fields == {"title": "a"}
    expected = {"mimetype": "application/json", "contentlength": 14, "requestmethod": "POST", "route": "news", "id": "7"}
    assert expected.items() <= meta.items()
    assert meta["receipt"] == receipt


@staged()
async def test_outcomes_are_counted_document_by_document(stage: Stage) -> None:
    stage.start()
    lines = b"\n".join(json.dumps({"n": n, "do": do}).encode() for n, do in enumerate(["", "drop", "raise", ""]))
    found = await stage.receipt(await stage.post(lines, "application/x-ndjson", documents=4))
    assert (found.state, found.accepted, found.published, found.dropped, found.failed) == ("failed", 4, 2, 1, 1)
    [letter] = await stage.queue.letters.find()
    assert (letter.documents, letter.filter, letter.component, letter.version) == ((2,), "in", "In", 1)
    kept = await stage.queue.letters.get(letter.id)
    assert kept is not None
    assert json.loads(kept.letter.packet)["fields"] == {"n": 2, "do": "raise"}
    assert "as it was told" in letter.error
    assert "ValueError" in kept.letter.traceback


@staged()
async def test_many_small_deliveries_share_an_epoch_and_fail_apart(stage: Stage) -> None:
    ids = [await stage.post({"n": n, "do": "raise" if n % 10 == 3 else ""}) for n in range(100)]
    stage.start()
    states = [(await stage.receipt(id)).state for id in ids]
    assert states == ["failed" if n % 10 == 3 else "done" for n in range(100)]
    assert sorted(fields["n"] for fields, _ in stage.published()) == [n for n in range(100) if n % 10 != 3]


@staged()
async def test_a_body_that_cannot_be_read_fails_alone(stage: Stage) -> None:
    bad, good = await stage.post(b'{"broken'), await stage.post({"n": 1})
    stage.start()
    assert (await stage.receipt(bad)).state == "failed"
    assert (await stage.receipt(good)).state == "done"


@staged()
async def test_documents_go_by_media_type(stage: Stage) -> None:
    stage.start()
    spooled = stage.folder / "spooled"
    spooled.write_bytes(b"x" * 3_000_000)
    header = Header("g", content_type="text/plain; charset=latin-1", length=3_000_000)
    ids = [
        await stage.post(b"hello", "text/html"),
        await stage.post({"a": [1]}, "application/x-old+json"),
        await stage.post({"fields": {"a": 1}, "meta": {"m": 2}}, PACKETS),
        await stage.queue.intake.append(header, Spooled(str(spooled), 3_000_000)),
        await stage.post(b"", "", method="DELETE", id="9"),
    ]
    states = [(await stage.receipt(id)).state for id in ids]
    assert states == ["done"] * 5
    found = [fields for fields, _ in stage.published()]
    expected = [{"size": 5}, {"text": '{"a": [1]}'}, {"a": 1}, {"size": 3_000_000}, {}]
    assert sorted(map(str, found)) == sorted(map(str, expected))
    refused = await stage.receipt(await stage.post(b"MZ", "application/x-dosexec"))
    assert refused.state == "failed"
    [letter] = await stage.queue.letters.find()
    assert letter.code == "graph.no_adapter"


@staged()
async def test_nothing_is_lost_when_an_instance_is_killed_again_and_again(stage: Stage) -> None:
    stage.restarts = True
    stage.start()
    stage.start()
    ids = []
    for burst in range(6):
        ids += [await stage.post({"n": burst * 300 + n}) for n in range(300)]
        await asyncio.sleep(0)
        victim = stage.processes[max(stage.processes)]
        victim.process.send_signal(signal.SIGKILL)
    for id in ids:
        assert (await stage.receipt(id)).state == "done"
    assert {fields["n"] for fields, _ in stage.published()} == set(range(1800))
    assert stage.lost


@staged()
async def test_poison_is_dead_lettered_after_one_lone_death_and_its_neighbours_pass(stage: Stage) -> None:
    stage.restarts = True
    ids = [await stage.post({"n": n, "do": "die" if n == 20 else ""}) for n in range(40)]
    stage.start()
    states = [(await stage.receipt(id)).state for id in ids]
    assert states == ["failed" if n == 20 else "done" for n in range(40)]
    [letter] = await stage.queue.letters.find()
    assert (letter.code, letter.documents, letter.filter) == ("instance.killed", (0,), "in")
    assert letter.error == "killed by SIGABRT in filter in"
    kept = await stage.queue.letters.get(letter.id)
    assert kept is not None
    assert json.loads(kept.letter.packet)["fields"] == {"n": 20, "do": "die"}
    assert stage.exit_reasons == [ExitReason("killed by SIGABRT"), ExitReason("killed by SIGABRT", "in", 0)]


@staged()
async def test_kills_from_outside_punish_nobody_who_ran_in_company(stage: Stage) -> None:
    stage.restarts = True
    path = stage.folder / "go"
    ids = [await stage.post({"n": n, "do": "wait", "path": str(path)}) for n in range(3)]
    stage.start()
    begun = Path(f"{path}.begun")
    await until(begun.exists)
    stage.processes[1].process.kill()
    await until(lambda: stage.last_id == 2)
    path.touch()
    assert [(await stage.receipt(id)).state for id in ids] == ["done"] * 3


@staged()
async def test_a_lone_run_excludes_another_workers_deliveries(stage: Stage) -> None:
    """Two workers at one instance: the poison of one makes no suspects of the other's deliveries that only waited."""
    stage.restarts = True
    other_queue = MemoryQueue()
    other = Dispatcher(Limits(), lambda id: None)
    other.add(other_queue)
    stage.others.append(other)
    try:
        poison = await stage.post({"do": "die"})
        stage.start()
        ids = []
        while (await stage.queue.receipts.get(poison)).state != "failed":  # type: ignore[union-attr]
            ids.append(await other_queue.intake.append(Header("g", content_type="application/json"), b'{"n": 1}'))
            await asyncio.sleep(0.005)
        for id in ids:
            found = await other_queue.receipts.wait(id, WAIT_S)
            assert found is not None
            assert found.state == "done"
        [letter] = await stage.queue.letters.find()
        assert letter.code == "instance.killed"
    finally:
        other.close()
        await other_queue.close()


@staged()
async def test_order_is_kept_when_a_worker_dies_and_its_instance_does_not(stage: Stage) -> None:
    """Its document is still in the graph: the successor hands over nothing, to no instance, before that is finished."""
    stage.is_ordered = True
    path = stage.folder / "go"
    keys = pack_keys([key_of("a")])
    await stage.post({"id": "a", "version": 1, "do": "wait", "path": str(path)}, keys=keys)
    stage.start()
    await until(Path(f"{path}.begun").exists)
    # the queue of a worker that was killed, opened by the next one: what was not acknowledged is in it
    stage.dispatcher.close()
    successor = MemoryQueue()
    stage.dispatcher = Dispatcher(stage.limits, stage.on_lost)
    ids = []
    for version in (1, 2):
        body = json.dumps({"id": "a", "version": version}).encode()
        ids.append(await successor.intake.append(Header("g", content_type="application/json", keys=keys), body))
    stage.dispatcher.add(successor)
    stage.start()
    stage.announce()
    # the second instance has nothing to do but this, and has said so
    await until(lambda: all(link.held is not None for link in stage.dispatcher._links if link.id == 2))
    await asyncio.sleep(0)
    assert successor.stats().leased == 0
    path.touch()
    for id in ids:
        assert await successor.receipts.wait(id, WAIT_S)
    assert [fields["version"] for fields, _ in stage.published()] == [1, 1, 2]
    await successor.close()


@staged(window_deliveries=4)
async def test_a_flush_request_makes_components_let_go(stage: Stage) -> None:
    stage.hold = True
    ids = [await stage.post({"n": n}) for n in range(13)]
    stage.start()
    for id in ids[:12]:
        assert (await stage.receipt(id)).state == "done"
    async with asyncio.timeout(WAIT_S):
        assert await stage.dispatcher.drain(2 * WAIT_S) == 0
    assert (await stage.receipt(ids[12])).state == "done"


@staged()
async def test_stop_finishes_what_runs_gives_back_the_rest_and_exits_with_0(stage: Stage) -> None:
    path = stage.folder / "go"
    first = await stage.post({"do": "wait", "path": str(path)})
    old = stage.start()
    await until(Path(f"{path}.begun").exists)
    rest = [await stage.post({"n": n}) for n in range(20)]
    await until(lambda: stage.queue.stats().leased == 21)
    old.control.send(("stop", 20.0))
    path.touch()
    stage.start()
    stage.processes.pop(1)
    stage.announce()
    assert (await stage.receipt(first)).state == "done"
    assert [(await stage.receipt(id)).state for id in rest] == ["done"] * 20
    assert await asyncio.to_thread(old.process.wait, WAIT_S) == 0
    old.close()
    assert stage.lost == []


@staged()
async def test_held_packets_are_flushed_at_stop(stage: Stage) -> None:
    stage.hold = True
    id = await stage.post({"n": 1})
    process = stage.start()
    await until((stage.folder / "held").exists)
    process.control.send(("stop", 20.0))
    assert (await stage.receipt(id)).state == "done"
    assert await asyncio.to_thread(process.process.wait, WAIT_S) == 0


@staged()
async def test_the_supervisor_is_told_what_filters_have_counted(stage: Stage) -> None:
    process = stage.start()
    for total in (2, 4):
        await stage.receipt(await stage.post({"do": "count"}))
        assert await asyncio.to_thread(process.hear, "counts") == ("counts", {"g": {"in": {"pages": total}}})
    # told already of the second, so the next would be due in a second; it is told at the end
    await stage.receipt(await stage.post({"do": "count"}))
    stage.processes.pop(1)
    process.control.send(("stop", 20.0))
    assert await asyncio.to_thread(process.hear, "counts") == ("counts", {"g": {"in": {"pages": 6}}})
    assert await asyncio.to_thread(process.process.wait, WAIT_S) == 0
    process.close()


@staged()
async def test_stop_waits_no_longer_than_its_grace_for_a_destination_that_is_away(stage: Stage) -> None:
    stage.publisher = "Away"
    id = await stage.post({"n": 1})
    process = stage.start()
    await until((stage.folder / "tried").exists)
    _, graph, resting = await asyncio.to_thread(process.hear, "resting")
    assert (graph, [(filter, reason) for filter, (_, reason) in resting.items()]) == (
        "g",
        [("out", "ConnectionError: nobody listens")],
    )
    stage.processes.pop(1)
    process.control.send(("stop", 0.3))
    assert await asyncio.to_thread(process.process.wait, WAIT_S) == 0
    assert exit_reason_of(0, CrashRecord(process.spec.crash_record).read(), was_stopping=True).is_outside
    found = await stage.queue.receipts.get(id)
    assert found is not None
    assert not found.finished
    process.close()


@pytest.mark.parametrize(
    ("publisher", "told", "error"),
    [("Bad", "no disk today", "RuntimeError"), ("Promise", "setup returned a coroutine: it is called as an ordinary", "Reject")],
)
def test_a_filter_that_cannot_be_set_up_is_named(tmp_path: Path, publisher: str, told: str, error: str) -> None:
    process = Process(spec_of(tmp_path, 1, Limits(), publisher=publisher))
    try:
        _, graph, node, message, trace = process.hear("failed")
        assert (graph, node) == ("g", "out")
        assert told in message
        assert error in trace
        assert process.process.wait(WAIT_S) == 1
    finally:
        process.close()


def test_the_end_of_the_control_pipe_ends_the_process(tmp_path: Path) -> None:
    process = Process(spec_of(tmp_path, 1, Limits()))
    try:
        process.hear("ready")
        process.control.close()
        assert process.process.wait(WAIT_S) == 70
    finally:
        with contextlib.suppress(OSError):
            process.close()
