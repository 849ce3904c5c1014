"""Writing of whole documents with requests that are durable each by itself, in an order that a crash may cut anywhere.

The destination has an entry for each document: the newest version that is whole, or an empty one as long as none was. The entry
is there before the first part is. Then parts are put beside those of other versions, then the entry moves to the version, then
what is older goes. So whoever comes after a crash finds the entry, and knows that there may be something to remove.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from pypes import Unreachable
from pypes_basic.records import Record, Told
from pypes_basic.timing import RETRY_S

#: So often what another instance has changed meanwhile is done again.
MOST_TRIES: Final = 8

#: Beginning of the names of indexes and collections that hold entries.
VERSIONS: Final = "versions-of-"


def versions_of(template: str) -> str:
    """The name of the entries of all indexes (or collections) of a template: ``any`` in it stands for each ``{name}``."""
    first, *others = template.split("{")
    return VERSIONS + first + "".join(f"any{piece.split('}', 1)[-1]}" for piece in others)


def check_name(template: str, parameter: str) -> None:
    """Raise ``ValueError`` if names of a template may be those of entries, of its own or of others."""
    first, *others = template.split("{")
    if first.startswith(VERSIONS) or (others and VERSIONS.startswith(first)):
        raise ValueError(f"{parameter} {template!r} may be {VERSIONS}…, where versions are kept; let it begin otherwise")


class Entry(NamedTuple):
    """The entry of a document; ``token`` tells the destination whether somebody has changed it since."""

    version: str
    token: Any = None
    is_new: bool = False


class Move(NamedTuple):
    """An entry that is to move to a version of which, perhaps, nothing is left."""

    told: Told
    entry: Entry
    is_gone: bool


class VersionedWriter(ABC):
    """The order of requests; a subclass makes them. All of them block, and may be repeated."""

    @abstractmethod
    def read(self, documents: Collection[str]) -> dict[str, Entry]:
        """The entries of documents, as they are now; none for those that have none."""

    @abstractmethod
    def create(self, names: Mapping[str, tuple[str, str]]) -> dict[str, Entry]:
        """Make empty entries for documents, given with route and id; returns those that were not there already."""

    @abstractmethod
    def move(self, moves: Sequence[Move]) -> dict[str, Entry]:
        """Move entries that nobody has changed; returns those that moved."""

    @abstractmethod
    def put(self, records: Sequence[Record]) -> None:
        """Put parts, each in the place of one of the same delivery, unless that is of a later run."""

    @abstractmethod
    def remove_older(self, versions: Mapping[str, str]) -> None:
        """Remove parts of documents that are older than a version."""

    @abstractmethod
    def remove_others(self, records: Sequence[Record]) -> None:
        """Remove older parts in the places of these; all others there, if a record has no version."""

    @abstractmethod
    def remove_all(self, documents: Collection[str]) -> None:
        """Remove all parts of documents."""

    @abstractmethod
    def drop(self, documents: Collection[str]) -> None:
        """Remove the entries of documents."""

    def write(self, records: Sequence[Record], told: Sequence[Told]) -> None:
        """Put records and end versions; durable when it returns. Blocks."""
        if gone := {each.document for each in told if not each.version and each.is_whole and each.is_deleted}:
            self.remove_all(gone)
            self.drop(gone)
        versioned = [each for each in told if each.version]
        # also of documents whose end nobody tells: an entry that is made here then says that nothing of the document is there
        names = {record.document: (record.route, record.id) for record in records if record.id is not None}
        names |= {each.document: (each.route, each.id) for each in versioned}
        entries = self._entries(names)
        new = {name for name, entry in entries.items() if entry.is_new}
        taken = [record for record in records if not record.version_text or record.version_text >= _version(entries, record)]
        self.put(taken)
        if loose := [record for record in taken if record.id is not None and not record.is_told]:
            # each of these parts is complete by itself
            self._loosen(entries, loose)
        if versioned:
            alone = new & self._switch(entries, versioned, {(record.document, record.version_text) for record in records})
            # PERF: of a document that nobody knew, and of which one version came, nothing older is there
            alone.difference_update(record.document for record in records if record.version_text != _version(entries, record))
            self.remove_older(_versions(entries, {each.document for each in versioned} - alone))

    def _loosen(self, entries: dict[str, Entry], loose: Sequence[Record]) -> None:
        """Have parts take the place of older ones, also of those of versions that were whole."""
        self.remove_others(loose)
        documents = {record.document: record for record in loose}
        # another instance may have moved them before the parts were put
        entries |= self.read(documents.keys())
        behind = {
            record.document for record in loose if not record.version_text or _version(entries, record) < record.version_text
        }
        entries |= self.move(
            [
                Move(Told(name, record.route, record.id or "", "", is_whole=True, is_deleted=False), entries[name], is_gone=False)
                for name, record in documents.items()
                if name in behind and entries[name].version
            ]
        )
        self.remove_older(_versions(entries, documents.keys() - behind))

    def _entries(self, names: Mapping[str, tuple[str, str]]) -> dict[str, Entry]:
        """The entries of documents, with those that were missing."""
        found: dict[str, Entry] = {}
        for _ in range(MOST_TRIES):
            found |= self.read(names.keys() - found.keys())
            if missing := {name: of for name, of in names.items() if name not in found}:
                found |= self.create(missing)
            if len(found) == len(names):
                return found
        raise Unreachable(RETRY_S, "other instances change the same documents all the time")

    def _switch(self, entries: dict[str, Entry], told: Iterable[Told], written: Collection[tuple[str, str]]) -> set[str]:
        """Move entries to the newest versions that are whole; an entry never moves back.

        Returns the documents that nobody else has moved meanwhile. The entries of others are read again: what was put may be
        older than what another instance has put and ended before.
        """
        told = list(told)
        newest: dict[str, Told] = {}
        for each in told:
            if each.is_whole and each.version >= newest.get(each.document, each).version:
                newest[each.document] = each
        own: set[str] | None = None
        for _ in range(MOST_TRIES):
            moves = [
                # parts may have come in turns before: that is looked at when it is to be forgotten
                Move(each, entries[each.document], (each.document, each.version) not in written)
                for each in newest.values()
                if each.version > entries[each.document].version
            ]
            moved = self.move(moves) if moves else {}
            entries |= moved
            if own is None:
                own = set(moved)
                entries |= self.read({each.document for each in told} - own)
            else:
                entries |= self.read([each.told.document for each in moves if each.told.document not in moved])
            if all(each.version <= entries[each.document].version for each in newest.values()):
                return own
        raise Unreachable(RETRY_S, "other instances change the same documents all the time")


def _version(entries: Mapping[str, Entry], record: Record) -> str:
    return entries[record.document].version if record.document in entries else ""


def _versions(entries: Mapping[str, Entry], documents: Iterable[str]) -> dict[str, str]:
    """The versions of documents of which one was whole."""
    return {name: entries[name].version for name in sorted(documents) if entries[name].version}
