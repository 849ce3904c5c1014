import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from pypes.core.watched_tasks import WatchedTasks, in_own_thread, watch_callbacks


async def fails() -> None:
    raise KeyError("why")


async def ends() -> None:
    pass


async def waits() -> None:
    await asyncio.Event().wait()


async def cancels_itself() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await waits()


@pytest.mark.parametrize("work", [fails, ends, cancels_itself])
def test_work_that_was_to_last_is_missed(work: Callable[[], Coroutine[Any, Any, None]], caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        failed: asyncio.Queue[str] = asyncio.Queue()
        tasks = WatchedTasks(failed.put_nowait)
        tasks.keep(work(), "some work")
        assert await asyncio.wait_for(failed.get(), 10) == "some work"
        await tasks.close()

    asyncio.run(run())
    record = caplog.records[0]
    assert (record.levelname, record.work) == ("CRITICAL", "some work")  # type: ignore[attr-defined]
    assert ("KeyError: 'why'" if work is fails else "the task ended") in record.reason  # type: ignore[attr-defined]
    assert (record.exc_info is not None) == (work is fails)


def test_work_that_comes_to_an_end_is_missed_if_it_fails_only(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        failed: asyncio.Queue[str] = asyncio.Queue()
        tasks = WatchedTasks(failed.put_nowait)
        await tasks.start(ends(), "it ends")
        tasks.start(cancels_itself(), "it is cancelled")
        tasks.start(fails(), "it fails")
        assert await asyncio.wait_for(failed.get(), 10) == "it fails"
        assert failed.empty()

    asyncio.run(run())
    assert len(caplog.records) == 1


def test_the_end_of_the_owner_ends_all_of_it(caplog: pytest.LogCaptureFixture) -> None:
    async def fails_at_the_end() -> None:
        try:
            await waits()
        finally:
            raise KeyError("late")

    async def run() -> None:
        tasks = WatchedTasks(lambda name: pytest.fail(name))
        kept = [tasks.keep(waits(), "a"), tasks.start(waits(), "b"), tasks.keep(fails_at_the_end(), "c")]
        await asyncio.sleep(0)
        await tasks.close()
        assert all(task.done() for task in kept)

    asyncio.run(run())
    assert caplog.records == []


def test_a_callback_that_raises_is_missed(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        failed: asyncio.Queue[str] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        watch_callbacks(loop, failed.put_nowait)
        loop.call_soon(int, "none")
        assert await asyncio.wait_for(failed.get(), 10) == "callback"
        # what a transport says ends one connection only
        loop.call_exception_handler({"message": "Fatal error", "exception": ValueError("bad"), "transport": None})
        assert failed.empty()

    asyncio.run(run())
    assert "ValueError" in caplog.records[0].reason  # type: ignore[attr-defined]


def test_a_call_in_a_thread_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        assert await in_own_thread(lambda: 7, "some call") == 7
        with pytest.raises(KeyError):
            await in_own_thread(lambda: os.environ["PYPES_MISSING"], "some call")
        # one that hangs keeps neither the loop nor the process from ending
        hanging = asyncio.ensure_future(in_own_thread(threading.Event().wait, "hanging call"))
        await asyncio.sleep(0)
        hanging.cancel()
        await asyncio.gather(hanging, return_exceptions=True)

    asyncio.run(run())
    assert caplog.records == []
