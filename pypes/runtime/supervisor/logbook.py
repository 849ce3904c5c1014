"""The log book: the last log lines of all processes of a node, read from their log rings without asking them.

Lines get numbers as they are read, so that whoever has seen some can go on behind them. What is kept is bounded: beyond that the
oldest lines of the process that has most go. When a process has ended, its last lines are taken over, and its file is removed; so
are those that a node left behind that was killed.
"""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator
from datetime import datetime
from heapq import merge
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from pypes import logs
from pypes.access.client import is_among
from pypes.core.clock import wall
from pypes.observe.log_line import Line
from pypes.observe.log_ring import SUFFIX, RingReader
from pypes.runtime.contracts.control import LogPage, LogQuery
from pypes.runtime.graphs.pages import PAGE_BYTES

#: Seconds between two looks for lines of this process that were folded, and looks between two readings of all rings. They are
#: read at the end of a process, and when somebody asks, too.
LOOK_S, LOOKS_PER_READ = 1.0, 10

#: Memory of an entry beside its line, about.
_ENTRY_BYTES = 300

#: The levels by their names, the least first.
LEVELS = {name.lower(): number for name, number in logging.getLevelNamesMapping().items()}


class _Keys(msgspec.Struct):
    """The part of a line that is asked for. Components may have given anything under these names."""

    time: str
    level: str
    graph: Any = None
    graphs: Any = None
    filter: Any = None
    filters: Any = None
    receipt: Any = None


class Entry(NamedTuple):
    """A line with its number, its time in seconds since the epoch, and the names that it is found by."""

    number: int
    time: float
    level: int
    graphs: tuple[str, ...]
    filters: tuple[str, ...]
    receipts: tuple[str, ...]
    line: bytes

    def matches(self, query: LogQuery) -> bool:
        return (
            self.level >= LEVELS.get(query.level, 0)
            and self.time >= query.since
            and (query.graph is None or query.graph in self.graphs)
            and (query.filter is None or query.filter in self.filters)
            and (query.receipt is None or query.receipt in self.receipts)
            and (not query.among or (bool(self.graphs) and all(is_among(graph, query.among) for graph in self.graphs)))
        )


class LogBook:
    """Reads the rings in the runtime directory; keeps about ``max_bytes``. Used in the supervisor's event loop."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._readers: dict[str, RingReader] = {}
        #: By the name of the file: lines, and their bytes.
        self._entries: dict[str, deque[Entry]] = {}
        self._bytes: dict[str, int] = {}
        #: Tells the numbers of this start of the node from those of others.
        self._start = format(int(wall() * 1000), "x")
        #: The number of the newest line; 0 if there was none.
        self.newest = 0
        self.collect()

    async def run(self) -> None:
        """Read the rings now and then, until cancelled."""
        looks = 0
        while True:
            await asyncio.sleep(LOOK_S)
            logs.flush_due()
            looks += 1
            if looks % LOOKS_PER_READ == 0:
                self.collect()

    def collect(self) -> None:
        """Read what is new in all rings."""
        for path in self._folder.glob(f"[!.]*{SUFFIX}"):
            if path.name not in self._readers:
                try:
                    self._readers[path.name] = RingReader(path)
                except (OSError, ValueError):  # it has just been removed, or is no ring of ours
                    continue
        found: list[tuple[float, str, _Keys, bytes]] = []
        for name, reader in list(self._readers.items()):
            # asked before: what is written after the last look comes from nobody
            is_over = reader.is_orphaned()
            for line in reader.read():
                try:
                    keys = msgspec.json.decode(line, type=_Keys)
                    found.append((datetime.fromisoformat(keys.time).timestamp(), name, keys, line))
                except ValueError:
                    continue
            if is_over:
                reader.close()
                del self._readers[name]
                (self._folder / name).unlink(missing_ok=True)
        for time, name, keys, line in sorted(found, key=lambda each: each[0]):
            self._add(time, name, keys, line)
        self._shrink()

    def _add(self, time: float, name: str, keys: _Keys, line: bytes) -> None:
        self.newest += 1
        entry = Entry(
            self.newest,
            time,
            LEVELS.get(keys.level, 0),
            (*names_in(keys.graph), *names_in(keys.graphs)),
            (*names_in(keys.filter), *names_in(keys.filters)),
            names_in(keys.receipt),
            line,
        )
        self._entries.setdefault(name, deque()).append(entry)
        self._bytes[name] = self._bytes.get(name, 0) + len(line) + _ENTRY_BYTES

    def _shrink(self) -> None:
        total = sum(self._bytes.values())
        while total > self._max_bytes:
            name = max(self._bytes, key=self._bytes.__getitem__)
            entries = self._entries[name]
            size = len(entries.popleft().line) + _ENTRY_BYTES
            total -= size
            self._bytes[name] -= size
            if not entries:
                del self._entries[name], self._bytes[name]

    # -- questions ---------------------------------------------------------------------------------------

    def since(self, number: int, level: str = "warning") -> tuple[list[Line], int]:
        """The lines of at least ``level`` behind a number, as far as they are kept; and the number to go on from."""
        self.collect()
        least = LEVELS[level]
        return [msgspec.json.decode(entry.line) for entry in self._behind(number) if entry.level >= least], self.newest

    def page(self, query: LogQuery, limit: int) -> LogPage:
        """Up to ``limit`` lines that match, the newest last: the first ones ``after`` a position, or the last ones ``before``."""
        self.collect()
        after, before = self._number_of(query.after), self._number_of(query.before)
        if query.after is not None:
            found, is_cut = _first(self._behind(after or 0), query, limit)
            later = found[-1].number if is_cut else self.newest
            return self._page(found, found[0].number if found and after else None, later)
        newest = self.newest if before is None else before - 1
        found, is_cut = _first(self._until(newest), query, limit)
        found.reverse()
        return self._page(found, found[0].number if is_cut else None, newest)

    def _page(self, found: list[Entry], earlier: int | None, later: int) -> LogPage:
        return LogPage(
            [msgspec.json.decode(entry.line) for entry in found],
            None if earlier is None else f"{self._start}-{earlier}",
            f"{self._start}-{later}",
        )

    def _number_of(self, position: str | None) -> int | None:
        """The number of a position; ``None`` of one that another start of the node has given."""
        start, _, number = (position or "").rpartition("-")
        return int(number) if start == self._start and number.isdecimal() else None

    def _behind(self, number: int) -> Iterator[Entry]:
        """Entries with greater numbers, ascending."""
        return merge(*(_tail(entries, number) for entries in self._entries.values()))

    def _until(self, number: int) -> Iterator[Entry]:
        """Entries up to a number, descending."""
        parts = (reversed(entries) for entries in self._entries.values())
        return (entry for entry in merge(*parts, reverse=True) if entry.number <= number)


def _tail(entries: deque[Entry], number: int) -> list[Entry]:
    kept = list(entries)
    return kept[bisect_left(kept, number + 1, key=lambda entry: entry.number) :]


def _first(entries: Iterable[Entry], query: LogQuery, limit: int) -> tuple[list[Entry], bool]:
    """The first ones that match, as many as a page takes; and whether there are more."""
    found: list[Entry] = []
    size = 0
    for entry in entries:
        if entry.matches(query):
            if len(found) == limit or size > PAGE_BYTES:
                return found, True
            found.append(entry)
            size += len(entry.line)
    return found, False


def names_in(value: Any) -> tuple[str, ...]:
    """The names in a value of a line that is one, or a list of them."""
    if isinstance(value, str):
        return (value,)
    return tuple(text for text in value if isinstance(text, str)) if isinstance(value, list) else ()
