"""What a queue has taken on but not yet in its store: appends, acknowledgements, dead letters, counts of crashes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import islice

import orjson

from pypes.ingest.backlog import Delivery, Group
from pypes.ingest.delivery import Header, Spooled
from pypes.ingest.outcome import DeadLetter
from pypes.ingest.receipt import MAX_INDEX
from pypes.ingest.store import Turn, pack

#: A dead letter, its receipt, and for a whole delivery its header and the name of its spool file.
Letter = tuple[DeadLetter, str, Header | None, str | None]

_COMMIT_BYTES = 8 << 20  # inline bodies per commit: bounds memory and the time for which one sync holds up the next


class Append:
    """An append on its way to the store; ``redriven`` is the id of the dead letter it replaces."""

    __slots__ = ("body", "decoded", "future", "header", "redriven")

    def __init__(
        self, header: Header, body: bytes | Spooled, decoded: bytes | None, future: asyncio.Future[str], redriven: str | None
    ) -> None:
        self.header = header
        self.body = body
        self.decoded = decoded
        self.future = future
        self.redriven = redriven


class Commit:
    """A transaction on its way: what to tell to whom when it is through, or to take back when it failed."""

    __slots__ = ("appends", "complete", "spools", "touched", "turn")

    def __init__(self) -> None:
        self.turn = Turn()
        self.appends: list[Append] = []
        self.complete: list[Group] = []
        self.touched: dict[int, Group] = {}
        self.spools: list[str] = []


class Outbox:
    """Gathers while one commit is on its way; :meth:`take` makes the next of it."""

    def __init__(self) -> None:
        self.appends: list[Append] = []
        self.is_flush_due = False
        self._complete: list[Group] = []
        self._touched: dict[int, Group] = {}
        self._letters: list[Letter] = []
        self._crashes: dict[tuple[int, int], int] = {}
        self._spent_spools: list[str] = []

    def __bool__(self) -> bool:
        return bool(self.appends or self._complete or self._touched or self._letters or self._crashes or self._spent_spools)

    def finished(self, delivery: Delivery, letters: Sequence[Letter]) -> None:
        """Take an acknowledgement: its group already knows the counts."""
        group = delivery.group
        if letters:
            self._letters += letters
            self.is_flush_due = True  # a dead letter commits together with the acknowledgement that left it
        body = delivery.body
        if isinstance(body, Spooled) and not any(spool for *_, spool in letters):
            self._spent_spools.append(body.name)
        if group.remaining == 0:
            self._touched.pop(group.key, None)
            self._complete.append(group)
        else:
            self._touched[group.key] = group

    def crashed(self, delivery: Delivery) -> None:
        self._crashes[delivery.group.key, delivery.position] = delivery.crashes

    def take(self, key: int, salt: int) -> Commit | None:
        """Everything that goes into the next transaction, its appends under ``key``; None if there is nothing."""
        commit = Commit()
        turn = commit.turn
        if self.appends:
            self._take_appends(commit, key, salt)
        if self._complete:
            commit.complete, self._complete = self._complete, []
            for group in commit.complete:
                turn.done.append(group.key)
                turn.receipts.append((group.key, group.salt, group.entries, group.flat_counts()))
                if group.has_progress:
                    turn.progressed.append(group.key)
        # a group that is half acknowledged will soon be complete: its progress is written only when that takes long
        if self.is_flush_due:
            self.is_flush_due = False
            commit.touched, self._touched = self._touched, {}
            for group in commit.touched.values():
                turn.progress.append((group.key, group.counts_by_position()))
                group.has_progress = True
        turn.dead, self._letters = self._letters, []
        if not self._touched:
            commit.spools, self._spent_spools = self._spent_spools, []
        if self._crashes:
            turn.crashes = [(key, position, count) for (key, position), count in self._crashes.items()]
            self._crashes = {}
        is_empty = turn.row is None and not (turn.done or turn.progress or turn.dead or turn.crashes or commit.spools)
        return None if is_empty else commit

    def _take_appends(self, commit: Commit, key: int, salt: int) -> None:
        size = count = total = 0
        for append in islice(self.appends, MAX_INDEX + 1):
            if not isinstance(append.body, Spooled):
                size += len(append.body)
                if size > _COMMIT_BYTES and count:
                    break
            total += len(append.body)
            count += 1
        commit.appends = taken = self.appends[:count]
        del self.appends[:count]
        spools = [append.body.name for append in taken if isinstance(append.body, Spooled)]
        commit.turn.redriven = [append.redriven for append in taken if append.redriven is not None]
        data = pack([(append.header, append.body) for append in taken])
        commit.turn.row = (key, salt, count, total, orjson.dumps(spools).decode() if spools else None, data)

    def take_back(self, commit: Commit) -> list[Append]:
        """A commit failed: keep what it would have removed for the next; returns the appends that are refused, later ones too."""
        self._complete = commit.complete + self._complete
        for key, group in commit.touched.items():
            if group.remaining:  # else it has become complete meanwhile
                self._touched[key] = group
        self.is_flush_due = self.is_flush_due or bool(commit.touched)
        self._letters = commit.turn.dead + self._letters
        self._crashes = {(key, position): count for key, position, count in commit.turn.crashes} | self._crashes
        self._spent_spools = commit.spools + self._spent_spools
        refused, self.appends = commit.appends + self.appends, []
        return refused
