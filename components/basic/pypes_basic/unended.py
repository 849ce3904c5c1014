"""Unended: documents of which rows were written, and of which nobody has told that they end.

A component may give a packet another id than that of the document it was made of, and a publisher is told of the latter only.
Whatever bears its version ends with it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

#: A document: its id and its route, or what stands for them.
Key = tuple[str, str]
#: A version of a document.
Of = tuple[str, str, str]
#: A version of which nothing more comes, whether it is whole, and whether it deletes the document.
End = tuple[str, str, str, bool, bool]

#: So many are known at once. Of others the newest version is found, and older ones of the same part stay behind it.
MOST_DOCUMENTS: Final = 10_000


class Unended:
    """Documents by their version, which begin and end with the turns of a publisher."""

    def __init__(self) -> None:
        self._documents: dict[str, set[Key]] = {}
        self._count = 0

    def __contains__(self, of: object) -> bool:
        """True if rows of a version were written, and more may come."""
        if not isinstance(of, tuple):
            return False
        id, route, version = of
        return (id, route) in self._documents.get(version, ())

    def ending(self, told: Iterable[End], begun: Collection[Of]) -> list[End]:
        """Those that end with the documents that are told of in a turn, which has begun others."""
        if not begun and not self._documents:  # PERF: as mostly
            return []
        by_version: dict[str, set[Key]] = {}
        for id, route, version in begun:
            by_version.setdefault(version, set()).add((id, route))
        found: list[End] = []
        for id, route, version, is_whole, _ in told:
            others = self._documents.get(version, set()) | by_version.get(version, set())
            found += [(*key, version, is_whole, False) for key in sorted(others) if key != (id, route)]
        return found

    def committed(self, told: Iterable[End], begun: Iterable[Of]) -> None:
        """Note what a turn has begun and ended."""
        ended = {version for _, _, version, *_ in told}
        if self._documents:
            for version in ended:
                self._count -= len(self._documents.pop(version, ()))
        for id, route, version in begun:
            if version not in ended:
                known = self._documents.setdefault(version, set())
                self._count += (id, route) not in known
                known.add((id, route))
        if self._count > MOST_DOCUMENTS:
            self._documents.clear()
            self._count = 0
