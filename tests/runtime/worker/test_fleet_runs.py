"""Which node of a fleet runs the sources, and who goes on when it cannot: scripted instances, real stores and files."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import threading
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from pypes.core.limits import Limits
from pypes.errors import Conflict
from pypes.ingest.outcome import Outcome
from pypes.runtime.worker import cursors
from pypes.runtime.worker.cursors import FleetCursor
from pypes.runtime.worker.fleet import Place
from pypes.runtime.worker.wanted import Wanted
from tests.ingest.harness import lease_any, run, until
from tests.runtime.worker.harness import ALL, Worker, file_of, reasons, two

#: What there is to fetch.
NUMBERS = list(range(ALL))

pytestmark = pytest.mark.usefixtures("quick_turns")


def test_each_time_runs_once_from_where_the_fleet_is(tmp_path: Path, shared: Path) -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            a, b = await two(stack, tmp_path, shared)
            at_a, at_b = await a.add(1, end=4), await b.add(1, end=8)
            for worker in (a, b):
                await worker.run(at=100.0)
            for worker in (b, a):
                await worker.run(at=160.0)
            at_a.end = ALL
            await a.run(at=220.0)
            await b.run(at=220.0)
            assert [trigger.cursor for trigger in at_a.triggers] == ["", "8"]
            assert [trigger.cursor for trigger in at_b.triggers] == ["4"]
            assert await a.enqueued() == [0, 1, 2, 3, *range(8, ALL)]
            assert await b.enqueued() == [4, 5, 6, 7]
            place = file_of(shared)["sources"]["source"]
            assert (place["at"], place["cursor"], place["node"], "taken" in place) == (220.0, str(ALL), 1, False)
            # one that was away, and comes with times that others have had
            async with Worker(tmp_path / "c", node=3, fleet=shared) as late:
                instance = await late.add(1)
                await late.run(at=160.0)
                await late.run(at=220.0)
                assert not instance.triggers
                await late.run(at=280.0)
                assert [trigger.cursor for trigger in instance.triggers] == [str(ALL)]

    run(main())


def test_who_is_asked_runs_when_the_others_have(tmp_path: Path, shared: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def main() -> None:
        async with AsyncExitStack() as stack:
            a, b = await two(stack, tmp_path, shared)
            at_a, at_b = await a.add(1, end=4, rests_at=0), await b.add(1)
            await a.sources.trigger(a.queue, "g", at=100.0)
            await until(lambda: at_a.is_resting)
            assert await b.sources.trigger(b.queue, "g") == ["source"]
            with pytest.raises(Conflict, match="running"):
                await b.sources.trigger(b.queue, "g")
            await until(lambda: "another node runs the sources" in reasons(caplog))
            assert not at_b.triggers
            at_a.go_on()
            await b.idle()
            assert (await a.enqueued(), await b.enqueued()) == ([0, 1, 2, 3], NUMBERS[4:])
            assert [trigger.cursor for trigger in at_b.triggers] == ["4"]
            await b.run()
            assert len(at_b.triggers) == 2

    run(main())


def test_a_time_that_comes_during_the_run_is_part_of_it_for_all(tmp_path: Path, shared: Path) -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            a, b = await two(stack, tmp_path, shared)
            at_a, at_b = await a.add(1, rests_at=0), await b.add(1)
            for at in (100.0, 160.0):
                await a.sources.trigger(a.queue, "g", at=at)
                await until(lambda: at_a.is_resting)
                await b.sources.trigger(b.queue, "g", at=at)
            at_a.go_on()
            await a.idle()
            await b.idle()
            assert (len(at_a.triggers), len(at_b.triggers)) == (1, 0)
            assert file_of(shared)["sources"]["source"]["at"] == 160.0

    run(main())


def test_a_time_that_comes_as_the_run_ends_is_not_forgotten(tmp_path: Path, shared: Path) -> None:
    async def main() -> None:
        async with Worker(tmp_path, fleet=shared) as worker:
            instance, loop = await worker.add(1), asyncio.get_running_loop()
            assert worker.sources._fleet is not None
            load = worker.sources._fleet.load
            has_come = threading.Event()

            def loaded(graph: str) -> Any:
                found = load(graph)
                if found is not None and found.sources.get("source", Place()).at == 100.0 and not has_come.is_set():
                    has_come.set()
                    coming = worker.sources.trigger(worker.queue, "g", at=160.0)
                    asyncio.run_coroutine_threadsafe(coming, loop).result(10)
                return found

            worker.sources._fleet.load = loaded  # type: ignore[method-assign]
            await worker.run(at=100.0)
            assert has_come.is_set()
            assert len(instance.triggers) == 2
            assert file_of(shared)["sources"]["source"]["at"] == 160.0

    run(main())


def test_filters_that_only_some_nodes_have(tmp_path: Path, shared: Path) -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            a, b = await two(stack, tmp_path, shared)
            at_a, at_b = await a.add(1), await b.add(1)
            b.announce(sources={"g": ["new", "source"]})
            await a.run(at=100.0)
            await b.run(at=100.0)
            assert [trigger.filter for trigger in at_a.triggers] == ["source"]
            assert [trigger.filter for trigger in at_b.triggers] == ["new"]
            await b.run(at=160.0)
            await a.run(at=160.0)
            assert sorted(trigger.filter for trigger in at_b.triggers[1:]) == ["new", "source"]
            assert len(at_a.triggers) == 1

    run(main())


def test_several_sources_run_side_by_side(tmp_path: Path, shared: Path) -> None:
    async def main() -> None:
        async with Worker(tmp_path, fleet=shared) as worker:
            worker.announce(sources={"g": ["one", "other"]})
            await worker.add(1)
            await worker.run(at=100.0)
            assert sorted(await worker.enqueued()) == sorted(NUMBERS * 2)
            assert {place["cursor"] for place in file_of(shared)["sources"].values()} == {str(ALL)}

    run(main())


def test_filters_of_the_original_style_run_once_as_well(tmp_path: Path, shared: Path) -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            a, b = await two(stack, tmp_path, shared)
            instances = []
            for worker in (a, b):
                worker.announce(sources={"g": [""]})
                instances.append(await worker.add(1, end=0))
                await worker.run(at=100.0)
            assert [len(instance.triggers) for instance in instances] == [1, 0]

    run(main())


def test_what_was_asked_for_outlives_the_worker(tmp_path: Path, shared: Path) -> None:
    async def main() -> None:
        async with Worker(tmp_path / "b", node=2, fleet=shared) as other:
            await other.add(1, end=4)
            await other.run(at=100.0)
        async with Worker(tmp_path / "a", fleet=shared) as worker:
            worker.announce()
            await worker.sources.trigger(worker.queue, "g", at=100.0)
        async with Worker(tmp_path / "a", fleet=shared) as worker:
            await worker.sources.resume(worker.queue)
            instance = await worker.add(1)
            await worker.idle()
            assert not instance.triggers, "another node has done that time"
        async with Worker(tmp_path / "a", fleet=shared) as worker:
            worker.announce()
            await worker.sources.trigger(worker.queue, "g")
        async with Worker(tmp_path / "a", fleet=shared) as worker:
            await worker.sources.resume(worker.queue)
            await worker.add(1)
            await worker.idle()
            assert await worker.enqueued() == NUMBERS[4:]
            assert await Wanted.read(worker.queue, "g") == Wanted(100.0, has_met=True)

    run(main())


# -- a node that cannot go on --------------------------------------------------------------------------------


def test_a_node_that_is_stopped_leaves_the_rest_to_another(tmp_path: Path, shared: Path) -> None:
    async def main() -> None:
        async with Worker(tmp_path / "b", node=2, fleet=shared) as b:
            async with Worker(tmp_path / "a", fleet=shared) as a:
                first = await a.add(1, rests_at=6)
                await a.sources.trigger(a.queue, "g", at=100.0)
                await until(lambda: first.is_resting)
                await b.add(1)
                await b.sources.trigger(b.queue, "g", at=100.0)
            await b.idle()
            assert await b.enqueued() == NUMBERS[6:]
        async with Worker(tmp_path / "a", fleet=shared) as a:
            await a.sources.resume(a.queue)
            instance = await a.add(1)
            await a.idle()
            assert await a.enqueued() == NUMBERS[:6]
            assert not instance.triggers

    run(main())


def test_a_node_that_is_stopped_enqueues_what_it_has_taken(tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM between the shared file and the queue: the documents must not stay behind in a node that is gone for good."""

    async def main() -> None:
        async with Worker(tmp_path / "a", fleet=shared) as worker:
            assert worker.sources._fleet is not None
            instance = await worker.add(1, rests_at=0)
            await worker.sources.trigger(worker.queue, "g", at=100.0)
            await until(lambda: instance.is_resting)
            may_go_on, has_begun = threading.Event(), threading.Event()
            save = worker.sources._fleet.save

            def slowly(*arguments: Any) -> None:
                has_begun.set()
                may_go_on.wait(10)
                save(*arguments)

            monkeypatch.setattr(worker.sources._fleet, "save", slowly)
            instance.go_on()
            await until(has_begun.is_set)
            stopping = asyncio.ensure_future(worker.sources.stop())
            await asyncio.sleep(0)
            may_go_on.set()
            await stopping
            assert (await worker.cursor(), await worker.enqueued()) == (2, [0, 1])
            assert not await cursors.doubtful(worker.queue, "g")

    run(main())


