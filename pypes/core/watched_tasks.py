"""Watched tasks: what :mod:`pypes.core.watched` says, for an event loop. Apart, so that instances need not import asyncio."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from pypes.core.watched import report, watched_thread

T = TypeVar("T")

#: Called with the name of the work that has failed.
OnFailed = Callable[[str], None]


class WatchedTasks:
    """The background tasks of one owner; made and used within one event loop.

    ``on_failed(name)`` is called in the loop when one of them has failed: by an exception, or, if it was to run for as long as
    its owner, by ending at all. It is not called for work that :meth:`close` ends.
    """

    def __init__(self, on_failed: OnFailed) -> None:
        self._on_failed = on_failed
        self._tasks: set[asyncio.Task[Any]] = set()
        self._is_closing = False

    def start(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Start work that ends by itself; holders of the task may cancel it."""
        return self._watch(work, name, is_lasting=False)

    def keep(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Start work that is to run until :meth:`close`."""
        return self._watch(work, name, is_lasting=True)

    def _watch(self, work: Coroutine[Any, Any, Any], name: str, *, is_lasting: bool) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._lasting_ended if is_lasting else self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        # asked for even if nobody minds any more: else the loop would complain of an exception that was never retrieved
        error = None if task.cancelled() else task.exception()
        if error is not None and not self._is_closing:
            self._fail(task.get_name(), error)

    def _lasting_ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if not self._is_closing:
            self._fail(task.get_name(), error)

    def _fail(self, name: str, error: BaseException | None) -> None:
        report(name, error)
        self._on_failed(name)

    async def close(self) -> None:
        """Cancel what still runs, and wait until it has ended."""
        self._is_closing = True
        own = asyncio.current_task()
        tasks = [task for task in self._tasks if task is not own]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def in_own_thread(call: Callable[[], T], name: str) -> T:
    """Result of a blocking call that runs in a daemon thread of its own.

    Unlike a thread of the loop's executor it keeps nobody else waiting, nor the process from ending: who waits may be
    cancelled, and the call is left to itself then.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)  # type: ignore[arg-type]
        else:
            future.set_exception(error)

    def run() -> None:
        result, failure = None, None
        try:
            result = call()
        except Exception as error:
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop has been closed: no one is left to be told
            loop.call_soon_threadsafe(settle, result, failure)

    watched_thread(run, name)
    return await future


def watch_callbacks(loop: asyncio.AbstractEventLoop, on_failed: OnFailed) -> None:
    """Report what callbacks of a loop raise (timers, readers): they are called by nobody who could handle it.

    What ends one connection only (a transport says so, and closes it) is logged; ``on_failed(name)`` is not called then.
    """

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if "handle" not in context or not isinstance(error, Exception):
            loop.default_exception_handler(context)
            return
        report("callback", error)
        on_failed("callback")

    loop.set_exception_handler(handle)
