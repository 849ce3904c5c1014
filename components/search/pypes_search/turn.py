"""Turn: what a publisher has taken since its last commit, and what it was told of documents meanwhile."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pypes.core.identity import Completed
from pypes_basic.values import unicode_of
from pypes_search.looking import Look
from pypes_search.row import NO_RUN, Key, Of, One, Row, Told, of_row, of_told

#: Stands for the version of a deletion that has none: newer than all.
_LAST: Final = "\U0010ffff"


class Turn:
    """Rows of documents with an id, and of those without, and the documents of which nothing more comes."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.nameless: list[Row] = []
        self.told: list[Told] = []
        #: The vectors of rows, packed; ``None`` for a row without one.
        self.vectors: dict[One, bytes | None] = {}
        #: The rows that the index has for these; looked up when that is first needed.
        self.look: Look | None = None
        #: By document, the parts that go with versions of this turn.
        self._gone: dict[Key, int] = {}

    def __bool__(self) -> bool:
        return bool(self.rows or self.nameless or self.told)

    def tell(self, documents: Iterable[Completed]) -> list[Of]:
        """Note documents of which nothing more comes; returns the versions that are whole."""
        told, whole = self.told, []
        for (route, id), version, is_whole, is_deleted in documents:
            if unicode_of(route) != route:  # nothing of it was taken
                continue
            text = version.text if version.receipt else ""
            told.append((id, route, text, is_whole, is_deleted))
            if is_whole and (text or is_deleted):
                whole.append((id, route, text or _LAST))
        return whole

    def removed(self, versions: Iterable[Of]) -> int:
        """The number of parts that go with versions, without those that go with older ones in this same turn."""
        total = 0
        if self.look is not None and self.look.counts:
            for of in versions:
                count, gone = self.look.counts.get(of, 0), self._gone.get(of[:2], 0)
                if count > gone:
                    self._gone[of[:2]] = count
                    total += count - gone
        return total

    @property
    def unended(self) -> set[Of]:
        """The versions with rows in this turn of which nobody has told yet that they end."""
        versions = set(map(of_row, self.rows))
        versions.difference_update(map(of_told, self.told))
        return {of for of in versions if of[2] and not of[2].endswith(NO_RUN)} if versions else versions
