"""Spawned process: a child with which its owner speaks over a socket, from its start to its end."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from pypes.core.lifeline import Lifeline, ProcessGroup
from pypes.core.limits import MIB
from pypes.core.signals import held_back

#: A child that was told to tear down is killed after this time.
TEARDOWN_S = 1.0
#: One that has closed its socket has died or is about to.
DYING_S = 5.0

#: Orphans of a child that were killed are waited for this long, and looked for so often.
ORPHANS_S, POLL_S = 5.0, 0.005

SOCKET_BYTES = MIB

#: Memory of a document goes to the next one, instead of back to the kernel and from there again: a thousand pages for a DOCX.
_ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": str(MIB), "MALLOC_TRIM_THRESHOLD_": str(8 * MIB)}

#: Signals that come from outside: a component does not send them to itself.
_FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Died(Exception):
    """The child is gone; ``is_outside`` if somebody else killed it."""

    def __init__(self, reason: str, is_outside: bool = False) -> None:
        super().__init__(reason)
        self.is_outside = is_outside


class Spawned:
    """A child that runs a module, with the descriptor of :attr:`sock`'s other end and the number of this process as arguments.

    :meth:`kill` may be called from any thread. The kernel kills the child when the *thread* that started it ends
    (``PR_SET_PDEATHSIG``): start it in one that stays. The module begins with :func:`pypes.placement.first_steps.begin`.

    With ``leads_group`` it has a process group of its own, so that all that it started ends with it, also where it ends by
    itself, or this process is killed (:func:`pypes.core.lifeline.die_with`). That is for a process which becomes the parent of
    orphans (:func:`pypes.core.lifeline.adopt_orphans`) and so must wait for them. Children in the group of their owner end with
    that group instead.
    """

    def __init__(
        self, module: str, python: str = sys.executable, paths: Sequence[str] | None = None, *, leads_group: bool = False
    ) -> None:
        self.sock, theirs = socketpair()
        self._lifeline = Lifeline() if leads_group else None
        with theirs, held_back(), contextlib.ExitStack() as on_error:
            on_error.callback(self._close_ends)
            fds = [theirs.fileno(), *([self._lifeline.fd] if self._lifeline else [])]
            self._popen = subprocess.Popen(
                # -P: the current directory is importable only if it is for this process
                [python, "-P", "-m", module, str(fds[0]), str(os.getpid()), *map(str, fds[1:])],
                stdin=subprocess.DEVNULL,
                env={**_ALLOCATOR, **os.environ, "PYTHONPATH": os.pathsep.join(own_paths() if paths is None else paths)},
                pass_fds=fds,
                process_group=0 if leads_group else None,
            )
            on_error.pop_all()
        self.pid = self._popen.pid
        self._group = ProcessGroup(self.pid) if leads_group else None
        #: Processes that it started, as far as they were killed with it.
        self._killed: set[int] = set()

    @property
    def is_stopped(self) -> bool:
        """True if it is stopped by a signal or a debugger (Linux; elsewhere nothing is known)."""
        try:
            return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] in ("T", "t")
        except OSError:
            return False

    def died(self) -> Died:
        """Reap it, and tell the cause of its death; a process that still lives is killed."""
        try:
            return self.cause(self._popen.wait(DYING_S))
        except subprocess.TimeoutExpired:
            self.kill()
            return Died("the process closed its socket")

    def cause(self, status: int) -> Died:
        """Cause of a death with this status, as :mod:`subprocess` has it."""
        if status < 0:
            return Died(f"killed by {signal.Signals(-status).name}", is_outside=-status in _FROM_OUTSIDE)
        return Died(f"exited with status {status}")

    def kill(self) -> None:
        """Kill it and all that it started. Returns at once, but see :meth:`close`."""
        started = descendants(self.pid) if self._popen.returncode is None else []
        self._killed.update(started)
        self._popen.kill()
        for pid in started:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)

    def end(self) -> None:
        """Have it tear down and exit; blocks for :data:`TEARDOWN_S` at most, then kills it."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)
        try:
            self._popen.wait(TEARDOWN_S)
        except subprocess.TimeoutExpired:
            self.kill()
        self.close()

    def reap(self) -> None:
        """Block until it has ended: nothing runs there any more. What it started is killed and waited for, for a moment."""
        self._popen.wait()
        if self._group is None:
            return
        self._group.signal(signal.SIGKILL)
        until = time.monotonic() + ORPHANS_S
        while not self._are_reaped(self._group) and time.monotonic() < until:
            time.sleep(POLL_S)

    def _are_reaped(self, group: ProcessGroup) -> bool:
        """Wait for what it started and has become ours, in the group or apart from it; True if none is left."""
        for pid in [*self._killed]:
            try:
                is_left = os.waitpid(pid, os.WNOHANG) == (0, 0)
            except ChildProcessError:  # it is gone, or not ours yet, since its parent is yet to end
                is_left = Path(f"/proc/{pid}").exists()
            if not is_left:
                self._killed.discard(pid)
        return group.reap() and not self._killed

    def close(self) -> None:
        """Reap it, after it was killed or has ended by itself."""
        self.reap()
        self._close_ends()

    def _close_ends(self) -> None:
        self.sock.close()
        if self._lifeline is not None:
            self._lifeline.close()
            self._lifeline = None


def own_paths() -> list[str]:
    """Places from which this process imports, for a child that is to import from the same ones."""
    return [entry or os.getcwd() for entry in sys.path]  # noqa: PTH109 - what "" stands for in sys.path


def socketpair() -> tuple[socket.socket, socket.socket]:
    """A pair of connected sockets with room for what is sent ahead."""
    pair = socket.socketpair()
    for end in pair:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BYTES)
    return pair


def descendants(pid: int) -> list[int]:
    """Processes started by ``pid`` and by those (Linux; elsewhere none are seen). Any of them may end meanwhile."""
    found: list[int] = []
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return found
    for thread in threads:
        with contextlib.suppress(OSError):
            for child in map(int, (thread / "children").read_text().split()):
                found += [child, *descendants(child)]
    return found
