"""Store: entries that a component keeps beyond its life, for all instances of its filter.

On a node they are in a file, which all processes share and which outlives them; in a ``Pipeline``, a trial, a dry run or a shadow
they are in memory, so that nothing that is tried out changes what is remembered. Whatever a store has may be gone at any time: it
is bounded, a damaged file is made anew, and an operator may clear it. A component must do its work without it, only slower.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import Final, NamedTuple, Protocol

#: Entries that a store keeps, unless the component wants another number.
MOST_ENTRIES: Final = 1_000_000


class Changes(NamedTuple):
    """Changes to a store: new values by key, ``None`` to delete one.

    ``must_last``: they are on disk before the call returns, so that not even a failing machine takes them back.
    """

    entries: Mapping[str, bytes | None]
    must_last: bool = False


#: Decides what to change, given the values of those of the keys that there are. Called again if another process was quicker.
Decide = Callable[[Mapping[str, bytes]], Changes]


class Store(Protocol):
    """The entries of one filter. Any thread may call it; a call blocks for as long as the disk takes."""

    @abstractmethod
    def change(self, keys: Sequence[str], decide: Decide) -> None:
        """Read entries and change some, in one step for all processes.

        Entries that are written are the last to go when there are too many. Raises :class:`pypes.Unreachable` while nothing can
        be written, on a full disk for instance; nothing has changed then.
        """

    @abstractmethod
    def close(self) -> None: ...


class Stores(Protocol):
    """The place where stores are made."""

    @abstractmethod
    def open(self, graph: str, filter: str, component: str, most: int) -> Store:
        """The store of a filter; what another ``component`` of that name has left is cleared."""


class MemoryStore(Store):
    """A store that nobody else has, and that ends with the component."""

    def __init__(self, most: int = MOST_ENTRIES) -> None:
        self._most = most
        self._lock = Lock()
        #: The least recently written first.
        self.entries: dict[str, bytes] = {}

    def change(self, keys: Sequence[str], decide: Decide) -> None:
        with self._lock:
            changes = decide({key: self.entries[key] for key in keys if key in self.entries})
            for key, value in changes.entries.items():
                self.entries.pop(key, None)
                if value is not None:
                    self.entries[key] = value
            while len(self.entries) > self._most:
                del self.entries[next(iter(self.entries))]

    def close(self) -> None:
        """Nothing is open."""


class MemoryStores(Stores):
    """Makes stores in memory."""

    def open(self, graph: str, filter: str, component: str, most: int) -> Store:
        return MemoryStore(most)
