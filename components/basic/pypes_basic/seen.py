"""Seen: what the cursor of Files knows of each file, and which documents are to be deleted."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

#: So many documents may be deleted in any case; more of them only up to half of all.
FEW = 10

#: Size and time of modification that no file has.
NEVER = (-1, 0)


class Seen:
    """The files that were fetched, by name: size and time of modification, and the id that the document was given.

    An entry is ``[size, time]`` where the document has no id, ``[size, time, id]`` where it has one; ``""`` stands for an id that
    is the name. The cursors of earlier releases have the first form only: their documents were published without an id.
    """

    def __init__(self, entries: Mapping[str, list[Any]]) -> None:
        self._entries = dict(entries)
        #: Documents that could be deleted.
        self._known = sum(len(entry) > 2 for entry in entries.values())

    @property
    def entries(self) -> dict[str, list[Any]]:
        """A copy of the entries that the cursor holds."""
        return dict(self._entries)

    @property
    def count(self) -> int:
        """Files in the cursor by now."""
        return len(self._entries)

    def outdate(self, *names: str) -> None:
        """Have files fetched again whatever they look like: those of ``names``, all without any."""
        for name in names or self._entries:
            self._entries[name] = [*NEVER, *self._entries[name][2:]]

    def is_as(self, name: str, stamp: list[int]) -> bool:
        """True if a file is as it was when it was fetched."""
        return self._entries.get(name, [])[:2] == stamp

    def id_of(self, name: str) -> str:
        """The id of a file's document; empty if it has none."""
        entry = self._entries.get(name, [])
        return "" if len(entry) < 3 else str(entry[2] or name)

    def put(self, name: str, stamp: list[int], id: str) -> None:
        """A file is fetched, and its document has this id (empty: none)."""
        self._entries[name] = [*stamp, *([] if not id else [""] if id == name else [id])]

    def forget(self, names: Iterable[str]) -> bool:
        """Files are gone, and nothing is to be done about them; False if there are none."""
        found = [name for name in names if name in self._entries]
        for name in found:
            del self._entries[name]
        return bool(found)

    def are_too_many(self, doomed: Collection[str]) -> bool:
        """True if so many documents would be deleted that the folder may just not be mounted."""
        return are_too_many(len(doomed), self._known)


def are_too_many(doomed: int, known: int) -> bool:
    """True if so many documents of those known would be deleted that their origin may just not be there."""
    return doomed > FEW and doomed * 2 > known
