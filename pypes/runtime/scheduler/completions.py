"""Completions of one epoch: its documents of which components are told, until they are complete everywhere."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from pypes.core.identity import Identity, Version

#: Stands for the bits of all filters: what failed before the graph is missing everywhere.
EVERYWHERE: Final = -1


class Known(NamedTuple):
    """A document of which components are told, as a feed knows it. One without an id has an empty one in its identity.

    ``is_partial``: this run has only some of it, as a replay that starts at a filter, so that it is whole nowhere.
    """

    document: Identity
    version: Version
    is_deleted: bool = False
    is_partial: bool = False


class Completions:
    """The documents of an epoch that components are told of, and what is to be told.

    ``known`` is filled by the feed, with ascending ordinals, before it yields anything of a document; what is complete
    everywhere is taken out of it. ``spoiled`` has for those of which something failed the bits of the filters at which they are
    not whole for that reason. ``kept`` has for those that are to stay as they are at some filters the bits of these, which are
    not told of them. ``removed`` has by publisher and delivery (its place in the feed) how many older parts have gone.
    ``open`` documents together have one hold on the epoch.
    """

    __slots__ = ("kept", "known", "noted", "open", "removed", "spoiled")

    def __init__(self, known: dict[int, Known]) -> None:
        self.known = known
        self.spoiled: dict[int, int] = {}
        self.kept: dict[int, int] = {}
        self.removed: dict[str, dict[int, int]] = {}
        self.open = 0
        #: The greatest ordinal that was taken up.
        self.noted = -1

    def fresh(self, below: int) -> list[int]:
        """The ordinals below another one that were not asked for before, ascending."""
        found = []
        for ordinal in reversed(self.known):
            if ordinal <= self.noted:
                break
            if ordinal < below:
                found.append(ordinal)
        if found:
            self.noted = found[0]
            found.reverse()
        return found

    def spoil(self, documents: Iterable[int], where: int) -> None:
        """Note that something of documents failed, so that they are not whole at some filters (their bits)."""
        for document in documents:
            if document in self.known:
                self.spoiled[document] = self.spoiled.get(document, 0) | where

    def keep(self, documents: Iterable[int], where: int) -> None:
        """Note that documents are to stay as they are at some filters (their bits)."""
        for document in documents:
            if document in self.known:
                self.kept[document] = self.kept.get(document, 0) | where

    def count_removed(self, publisher: str, delivery: int, count: int) -> None:
        """Count parts of older versions that a publisher has removed."""
        counts = self.removed.setdefault(publisher, {})
        counts[delivery] = counts.get(delivery, 0) + count

    def removed_by(self, delivery: int) -> dict[str, int]:
        """By publisher, how many parts it has removed for the documents of a delivery."""
        return {name: counts[delivery] for name, counts in self.removed.items() if delivery in counts}
