"""Rewriting of commits that are mostly done: their rows are written anew without finished deliveries, to free the disk.

The row of a commit goes when all that is in it is done. A graph that is paused, or whose destination is down, would so keep the
bodies of all graphs that shared commits with it. A commit of which less than half is left is written anew after a while, and
at once when all of them together keep more than ``spare_bytes`` that nobody needs. Each time halves a row at least, so that all
rewriting of a commit writes no more than its append did.
"""

from __future__ import annotations

import asyncio
from itertools import takewhile

from pypes.ingest.backlog.deliveries import HEADER_BYTES, Group
from pypes.ingest.queues.committer import Committer
from pypes.ingest.queues.write_buffer import Commit

#: A commit that is mostly done is written anew after this time, in seconds: until then it usually is done as a whole.
REWRITE_S = 60.0
#: Bytes of finished deliveries which commits that are mostly done may keep on the disk in all before that.
SPARE_BYTES = 64 << 20
#: Parts of the spare bytes that are left when that was too much: rows beside one another share pages, so some go at a time.
_RELIEVED = 0.75
#: Looks in that time, and the least time between two.
_LOOKS = 4
_LEAST_S = 0.02


class _Partial:
    """A commit that is mostly done; ``spent`` are the bytes of its row that are counted as kept for nothing."""

    __slots__ = ("group", "since", "spent")

    def __init__(self, group: Group, since: float) -> None:
        self.group = group
        self.since = since
        self.spent = 0


class Rewriting:
    """Tracks commits that are mostly done, oldest first, and hands those to be rewritten to the write buffer of ``committer``."""

    def __init__(self, committer: Committer, *, after_s: float, spare_bytes: int) -> None:
        self._committer = committer
        self._after_s = after_s
        self._spare_bytes = spare_bytes
        self._loop = asyncio.get_running_loop()
        self._partial: dict[int, _Partial] = {}
        self._spent = 0
        #: Keys of commits handed to the write buffer, until the store has them.
        self._handed: set[int] = set()
        self._timer: asyncio.TimerHandle | None = None

    def restore(self, group: Group) -> None:
        """Note a commit of an earlier life of which something is done; how much of its row that is, is not known for certain."""
        group.fold()
        self._note(group)

    def committed(self, commit: Commit) -> None:
        """Note that acknowledgements, and rows that were written anew, are in the store."""
        for group, freed, left_out in commit.rewritten:
            self._handed.discard(group.key)
            if group.remaining:
                group.size -= freed + HEADER_BYTES * (left_out - group.left_out)
                group.spent_bytes -= freed
                group.left_out = left_out
                group.fold()
                if group.is_mostly_spent:
                    self._note(group)
        if self._partial or self._handed:
            for group in commit.complete:
                self._handed.discard(group.key)
                partial = self._partial.pop(group.key, None)
                if partial is not None:
                    self._spent -= partial.spent
        for key, group in commit.touched.items():
            if group.remaining and group.is_mostly_spent and key not in self._handed:
                self._note(group)
        if self._spent > self._spare_bytes:
            self._hand_over(self._excess())

    def _note(self, group: Group) -> None:
        partial = self._partial.get(group.key)
        if partial is None:
            self._partial[group.key] = partial = _Partial(group, self._loop.time())
            self._set_timer()
        self._spent += group.spent - partial.spent
        partial.spent = group.spent

    def _excess(self) -> list[_Partial]:
        """The oldest, so many that the rest is well below the bound."""
        left = self._spent
        found = []
        for partial in self._partial.values():
            if left <= _RELIEVED * self._spare_bytes:
                break
            left -= partial.spent
            found.append(partial)
        return found

    def _hand_over(self, due: list[_Partial]) -> None:
        for partial in due:
            key = partial.group.key
            del self._partial[key]
            self._handed.add(key)
            self._spent -= partial.spent
            self._committer.buffer.rewrites.append(partial.group)
        self._committer.kick_soon()

    def _set_timer(self) -> None:
        if self._timer is None and self._partial:
            self._timer = self._loop.call_later(max(_LEAST_S, self._after_s / _LOOKS), self._look)

    def _look(self) -> None:
        self._timer = None
        before = self._loop.time() - self._after_s
        due = list(takewhile(lambda partial: partial.since <= before, self._partial.values()))
        if due:
            self._hand_over(due)
        self._set_timer()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._partial.clear()
        self._handed.clear()
        self._committer.buffer.rewrites.clear()
