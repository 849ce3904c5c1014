"""Traces are kept with the receipt, for a time and within a size; a store of before has none, and takes them."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from pypes.core.limits import Limits
from pypes.errors import Gone, NotFound, StoreError
from pypes.ingest.contracts.queue import Queue
from pypes.ingest.delivery import Header
from pypes.ingest.outcome import KeptTrace, Outcome
from pypes.ingest.queues.embedded import EmbeddedQueue
from tests.ingest.harness import letter, open_queue, run, some, take
from tests.ingest.queues.test_retention import START, Time

TRACE = KeptTrace(b'{"steps":[]}', 2)


async def traced(queue: EmbeddedQueue, data: bytes = TRACE.data, count: int = 1) -> list[str]:
    """So many deliveries that were traced, one after the other."""
    ids = []
    for _ in range(count):
        ids.append(await queue.intake.append(Header("g", is_traced=True), b"x"))
        [lease] = await take(queue)
        queue.leasing.ack(lease, Outcome(1, version=3, trace=KeptTrace(data, 1)))
        await queue._committer.settled()
    return ids


async def look(queue: EmbeddedQueue) -> None:
    """Forget what is due, also if that was under way when the last trace came."""
    for _ in range(2):
        await queue._retention.look()


async def code_of(queue: EmbeddedQueue, id: str) -> str:
    """The code of what is said instead of a trace; "" if there is one."""
    try:
        found = await queue.receipts.trace(id)
    except (NotFound, Gone) as error:
        return error.code
    return "" if found is not None else "none"


def test_a_trace_is_told_once_its_delivery_is_done(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        one, other = await asyncio.gather(*[queue.intake.append(Header("g", is_traced=n == 0), b"x") for n in range(2)])
        with pytest.raises(NotFound, match="not finished") as raised:
            await queue.receipts.trace(one)
        assert raised.value.code == "trace.not_finished"
        left = {one, other}
        while left:
            for lease in await some(queue, 2):
                left.discard(lease.id)
                queue.leasing.ack(lease, Outcome(1, trace=TRACE if lease.header.is_traced else None))
        await queue.leasing.settled()
        assert await queue.receipts.trace(one) == TRACE
        with pytest.raises(NotFound) as raised:
            await queue.receipts.trace(other)
        assert raised.value.code == "trace.not_traced"
        assert await queue.receipts.trace(f"{one[:-4]}ffff") is None

    play(scenario)


def test_a_trace_is_in_the_store_with_its_account(tmp_path: Path) -> None:
    async def main() -> None:
        queue = await open_queue(tmp_path)
        await queue.intake.append(Header("g", is_traced=True), b"x")
        [lease] = await take(queue)
        failed = Outcome(0, 0, 1, (letter(lease.id),), trace=TRACE)
        queue.leasing.ack(lease, failed)
        assert await queue.receipts.trace(lease.id) == TRACE
        await queue.close()
        queue = await open_queue(tmp_path)
        assert await queue.receipts.trace(lease.id) == TRACE
        await queue.close()

    run(main())


def test_a_run_that_comes_again_takes_the_place_of_its_trace(tmp_path: Path) -> None:
    async def main() -> None:
        queue = await open_queue(tmp_path)
        await queue.intake.append(Header("g", is_traced=True), b"x")
        [lease] = await take(queue)
        # as if the process had ended between two commits: the trace is there, the account is not
        with closing(sqlite3.connect(tmp_path / "shards/000/queue.db")) as connection, connection:
            key = connection.execute("SELECT key FROM commits").fetchone()[0]
            connection.execute("INSERT INTO traces VALUES (?, 0, 1, ?)", (key, b"{}"))
        queue.leasing.ack(lease, Outcome(1, trace=TRACE))
        assert await queue.receipts.trace(lease.id) == TRACE
        await queue.close()

    run(main())


def test_traces_are_forgotten_after_their_time_before_the_receipts(tmp_path: Path) -> None:
    async def main() -> None:
        time = Time()
        queue = await open_queue(tmp_path, clock=time.clock, limits=Limits(traces_s=3600.0))
        time.now = START + 1000
        [old] = await traced(queue)
        time.now = START + 4000
        [young] = await traced(queue)
        time.now = START + 5000
        await queue._retention.look()
        assert await code_of(queue, old) == "trace.forgotten"
        assert await code_of(queue, young) == ""
        assert await queue.receipts.get(old) is not None
        time.now = START + 100_000
        await queue._retention.look()
        with pytest.raises(Gone) as raised:
            await queue.receipts.trace(young)
        assert raised.value.code in ("trace.forgotten", "receipt.forgotten")
        await queue.close()

    run(main())


def test_the_oldest_go_where_there_are_too_many_and_the_bound_holds_over_restarts(tmp_path: Path) -> None:
    async def main() -> None:
        time, limits = Time(), Limits(traces_bytes=10_000)
        queue = await open_queue(tmp_path, clock=time.clock, limits=limits)
        ids = await traced(queue, b"x" * 1000, 30)
        await look(queue)
        codes = [await code_of(queue, id) for id in ids]
        assert codes == ["trace.forgotten"] * 20 + [""] * 10
        await queue.close()
        queue = await open_queue(tmp_path, clock=time.clock, limits=limits)
        assert queue._retention._trace_bytes == 10_000
        ids += await traced(queue, b"x" * 1000, 5)
        await look(queue)
        assert [await code_of(queue, id) for id in ids].count("") == 10
        await queue.close()

    run(main())


def test_of_an_untraced_delivery_it_is_said_that_a_trace_may_be_forgotten_only_where_it_may(tmp_path: Path) -> None:
    async def main() -> None:
        time = Time()
        queue = await open_queue(tmp_path, clock=time.clock, limits=Limits(traces_bytes=1))
        plain = await queue.intake.append(Header("g"), b"x")
        [lease] = await take(queue)
        queue.leasing.ack(lease, Outcome(1))
        assert await code_of(queue, plain) == "trace.not_traced"
        time.now += 1
        await traced(queue)
        await queue._retention.look()
        assert await code_of(queue, plain) == "trace.forgotten"
        await queue.close()

    run(main())


def test_a_store_of_before_takes_traces(tmp_path: Path) -> None:
    async def main() -> None:
        queue = await open_queue(tmp_path)
        before = await queue.intake.append(Header("g"), b"x")
        [lease] = await take(queue)
        queue.leasing.ack(lease, Outcome(1))
        await queue.close()
        with closing(sqlite3.connect(tmp_path / "shards/000/queue.db")) as connection, connection:
            connection.execute("DROP TABLE traces")
        queue = await open_queue(tmp_path)
        assert await code_of(queue, before) == "trace.not_traced"
        [id] = await traced(queue)
        assert await code_of(queue, id) == ""
        await queue.close()

    run(main())


def test_a_commit_that_fails_keeps_its_traces_for_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        queue = await open_queue(tmp_path, probe_s=0.01)
        await queue.intake.append(Header("g", is_traced=True), b"x")
        [lease] = await take(queue)
        commit, failures = queue._store.commit, [StoreError("the disk fails", code="store.failed")]

        def failing(batch: object) -> object:
            if failures:
                raise failures.pop()
            return commit(batch)  # type: ignore[arg-type]

        monkeypatch.setattr(queue._store, "commit", failing)
        queue.leasing.ack(lease, Outcome(0, 0, 1, (letter(lease.id),), trace=TRACE))
        while await code_of(queue, lease.id):  # noqa: ASYNC110 - what is waited for tells no one; the deadline is that of run()
            await asyncio.sleep(0.01)
        assert not failures
        assert await queue.receipts.trace(lease.id) == TRACE
        await queue.close()

    run(main())