def test_a_node_without_instances_leaves_the_run_to_another(
    tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FleetCursor, "patience_s", 0.05)

    async def main() -> None:
        async with AsyncExitStack() as stack:
            a, b = await two(stack, tmp_path, shared)
            await a.add(1, dies_at=("stored", 4))
            await a.sources.trigger(a.queue, "g", at=100.0)
            await a.reap()
            await b.add(1)
            await b.run(at=100.0)
            assert (await a.enqueued(), await b.enqueued()) == (NUMBERS[:4], NUMBERS[4:])
            assert a.sources._runs, "it is wanted there until it is known that another has done it"
            last = await a.add(2)
            await a.idle()
            assert not last.triggers

    run(main())


def test_a_node_whose_queue_is_full_leaves_the_run_to_another(
    tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cursors, "FULL_RETRY_S", 0.005)
    monkeypatch.setattr(FleetCursor, "patience_s", 0.02)

    async def main() -> None:
        async with AsyncExitStack() as stack:
            a = await stack.enter_async_context(
                Worker(tmp_path / "a", node=1, fleet=shared, limits=Limits(queue_max_deliveries=2))
            )
            b = await stack.enter_async_context(Worker(tmp_path / "b", node=2, fleet=shared))
            at_a = await a.add(1)
            await a.sources.trigger(a.queue, "g", at=100.0)
            await until(lambda: at_a.given_up)
            await b.add(1)
            await b.run(at=100.0)
            await a.idle()
            assert (await a.enqueued(), await b.enqueued()) == (NUMBERS[:4], NUMBERS[4:])

    run(main())


