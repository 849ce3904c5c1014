"""Lifelines: no process outlives the one it belongs to, whatever that one died of.

A lifeline is a pipe whose writing end only the owner holds; nobody writes to it. The kernel closes it with the owner's last
breath, kill -9 included, and every child that waits at the reading end exits. On Linux the kernel is asked to kill the child as
well: that also reaches one that is stuck in a C call and lets no thread run. A child that leads a process group is killed with
all of that by the end of the pipe itself (``F_SETSIG``), any other one by the end of its parent (``PR_SET_PDEATHSIG``).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterable

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


class Lifeline:
    """The owner's end: pass :attr:`fd` to children; those that inherit :attr:`writer` by a fork must close it."""

    def __init__(self) -> None:
        self.fd, self.writer = os.pipe()

    def close(self) -> None:
        """End the lifeline: processes that watch it exit."""
        for fd in (self.fd, self.writer):
            with contextlib.suppress(OSError):
                os.close(fd)


def watch(fds: Iterable[int], on_end: Callable[[], None] | None = None) -> threading.Thread:
    """Start a daemon thread that calls ``on_end`` as soon as one of the lifelines ends; by default the process exits at once.

    To be called after a fork, not before: threads do not survive it.
    """
    poller = select.poll()
    for fd in fds:
        # POLLHUP and POLLERR are always reported; nobody writes, so there is nothing else to wait for
        poller.register(fd, 0)

    def wait() -> None:
        try:
            poller.poll()
        finally:  # a lifeline that cannot be watched counts as one that has ended
            (on_end or exit_now)()

    thread = threading.Thread(target=wait, name="lifeline", daemon=True)
    thread.start()
    return thread


def exit_now() -> None:
    """Exit without any clean-up; what leads a process group of its own takes the whole group along."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(70)


def die_with_parent(parent: int | None = None) -> None:
    """Have the kernel kill this process when its parent dies (Linux; elsewhere nothing happens).

    ``parent`` is the expected parent's pid: if another one is found it died before the call, and so does this process.
    To be called in the child, again after each fork.
    """
    if not sys.platform.startswith("linux"):
        return
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent is not None and os.getppid() != parent:
        exit_now()


def die_with(lifeline: int, parent: int | None = None) -> None:
    """Have the kernel kill this process when its lifeline ends, with its whole group if it leads one.

    The kernel sends the signal of a pipe that is at its end to a process group (``fcntl(2)``, ``F_SETOWN`` and ``F_SETSIG``). Not
    together with :func:`die_with_parent`: the leader would be gone, and its end of the pipe with it, before the signal is sent.
    Where that cannot be (not Linux, no leader), this is :func:`die_with_parent`. To be followed by :func:`watch`, which sees a
    lifeline that has ended before.
    """
    if os.getpgrp() != os.getpid() or not _kill_group_at_end_of(lifeline):
        die_with_parent(parent)


def _kill_group_at_end_of(lifeline: int) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    try:
        # opened once more: owner and signal belong to the open file, which others have inherited too. It stays open
        own = os.open(f"/proc/self/fd/{lifeline}", os.O_RDONLY | os.O_NONBLOCK)
        fcntl.fcntl(own, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(own, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(own, fcntl.F_SETFL, os.O_NONBLOCK | os.O_ASYNC)
    except OSError:
        return False
    return True


def adopt_orphans() -> bool:
    """Become the parent of grandchildren whose parent dies, so that they can be reaped; False where that is not possible."""
    return sys.platform.startswith("linux") and _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> bool:
    import ctypes

    return int(ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)) == 0


class ProcessGroup:
    """A child that leads a process group of its own, and all that it started: killed and reaped together.

    Where :func:`adopt_orphans` works, members that outlive the leader become our children and are waited for here.
    """

    def __init__(self, leader: int) -> None:
        self.leader = leader

    def signal(self, number: int) -> None:
        """Signal every member; nothing happens when there is none left."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            # PermissionError: macOS says so when all that is left are zombies
            os.killpg(self.leader, number)

    def reap(self) -> bool:
        """Collect members that have ended, except the leader if somebody else waits for it; True when none is left."""
        while True:
            try:
                pid, _ = os.waitpid(-self.leader, os.WNOHANG)
            except ChildProcessError:
                return True
            if pid == 0:
                return False
