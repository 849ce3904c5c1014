"""The worker's side of sources: scripted instances on real sockets, a real store, and a crash at every step in between."""

from __future__ import annotations

import asyncio
import sqlite3
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pypes.core.limits import Limits
from pypes.errors import Conflict, Draining, NotFound
from pypes.ingest.ordering import key_of, pack_keys
from pypes.ingest.outcome import Outcome
from pypes.observe.metrics import SOURCE_RUNS
from pypes.runtime.worker import cursors, source_runner
from pypes.runtime.worker.source_runner import MAX_DEATHS
from pypes.runtime.worker.wanted import Wanted
from tests.ingest.harness import lease_any, run, until
from tests.runtime.worker.harness import ALL, Copies, Worker

STEPS = ("triggered", "fetched", "stored", "ending")


def test_what_was_fetched_is_enqueued_with_its_cursor(tmp_path: Path) -> None:
    async def main() -> None:
        async with Worker(tmp_path) as worker:
            instance = await worker.add(1)
            assert await worker.sources.trigger(worker.queue, "g") == ["source"]
            with pytest.raises(Conflict, match="running"):
                await worker.sources.trigger(worker.queue, "g")
            await worker.idle()
            assert await worker.cursor() == ALL
            await worker.sources.trigger(worker.queue, "g")
            await worker.idle()
            assert [trigger.cursor for trigger in instance.triggers] == ["", str(ALL)]
            assert await worker.enqueued() == list(range(ALL))

    run(main())


def test_only_an_instance_that_runs_the_graph_is_elected(tmp_path: Path) -> None:
    async def main() -> None:
        async with Worker(tmp_path) as worker:
            idle = await worker.add(1)
            runs = await worker.add(2)
            worker.announce(runs={1: frozenset({"other"}), 2: frozenset({"g"})})
            await worker.sources.trigger(worker.queue, "g")
            await worker.idle()
            assert (len(idle.triggers), len(runs.triggers)) == (0, 1)
            assert await worker.cursor() == ALL

    run(main())


@pytest.mark.parametrize("is_gone", [True, False])
def test_a_graph_that_is_taken_down_takes_no_more(tmp_path: Path, is_gone: bool) -> None:
    """What its source fetches meanwhile waits: for the graph to stay after all, or is fetched again the next time."""

    async def main() -> None:
        async with Worker(tmp_path) as worker:
            instance = await worker.add(1, rests_at=4)
            await worker.sources.trigger(worker.queue, "g")
            await until(lambda: instance.is_resting)
            worker.announce(closing=frozenset({"g"}))
            with pytest.raises(Conflict, match="taken down"):
                await worker.sources.trigger(worker.queue, "g")
            frames = worker.frames
            instance.go_on()
            await until(lambda: worker.frames > frames)
            assert await worker.cursor() == 4
            if is_gone:
                worker.announce(closing=frozenset(), graphs={}, sources={})
                await worker.idle()
                assert await worker.cursor() == 4
                worker.announce(graphs={"g": 2}, sources={"g": ["source"]})
                await worker.sources.trigger(worker.queue, "g")
            else:
                worker.announce(closing=frozenset())
            await worker.idle()
            assert len(instance.triggers) == 1 + is_gone
            assert await worker.enqueued() == list(range(ALL))

    run(main())


@pytest.mark.parametrize("at", [0, 2, ALL])
@pytest.mark.parametrize("step", STEPS)
def test_an_instance_dies_at_any_step(tmp_path: Path, step: str, at: int) -> None:
    async def main() -> None:
        async with Worker(tmp_path) as worker:
            first = await worker.add(1, dies_at=(step, at))
            await worker.sources.trigger(worker.queue, "g")
            await until(lambda: first.has_ended or not worker.lost.empty())
            if not first.has_ended:
                await worker.reap()
                await worker.add(2)
            await worker.idle()
            assert await worker.cursor() == ALL
            assert await worker.enqueued() == list(range(ALL))

    run(main())


def test_a_source_that_kills_its_instances_is_given_up(tmp_path: Path) -> None:
    async def main() -> None:
        async with Worker(tmp_path) as worker:
            for number in range(MAX_DEATHS):
                await worker.add(number, dies_at=("triggered", 0))
                if not number:
                    await worker.sources.trigger(worker.queue, "g")
                await worker.reap()
            await worker.idle()
            assert await worker.enqueued() == []
            await worker.add(99)
            assert "instances that ran the source died" in (await worker.sources.runs(worker.queue, "g")).failed["source"]
            await worker.sources.trigger(worker.queue, "g")
            await worker.idle()
            assert await worker.enqueued() == list(range(ALL))

    run(main())


