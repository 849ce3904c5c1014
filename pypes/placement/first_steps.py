"""First steps of a spawned process: its signals, its lifeline, the bounds of its memory."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from pathlib import Path

from pypes.core.lifeline import die_with, die_with_parent, watch
from pypes.core.signals import leave_to_owner


def begin() -> socket.socket:
    """Tie this process to the one that started it (:class:`pypes.placement.spawned.Spawned`); returns the socket to that."""
    fd, parent, *lifeline = map(int, sys.argv[1:])
    # its owner must finish what it has first
    leave_to_owner()
    if lifeline:
        die_with(lifeline[0], parent)
    else:
        die_with_parent(parent)
    sock = socket.socket(fileno=fd)
    watch([fd])
    return sock


def confine(max_bytes: int | None) -> None:
    """Bound the address space of this process, and have it go first where the machine runs out of memory."""
    import resource

    # what bounds the owner does not bound this process
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_DATA, (resource.getrlimit(resource.RLIMIT_DATA)[1],) * 2)
    # a gigabyte for every hostile document would fill the disk
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    # should the whole machine run out of memory, this process goes before its owner
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")
    if max_bytes is None:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = max_bytes if hard == resource.RLIM_INFINITY else min(max_bytes, hard)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def leave(status: int) -> None:
    """Exit at once; threads that were left behind must not keep the process."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
