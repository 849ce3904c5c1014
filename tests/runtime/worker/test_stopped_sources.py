"""Sources that stop until deletions are confirmed."""

from __future__ import annotations

from pathlib import Path

from pypes.runtime.contracts.shard import Runs
from tests.ingest.harness import run, until
from tests.runtime.worker.harness import Worker


def test_a_source_that_would_delete_too_much_is_stopped_until_that_is_confirmed(tmp_path: Path) -> None:
    async def main() -> None:
        async with Worker(tmp_path) as worker:
            stops = await worker.add(1, error="all is gone", code="source.too_many_deletions")
            await worker.run(at=100.0)
            stopped = Runs(["source"], False, {"source": "all is gone"})
            assert await worker.sources.runs(worker.queue, "g") == stopped
            await worker.run(at=160.0)
            assert [trigger.is_confirmed for trigger in stops.triggers] == [False, False]
            assert await worker.sources.run(worker.queue, "g", False) == Runs(["source"], True, stopped.stopped)
            await worker.idle()
        # what is stopped is known by whoever opens the shard next
        async with Worker(tmp_path) as worker:
            instance = await worker.add(1, rests_at=4)
            assert await worker.sources.runs(worker.queue, "g") == stopped
            await worker.sources.run(worker.queue, "g", True)
            await until(lambda: instance.is_resting)
        # and so is that it was confirmed, until the run is over
        async with Worker(tmp_path) as worker:
            instance = await worker.add(1)
            await worker.sources.resume(worker.queue)
            await worker.idle()
            assert [trigger.is_confirmed for trigger in instance.triggers] == [True]
            assert await worker.sources.runs(worker.queue, "g") == Runs(["source"], False, {})
            await worker.run()
            assert [trigger.is_confirmed for trigger in instance.triggers] == [True, False]

    run(main())


def test_why_a_run_failed_is_known_until_one_ends_otherwise(tmp_path: Path) -> None:
    async def main() -> None:
        async with Worker(tmp_path) as worker:
            await worker.add(1, error="no route")
            await worker.run()
            failed = Runs(["source"], False, {}, {"source": "no route"})
            assert await worker.sources.runs(worker.queue, "g") == failed
        async with Worker(tmp_path) as worker:
            await worker.add(1)
            assert await worker.sources.runs(worker.queue, "g") == failed
            await worker.run()
            assert await worker.sources.runs(worker.queue, "g") == Runs(["source"], False, {}, {})

    run(main())