def test_a_source_that_gets_on_is_not_given_up(tmp_path: Path) -> None:
    async def main() -> None:
        async with Worker(tmp_path) as worker:
            for number in range(MAX_DEATHS + 1):
                await worker.add(number, dies_at=("stored", 2 * number + 2))
                if not number:
                    await worker.sources.trigger(worker.queue, "g")
                await worker.reap()
            await worker.add(99)
            await worker.idle()
            assert await worker.enqueued() == list(range(ALL))

    run(main())


def test_a_new_version_takes_over_in_the_middle(tmp_path: Path) -> None:
    """The old instance says goodbye; that is no death, however often it happens."""

    async def main() -> None:
        async with Worker(tmp_path) as worker:
            for number in range(MAX_DEATHS + 1):
                instance = await worker.add(number, dies_at=("stored", 2 * number + 2), says_goodbye=True)
                if not number:
                    await worker.sources.trigger(worker.queue, "g")
                await until(lambda sent=instance: sent.sent)  # type: ignore[misc]
                worker.instances.pop(number).close()
                worker.announce()
            assert ALL == 2 * (MAX_DEATHS + 2)
            await worker.add(99)
            await worker.idle()
            assert await worker.enqueued() == list(range(ALL))

    run(main())


def test_an_instance_lets_go_of_the_graph_in_the_middle(tmp_path: Path) -> None:
    """It goes on with other graphs: only what it ran of this one goes on elsewhere."""

    async def main() -> None:
        async with Worker(tmp_path) as worker:
            first = await worker.add(1, dies_at=("stored", 2), leaves=True)
            await worker.sources.trigger(worker.queue, "g")
            await until(lambda: first.sent == 1)
            await worker.add(2)
            await worker.idle()
            assert (first.sent, len(first.triggers)) == (1, 1)
            assert await worker.enqueued() == list(range(ALL))

    run(main())


def test_a_worker_dies_at_any_step(tmp_path: Path) -> None:
    """Every state in which the files ever are is opened again, and the run goes on from there to the same end."""
    data = tmp_path / "data"
    copies = Copies(tmp_path / "copies", shard=data / "shards" / "000")

    async def record() -> None:
        async with Worker(data, connect=copies.connect) as worker:
            await worker.add(1)
            await worker.sources.trigger(worker.queue, "g")
            await worker.idle()
            assert await worker.enqueued() == list(range(ALL))

    async def resume(copied: Path) -> int:
        (copied / "shards").mkdir()
        (copied / "shard").rename(copied / "shards" / "000")
        async with Worker(copied) as worker:
            before = await worker.cursor()
            assert await worker.enqueued() == list(range(before))
            await worker.add(1)
            await worker.sources.resume(worker.queue)
            if not worker.sources._runs:
                # nobody has been told that it will run, or it has run
                assert before in (0, ALL)
                await worker.sources.trigger(worker.queue, "g")
            await worker.idle()
            assert await worker.enqueued() == list(range(before, ALL))
            return before

    run(record())
    found = {asyncio.run(resume(copied)) for copied in copies.made()}
    assert found == set(range(0, ALL + 1, 2))


class Failing(sqlite3.Connection):
    """Does not take the third cursor, as a disk does that fails for a moment."""

    cursors = 0

    def executemany(self, sql: str, rows: Any) -> sqlite3.Cursor:
        if "cursors" in sql and rows:
            Failing.cursors += 1
            if Failing.cursors == 3:
                raise sqlite3.OperationalError("disk I/O error")
        return super().executemany(sql, rows)


def test_what_the_disk_did_not_take_is_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_runner, "STORE_RETRY_S", 0.01)

    async def main() -> None:
        Failing.cursors = 0
        async with Worker(tmp_path, connect=partial(sqlite3.connect, factory=Failing), probe_s=0.005) as worker:
            instance = await worker.add(1)
            await worker.sources.trigger(worker.queue, "g")
            await worker.idle()
            first, *others = [trigger.cursor for trigger in instance.triggers]
            assert (first, set(others)) == ("", {"2"})
            assert instance.given_up == [trigger.number for trigger in instance.triggers[:-1]]
            assert await worker.enqueued() == list(range(ALL))

    run(main())


def test_a_run_outlives_its_worker(tmp_path: Path) -> None:
    async def main() -> None:
        async with Worker(tmp_path) as worker:
            worker.announce()
            await worker.sources.trigger(worker.queue, "g")
        with pytest.raises(Draining):
            await worker.sources.trigger(worker.queue, "g")
        async with Worker(tmp_path) as worker:
            await worker.sources.resume(worker.queue)
            await worker.add(1)
            await worker.idle()
            assert await worker.enqueued() == list(range(ALL))
        async with Worker(tmp_path) as worker:
            await worker.sources.resume(worker.queue)
            assert not worker.sources._runs

    run(main())


