"""Watched work: background threads and tasks that nobody waits for, and whose end must not go unseen.

A task that dies of an exception keeps it until somebody asks, and a thread prints it and is gone: the process looks alive and
does less than it promises. So whatever runs in the background is started by :func:`watched_thread` or through
:class:`~pypes.core.watched_tasks.WatchedTasks`. Work that ends although nobody ended it is logged with its cause, and its
owner is told, who gives up the connection or the process that cannot be relied on any more.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from pypes.core.lifeline import exit_now
from pypes.core.shown import shown

log = logging.getLogger(__name__)


def watched_thread(work: Callable[[], Any], name: str, on_failed: Callable[[], None] = exit_now) -> threading.Thread:
    """Start a daemon thread; an exception from ``work`` is logged and ``on_failed`` called, by default to end the process.

    Work that returns has done what it was to do.
    """

    def run() -> None:
        try:
            work()
        except BaseException as error:
            try:
                report(name, error)
            finally:
                on_failed()

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    return thread


def report(name: str, error: BaseException | None) -> None:
    """Log that background work has ended unasked, and of what."""
    reason = "the task ended or was cancelled unexpectedly" if error is None else shown(error)
    log.critical("background work failed", extra={"work": name, "reason": reason}, exc_info=error)