def test_a_full_queue_that_drains_holds_the_source_up(tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cursors, "FULL_RETRY_S", 0.005)

    async def main() -> None:
        async with Worker(tmp_path, fleet=shared, limits=Limits(queue_max_deliveries=2)) as worker:
            instance = await worker.add(1)
            await worker.sources.trigger(worker.queue, "g")
            await until(lambda: instance.sent == 3)
            while worker.sources._runs:
                for lease in lease_any(worker.queue, 2, 1 << 30):
                    worker.queue.leasing.ack(lease, Outcome(published=lease.header.documents))
                await asyncio.sleep(0.001)
            assert await worker.cursor() == ALL
            assert len(instance.triggers) == 1

    run(main())


def test_a_lock_that_was_lost_enqueues_nothing_twice(
    tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A file server that forgot the lock: two nodes run at once, and what either takes follows on what both have."""
    monkeypatch.setattr(fcntl, "flock", lambda fd, operation: None)

    async def main() -> None:
        async with AsyncExitStack() as stack:
            a, b = await two(stack, tmp_path, shared)
            at_a = await a.add(1, rests_at=4)
            await a.sources.trigger(a.queue, "g", at=100.0)
            await until(lambda: at_a.is_resting)
            await b.add(1)
            await b.run(at=160.0)
            at_a.go_on()
            await a.idle()
            assert (await a.enqueued(), await b.enqueued()) == (NUMBERS[:4], NUMBERS[4:])
            assert not await cursors.doubtful(a.queue, "g")
            assert "the lock was lost" in reasons(caplog)[0]
            assert len(at_a.triggers) == 1 or at_a.triggers[-1].cursor == str(ALL)

    run(main())


def test_a_node_on_which_the_graph_is_taken_down_leaves_the_rest_to_another(tmp_path: Path, shared: Path) -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            a, b = await two(stack, tmp_path, shared)
            at_a = await a.add(1, rests_at=4)
            await a.sources.trigger(a.queue, "g", at=100.0)
            await until(lambda: at_a.is_resting)
            a.announce(closing=frozenset({"g"}))
            at_a.go_on()
            a.announce(closing=frozenset(), graphs={}, sources={}, fleet=frozenset())
            await a.idle()
            await b.add(1)
            await b.run(at=100.0)
            assert (await a.cursor(), await b.cursor()) == (4, ALL)
            assert await b.enqueued() == NUMBERS[4:]

    run(main())


def test_a_graph_that_goes_ends_the_waiting(tmp_path: Path, shared: Path) -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            a, b = await two(stack, tmp_path, shared)
            at_a = await a.add(1, rests_at=0)
            await a.sources.trigger(a.queue, "g", at=100.0)
            await until(lambda: at_a.is_resting)
            await b.add(1)
            await b.sources.trigger(b.queue, "g", at=100.0)
            b.announce(graphs={}, sources={}, fleet=frozenset())
            await b.idle()
            # it goes while it runs: the time is not done
            a.announce(graphs={}, sources={}, fleet=frozenset())
            at_a.go_on()
            await a.idle()
            assert file_of(shared)["sources"] == {}

    run(main())
