"""A disk under power cuts: what it certainly holds, what it may hold besides, and directories made from that.

A file holds its data as of its last good sync, plus any of the later writes, whole or by sectors; a folder holds its
entries as of its own last sync, plus any of the later changes. A file's sync does not cover its name. Harsher than most file
systems, which keep changes of names in order: what survives here survives there.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from tests.faults.power.recording import ROOT, Began, Change, Event, Finished, Said, SyncBegan, SyncEnded

SECTOR_BYTES = 512

#: Tells whether the disk still wrote a change, or a sector of a write (its number within the write).
Luck = Callable[[Change, int], bool]


class Disk:
    """Follows a recording event by event; :meth:`write_to` makes the directory that a power cut here may leave."""

    def __init__(self) -> None:
        self._data: dict[int, bytearray] = {}
        self._entries: dict[int, dict[str, int]] = {ROOT: {}}
        self._pending: dict[int, list[Change]] = {}  # inode → changes since its last sync, in order
        self._syncing: dict[int, tuple[int, list[Change]]] = {}

    def apply(self, event: Event) -> bool:
        """Take an event; True if a power cut right after it can leave something that one right before it could not."""
        if isinstance(event, Began):
            for inode in _inodes(event.change):
                self._pending.setdefault(inode, []).append(event.change)
            for _, _, inode in event.change.entries:
                if inode and event.change.makes_folder:
                    self._entries[inode] = {}
                elif inode:
                    self._data.setdefault(inode, bytearray())
            return True
        if isinstance(event, Finished):
            if event.change.is_void:
                for inode in _inodes(event.change):
                    self._pending[inode].remove(event.change)
            return False
        if isinstance(event, SyncBegan):
            covered = [change for change in self._pending.get(event.file, ()) if change.is_finished]
            self._syncing[event.token] = (event.file, covered)
            return False
        if isinstance(event, SyncEnded):
            inode, covered = self._syncing.pop(event.token)
            if event.is_good:
                self._settle(inode, covered)
            return event.is_good
        return isinstance(event, Said)

    def pending(self) -> list[Change]:
        """The changes that a power cut now may undo."""
        seen: dict[int, Change] = {}
        for changes in self._pending.values():
            seen.update((id(change), change) for change in changes)
        return list(seen.values())

    def write_to(self, target: Path, has_luck: Luck) -> None:
        """Make ``target``, which must not exist, what the disk holds."""
        self._write_folder(ROOT, target, has_luck)

    def _settle(self, inode: int, covered: list[Change]) -> None:
        gone = {id(change) for change in covered}
        for change in covered:
            if change.entries:
                _rename(self._entries[inode], inode, change)
            else:
                _write(self._data.setdefault(inode, bytearray()), change, _always)
        self._pending[inode] = [change for change in self._pending[inode] if id(change) not in gone]

    def _write_folder(self, inode: int, target: Path, has_luck: Luck) -> None:
        entries = dict(self._entries[inode])
        for change in self._pending.get(inode, ()):
            if has_luck(change, 0):
                _rename(entries, inode, change)
        target.mkdir()
        for name, child in entries.items():
            if child in self._entries:
                self._write_folder(child, target / name, has_luck)
                continue
            pending = self._pending.get(child)
            data: bytes | bytearray = self._data.get(child, b"")
            if pending:
                data = bytearray(data)
                for change in pending:
                    _write(data, change, has_luck)
            (target / name).write_bytes(data)


def _inodes(change: Change) -> set[int]:
    return {folder for folder, _, _ in change.entries} or {change.file}


def _rename(entries: dict[str, int], folder: int, change: Change) -> None:
    for where, name, inode in change.entries:
        if where != folder:
            continue
        if inode:
            entries[name] = inode
        else:
            entries.pop(name, None)


def _write(data: bytearray, change: Change, has_luck: Luck) -> None:
    if change.size >= 0:
        if has_luck(change, 0):
            del data[change.size :]
            data.extend(bytes(change.size - len(data)))
        return
    start, end = change.offset, change.offset + len(change.data)
    for first in range(start - start % SECTOR_BYTES, end, SECTOR_BYTES):
        low, high = max(first, start), min(first + SECTOR_BYTES, end)
        if has_luck(change, (first - start) // SECTOR_BYTES + 1):
            if len(data) < high:
                data.extend(bytes(high - len(data)))
            data[low:high] = change.data[low - start : high - start]


def _always(change: Change, sector: int) -> bool:
    return True


def luck(kind: str, seed: int, pending: list[Change]) -> Luck:
    """Which of the ``pending`` changes the disk still wrote.

    ``none``; ``all`` (what kill -9 leaves); ``some`` of them, each whole; ``torn``: some, of some only some sectors;
    ``until``: in order up to one of them, of which only some sectors.
    """
    rng = random.Random(seed)
    if kind == "none":
        return lambda change, sector: False
    if kind == "all":
        return _always
    if kind == "until":
        last = rng.randrange(len(pending) + 1)
        whole = {id(change) for change in pending[:last]}
        torn = {id(change) for change in pending[last : last + 1]}
    else:
        share = rng.choice((0.1, 0.5, 0.5, 0.9))
        chosen = [change for change in pending if rng.random() < share]
        whole = {id(change) for change in chosen if kind == "some" or rng.random() < 0.5}
        torn = {id(change) for change in chosen} - whole
    share = rng.choice((0.1, 0.5, 0.9))
    decided: dict[tuple[int, int], bool] = {}

    def has_luck(change: Change, sector: int) -> bool:
        if id(change) in whole:
            return True
        if id(change) not in torn:
            return False
        key = (id(change), sector if change.data else 0)
        if key not in decided:
            decided[key] = rng.random() < share
        return decided[key]

    return has_luck


KINDS = ("none", "all", "some", "torn", "until")
