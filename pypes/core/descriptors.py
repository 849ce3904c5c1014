"""Limit of open files and sockets of a process."""

from __future__ import annotations

import contextlib
import resource

#: More are never needed, and programs that walk over all possible descriptors take their time with a billion of them.
_MOST = 1 << 20


def soft_limit() -> int:
    """Descriptors that this process may have open at once."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST if soft == resource.RLIM_INFINITY else min(soft, _MOST)


def raise_soft_limit() -> int:
    """Raise the soft limit of open files to the hard one, for this process and its children; returns what holds then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST if hard == resource.RLIM_INFINITY else min(hard, _MOST)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        # a system may have a bound of its own below the hard limit: then what there is has to do
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return soft_limit()
