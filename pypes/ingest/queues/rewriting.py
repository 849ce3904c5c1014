"""Rewriting of commits that are mostly done: their rows are written anew without finished deliveries, to free the disk.

The row of a commit goes when all that is in it is done. A graph that is paused, or whose destination is down, would so keep the
bodies of all graphs that shared commits with it.
"""

from __future__ import annotations

import asyncio

from pypes.ingest.backlog.deliveries import Group
from pypes.ingest.queues.committer import Committer
from pypes.ingest.queues.write_buffer import Commit

#: A commit that is done in part is looked at after this time, in seconds: until then it usually is done as a whole.
REWRITE_S = 60.0
#: Looks in that time, and the least time between two.
_LOOKS = 4
_LEAST_S = 0.02


class _Partial:
    __slots__ = ("group", "looked_at", "since")

    def __init__(self, group: Group, since: float) -> None:
        self.group = group
        self.since = since
        #: The number of deliveries that were left when its row was looked at last.
        self.looked_at = group.entries


class Rewriting:
    """Tracks partly done commits, and puts those due for a check into the write buffer of ``committer``.

    Whether a row is worth it is seen where it is read, in the transaction that writes it.
    """

    def __init__(self, committer: Committer, *, after_s: float) -> None:
        self._committer = committer
        self._after_s = after_s
        self._loop = asyncio.get_running_loop()
        self._partial: dict[int, _Partial] = {}
        self._timer: asyncio.TimerHandle | None = None

    def note(self, group: Group) -> None:
        """Note that the finished part of a commit is in the store."""
        if group.key not in self._partial:
            self._partial[group.key] = _Partial(group, self._loop.time())
            self._set_timer()

    def committed(self, commit: Commit) -> None:
        """Note that the effects of acknowledgements are in the store."""
        if self._partial:
            for group in commit.complete:
                self._partial.pop(group.key, None)
        for group in commit.touched.values():
            if group.remaining:
                self.note(group)

    def look_again(self) -> None:
        """Handle a failed store: commits handed over may not have been checked."""
        for partial in self._partial.values():
            partial.looked_at = partial.group.entries

    def _set_timer(self) -> None:
        if self._timer is None and self._partial:
            self._timer = self._loop.call_later(max(_LEAST_S, self._after_s / _LOOKS), self._look)

    def _look(self) -> None:
        self._timer = None
        before = self._loop.time() - self._after_s
        due = [p for p in self._partial.values() if p.since <= before and p.group.remaining < p.looked_at]
        for partial in due:
            partial.looked_at = partial.group.remaining
        if due:
            self._committer.buffer.rewrites += [partial.group for partial in due]
            self._committer.kick_soon()
        self._set_timer()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._partial.clear()
        self._committer.buffer.rewrites.clear()
