"""The directory that nodes share: its lock, its files, and what becomes of runs when it fails."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from pypes.errors import StoreError
from pypes.runtime.worker import cursors, sources
from pypes.runtime.worker.fleet import Fleet, HandedOver, Place
from pypes.runtime.worker.wanted import Wanted
from tests.ingest.harness import run, until
from tests.runtime.worker.harness import ALL, Worker, reasons, two

#: What there is to fetch.
NUMBERS = list(range(ALL))

pytestmark = pytest.mark.usefixtures("quick_turns")


def with_fleets(main: Callable[..., Any], shared: Path, count: int = 2) -> None:
    async def opened() -> None:
        fleets = [Fleet(shared, number) for number in range(1, count + 1)]
        try:
            await main(*fleets)
        finally:
            for each in fleets:
                each.close()

    run(opened())


def test_one_node_at_a_time_has_the_lock_of_a_graph(shared: Path) -> None:
    async def main(one: Fleet, two: Fleet) -> None:
        lock = await one.lock("g")
        assert lock.is_held
        refused = await two.lock("g")
        assert (refused.is_held, f"pid {os.getpid()}" in refused.holder) == (False, True)
        refused.release()
        other = await two.lock("h")
        assert other.is_held
        lock.release()
        await one.read("g")  # the thread has got so far
        assert (await two.lock("g")).is_held

    with_fleets(main, shared)


def test_the_lock_ends_with_its_holder(shared: Path) -> None:
    code = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from pypes.runtime.worker.fleet import Fleet\n"
        "async def main():\n"
        "    lock = await Fleet(Path(sys.argv[1]), 9).lock('g')\n"
        "    print(lock.is_held, flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(shared)], stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"True\n"

        async def main(one: Fleet) -> None:
            assert not (await one.lock("g")).is_held
            holder.kill()
            holder.wait(10)
            assert (await one.lock("g")).is_held

        with_fleets(main, shared, 1)
    finally:
        holder.kill()
        holder.wait(10)
        assert holder.stdout is not None
        holder.stdout.close()


def test_a_lock_nobody_waits_for_any_more_is_let_go(shared: Path) -> None:
    async def main(one: Fleet, two: Fleet) -> None:
        may_go_on = threading.Event()
        one.call(lambda: may_go_on.wait(10))
        waiting = asyncio.ensure_future(one.lock("g"))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        may_go_on.set()
        await one.read("g")
        assert (await two.lock("g")).is_held

    with_fleets(main, shared)


def test_a_lock_is_let_go_behind_what_was_begun_under_it(shared: Path) -> None:
    async def main(one: Fleet, two: Fleet) -> None:
        lock = await one.lock("g")
        await lock.begin()
        may_go_on = threading.Event()
        one.call(lambda: may_go_on.wait(10))
        writing = asyncio.ensure_future(lock.take("source", "", "a", "1"))
        await asyncio.sleep(0)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        lock.release()
        assert not (await two.lock("g")).is_held
        may_go_on.set()
        await one.read("g")
        assert (await two.lock("g")).is_held
        assert await two.read("g") == {"source": Place(cursor="1", id="a", node=1, taken={"1": "a"})}

    with_fleets(main, shared)


def test_what_follows_on_something_else_is_not_taken(shared: Path) -> None:
    async def main(one: Fleet, two: Fleet) -> None:
        lock, lost = await one.lock("g"), await two.lock("g")
        await lock.begin()
        await lock.take("source", "", "a", "1")
        with pytest.raises(HandedOver, match="the lock was lost"):
            await lost.take("source", "", "b", "2")
        await lock.take("source", "a", "c", "3")
        await lock.done(["source", "other"], 60.0)
        await lock.done(["source"], 30.0)
        assert await two.read("g") == {"source": Place(at=60.0, cursor="3", id="c", node=1), "other": Place(at=60.0)}

    with_fleets(main, shared)


def test_nothing_is_taken_with_a_lock_that_the_file_server_has_forgotten(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main(one: Fleet) -> None:
        lock = await one.lock("g")
        await lock.begin()

        def lost(*_: Any) -> int:
            raise OSError(errno.EIO, "Input/output error")  # what NFS says then

        with monkeypatch.context() as patched:
            patched.setattr(os, "pwrite", lost)
            with pytest.raises(StoreError, match="Input/output error"):
                await lock.take("source", "", "a", "1")
        assert await one.read("g") == {}

    with_fleets(main, shared, 1)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "fleet.damaged"),
        (b'{"sources": {"source": {"at": "noon"}}}', "fleet.damaged"),
        (b'{"sources": {"\xff": {}}}', "fleet.damaged"),
        (b'{"pypes": 2}', "fleet.newer"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_and_left(shared: Path, data: bytes, code: str) -> None:
    (shared / "g.json").write_bytes(data)

    async def main(one: Fleet) -> None:
        lock = await one.lock("g")
        for reading in (one.read("g"), lock.take("source", "", "a", "1"), lock.done(["source"], 1.0)):
            with pytest.raises(StoreError) as caught:
                await reading
            assert (caught.value.code, caught.value.where) == (code, str(shared / "g.json"))

    with_fleets(main, shared, 1)
    assert (shared / "g.json").read_bytes() == data


def test_a_directory_that_is_not_there_is_named_and_not_made(shared: Path) -> None:
    shared.rmdir()

    async def main(one: Fleet) -> None:
        for asking in (one.read("g"), one.lock("g")):
            with pytest.raises(StoreError) as caught:
                await asking
            assert caught.value.code == "fleet.unreachable"
            assert str(shared) in caught.value.where

    with_fleets(main, shared, 1)
    assert not shared.exists()


def test_a_write_that_fails_leaves_the_file_whole(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main(one: Fleet) -> None:
        lock = await one.lock("g")
        await lock.begin()
        before = (shared / "g.json").read_bytes()

        def fail(fd: int) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", fail)
            with pytest.raises(StoreError, match="No space left"):
                await lock.take("source", "", "a", "1")
        assert (shared / "g.json").read_bytes() == before
        await lock.take("source", "", "a", "1")

    with_fleets(main, shared, 1)


# -- when it fails -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before", "during"])
def test_a_directory_that_goes_away_holds_the_run_up(
    tmp_path: Path, shared: Path, caplog: pytest.LogCaptureFixture, when: str
) -> None:
    away = tmp_path / "away"

    def go_away() -> None:
        shared.rename(away)

    def come_back() -> None:
        away.rename(shared)

    async def main() -> None:
        async with Worker(tmp_path, fleet=shared) as worker:
            instance = await worker.add(1, rests_at=2)
            if when == "before":
                go_away()
            await worker.sources.trigger(worker.queue, "g", at=100.0)
            if when == "during":
                await until(lambda: instance.is_resting)
                go_away()
                instance.go_on()
            await until(lambda: reasons(caplog))
            for _ in range(20):  # it is tried again, and said once
                await asyncio.sleep(sources.FLEET_POLL_S)
            assert len(set(reasons(caplog))) == len(reasons(caplog))
            assert all(str(shared) in reason for reason in reasons(caplog))
            come_back()
            if when == "before":
                await until(lambda: instance.is_resting)
                instance.go_on()
            await worker.idle()
            assert await worker.enqueued() == NUMBERS

    run(main())


def test_a_file_server_that_does_not_answer_holds_up_nothing_else(tmp_path: Path, shared: Path) -> None:
    async def main() -> None:
        async with Worker(tmp_path, fleet=shared) as worker:
            assert worker.sources._fleet is not None
            await worker.add(1)
            answers = threading.Event()
            worker.sources._fleet.call(lambda: answers.wait(10))
            try:
                await worker.sources.trigger(worker.queue, "g", at=100.0)
                worker.announce(graphs={"g": 1, "own": 1}, sources={"g": ["source"], "own": ["source"]})
                await worker.sources.trigger(worker.queue, "own")
                await until(lambda: list(worker.sources._runs) == ["g"])
                async with asyncio.timeout(cursors.FINISH_S):
                    await worker.sources.stop()
            finally:
                answers.set()

    run(main())


def test_a_damaged_file_holds_the_run_up(tmp_path: Path, shared: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with Worker(tmp_path, fleet=shared) as worker:
            instance = await worker.add(1, end=4)
            await worker.run(at=100.0)
            whole = (shared / "g.json").read_bytes()
            (shared / "g.json").write_bytes(whole[:-9])
            await worker.sources.trigger(worker.queue, "g", at=160.0)
            await until(lambda: reasons(caplog))
            assert "damaged" in reasons(caplog)[0]
            assert str(shared / "g.json") in reasons(caplog)[0]
            assert len(instance.triggers) == 1
            (shared / "g.json").write_bytes(whole)
            instance.end = ALL
            await worker.idle()
            assert await worker.enqueued() == NUMBERS

    run(main())


def test_a_file_that_is_gone_holds_the_run_up(tmp_path: Path, shared: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As the empty directory below a mount that failed would make it."""

    async def main() -> None:
        async with AsyncExitStack() as stack:
            a, b = await two(stack, tmp_path, shared)
            at_a, at_b = await a.add(1, end=4), await b.add(1)
            await a.run(at=100.0)
            await b.run(at=100.0)
            (shared / "g.json").unlink()
            for worker in (a, b):
                await worker.sources.trigger(worker.queue, "g", at=160.0)
            await until(lambda: len(reasons(caplog)) == 2)
            assert all("is gone" in reason for reason in reasons(caplog))
            assert (len(at_a.triggers), len(at_b.triggers)) == (1, 0)
            b.announce(graphs={}, sources={}, fleet=frozenset())
            await b.idle()
            (shared / "g.json").write_text("{}")
            await a.idle()
            assert [trigger.cursor for trigger in at_a.triggers] == ["", "4"], "it begins at its own cursor"

    run(main())