def test_a_scheduled_time_counts_once(tmp_path: Path) -> None:
    async def main() -> None:
        async with Worker(tmp_path) as worker:
            worker.announce()
            await worker.sources.trigger(worker.queue, "g", at=100.0)
            await worker.sources.trigger(worker.queue, "g", at=160.0)  # part of the run that waits for an instance
            instance = await worker.add(1)
            await worker.idle()
            for at in (100.0, 160.0):
                await worker.sources.trigger(worker.queue, "g", at=at)
                await worker.idle()
            assert len(instance.triggers) == 1
        async with Worker(tmp_path) as worker:
            instance = await worker.add(1)
            await worker.sources.trigger(worker.queue, "g", at=160.0)
            await worker.idle()
            assert not instance.triggers
            await worker.sources.trigger(worker.queue, "g", at=220.0)
            await worker.idle()
            assert len(instance.triggers) == 1

    run(main())


def test_a_time_that_a_wrong_clock_has_noted_counts_no_more_when_it_is_right(tmp_path: Path) -> None:
    async def main() -> None:
        now, day = 1_000_000.0, 86_400.0
        async with Worker(tmp_path) as worker:
            worker.sources._clock = lambda: now
            instance = await worker.add(1)
            now += day
            await worker.run(at=now)
            now -= day
            for at in (now, now + 60.0, now + 60.0):
                await worker.run(at=at)
            assert len(instance.triggers) == 3

    run(main())


@pytest.mark.parametrize("at", [2.0, None])
def test_what_is_triggered_as_a_run_ends_is_not_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: float | None
) -> None:
    async def main() -> None:
        async with Worker(tmp_path) as worker:
            instance = await worker.add(1)
            queue, move = worker.queue, worker.queue.cursors.move
            second: list[asyncio.Task[list[str]]] = []

            def moved(cursor: Any, **more: Any) -> Any:
                if not msgspec.json.decode(cursor[2], type=Wanted).is_due and not second:
                    second.append(asyncio.ensure_future(worker.sources.trigger(queue, "g", at=at)))
                return move(cursor, **more)

            monkeypatch.setattr(queue.cursors, "move", moved)
            await worker.sources.trigger(queue, "g", at=1.0)
            await until(lambda: second and second[0].done())
            assert second[0].result() == ["source"]
            await worker.idle()
            assert await Wanted.read(queue, "g") == Wanted(at or 1.0)
            assert len(instance.triggers) == 2

    run(main())


def test_a_full_queue_holds_the_source_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cursors, "FULL_RETRY_S", 0.01)

    async def main() -> None:
        async with Worker(tmp_path, limits=Limits(queue_max_deliveries=2)) as worker:
            instance = await worker.add(1)
            await worker.sources.trigger(worker.queue, "g")
            await until(lambda: instance.sent == 3)
            assert worker.queue.stats().deliveries == 2
            assert await worker.cursor() == 4
            while worker.sources._runs:
                for lease in lease_any(worker.queue, 2, 1 << 30):
                    worker.queue.leasing.ack(lease, Outcome(published=lease.header.documents))
                await asyncio.sleep(0.001)
            assert await worker.cursor() == ALL

    run(main())


def test_documents_of_an_ordered_graph_have_their_keys(tmp_path: Path) -> None:
    async def main() -> None:
        async with Worker(tmp_path) as worker:
            worker.announce(ordered=frozenset({"g"}))
            await worker.add(1)
            await worker.sources.trigger(worker.queue, "g")
            await worker.idle()
            (lease,) = lease_any(worker.queue, 1, 1 << 30)
            assert lease.header.keys == pack_keys([key_of("0"), key_of("1")])

    run(main())


def test_a_source_that_fails_ends_its_run(tmp_path: Path) -> None:
    async def main() -> None:
        async with Worker(tmp_path) as worker:
            await worker.add(1, error="no route")
            await worker.sources.trigger(worker.queue, "g")
            await worker.idle()
            assert await worker.enqueued() == []
            assert worker.tallies.counter(SOURCE_RUNS, "g", "source", "failed").value == 1

    run(main())


def test_a_graph_that_is_deleted_ends_its_run(tmp_path: Path) -> None:
    async def main() -> None:
        async with Worker(tmp_path) as worker:
            worker.announce()
            await worker.sources.trigger(worker.queue, "g")
            worker.announce(graphs={}, sources={})
            await worker.idle()

    run(main())


def test_what_cannot_run_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        async with Worker(tmp_path) as worker:
            with pytest.raises(NotFound):
                worker.sources.check("g")
            worker.announce(paused=frozenset({"g"}))
            with pytest.raises(Conflict, match="paused"):
                worker.sources.check("g")
            worker.announce(paused=frozenset(), sources={})
            with pytest.raises(Conflict, match="no filter of the graph fetches"):
                worker.sources.check("g")
            worker.announce(graphs={}, failed={"g": "broken"})
            with pytest.raises(Conflict, match="could not be set up"):
                worker.sources.check("g")

    run(main())