def test_a_node_that_is_in_no_fleet_waits(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with Worker(tmp_path) as worker:
            instance = await worker.add(1)
            worker.announce(fleet=frozenset({"g"}))
            await worker.sources.trigger(worker.queue, "g", at=100.0)
            await until(lambda: reasons(caplog))
            assert "in no fleet" in reasons(caplog)[0]
            assert not instance.triggers
            assert (await Wanted.read(worker.queue, "g")).is_due

    run(main())


def test_a_time_that_a_wrong_clock_has_noted_silences_no_node(tmp_path: Path, shared: Path) -> None:
    async def main() -> None:
        now, day = 1_000_000.0, 86_400.0
        async with AsyncExitStack() as stack:
            a, b = await two(stack, tmp_path, shared)
            at_a, at_b = await a.add(1), await b.add(1)
            a.sources._clock = lambda: now + day
            b.sources._clock = lambda: now
            await a.run(at=now + day)
            a.sources._clock = lambda: now
            await b.run(at=now)
            await a.run(at=now)
            await a.run(at=now + 60.0)
            await b.run(at=now + 60.0)
            assert (len(at_a.triggers), len(at_b.triggers)) == (2, 1)

    run(main())


def test_a_run_that_a_wrong_clock_has_wanted_ends_when_it_is_right(tmp_path: Path, shared: Path) -> None:
    async def main() -> None:
        now, day = 1_000_000.0, 86_400.0
        async with Worker(tmp_path, fleet=shared) as worker:
            instance = await worker.add(1, rests_at=2)
            worker.sources._clock = lambda: now + day
            await worker.sources.trigger(worker.queue, "g", at=now + day)
            await until(lambda: instance.is_resting)
            worker.sources._clock = lambda: now
            instance.go_on()
            await worker.idle()
            assert len(instance.triggers) == 1

    run(main())
