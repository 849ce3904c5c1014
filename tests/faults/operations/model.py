"""The model: what was posted of each document, in order, and what may be seen of it at a publisher."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final, NamedTuple

#: The publishers, and the marks of what fails on the way to them; ``POISON`` does for both.
INDEX, LOG = "index", "log"
POISON: Final = "poison"
LOG_POISON: Final = "logpoison"
SPOILED: Final[Mapping[str, frozenset[str]]] = {
    "": frozenset(),
    POISON: frozenset({INDEX, LOG}),
    LOG_POISON: frozenset({LOG}),
}

TABLE, TEXT, RECORD, DELETION = "table", "text", "record", "deletion"

#: Parts of a document by name, each with its text.
Parts = Mapping[str, str]


class Splitter(NamedTuple):
    """How the chunker of a graph is set."""

    size: int = 3
    is_declared: bool = True

    def parts(self, words: Iterable[str]) -> dict[str, str]:
        words = list(words)
        chunks = [" ".join(words[begin : begin + self.size]) for begin in range(0, len(words), self.size)]
        return {self._name(number): chunk for number, chunk in enumerate(chunks)}

    def _name(self, number: int) -> str:
        if self.is_declared:
            return f"chunk={number}"
        return f"~{number + 1}" if number else ""


@dataclass(slots=True, eq=False)
class Version:
    """One version of a document, as it was posted. ``items`` are the rows of a table, the words of a text, or one for a record.

    ``serial`` is in each item: that of the version itself, or of the one that is posted again. ``poison`` is what some items are
    marked with, ``bad`` how many packets fail for that. ``number`` counts the versions of its document from 1.
    """

    id: str
    number: int
    serial: str
    kind: str
    items: tuple[str, ...] = ()
    poison: str = ""
    bad: int = 0
    is_bulk: bool = False
    #: It comes to a filter that holds it back where it is published as it is already, or something newer is.
    may_be_held: bool = False
    #: Given with the answer; empty while there is none, and for good if the connection broke.
    receipt: str = ""
    index: int = 0
    #: It has been seen to be finished.
    is_done: bool = False
    #: A dead letter of it was replayed, or may have been.
    is_replayed: bool = False
    #: A replay from the start may have made it whole, or has.
    may_be_mended: bool = False
    is_mended: bool = False
    #: It was left out for a newer one, by its receipt.
    is_superseded: bool = False

    @property
    def is_empty(self) -> bool:
        return not self.items

    def parts(self, splitter: Splitter) -> dict[str, str]:
        """Its parts where none failed."""
        if self.kind == TEXT:
            return splitter.parts(self.items)
        if self.kind == RECORD:
            return {"": self.items[0]}
        return {f"row={number}": row for number, row in enumerate(self.items, 1)}

    def may_be_whole(self, publisher: str) -> bool:
        return publisher not in SPOILED[self.poison] or self.may_be_mended

    def is_whole(self, publisher: str) -> bool:
        """True if it was whole there for certain."""
        if not self.receipt or self.is_superseded:
            return False
        return publisher not in SPOILED[self.poison] or self.is_mended


class State(NamedTuple):
    """What may be left of a document: all parts of one of ``whole``, or, if it may be gone, any of those of ``others``."""

    whole: list[Version]
    may_be_gone: bool
    others: list[Version]


@dataclass(slots=True)
class Document:
    """A document and its versions, in the order in which one client posted them, one after the other."""

    id: str
    versions: list[Version] = field(default_factory=list)

    def state(self, publisher: str) -> State:
        """What must be left at the end."""
        whole: list[Version] = []
        others: list[Version] = []
        for version in reversed(self.versions):
            if version.may_be_whole(publisher):
                whole.append(version)
                if version.is_whole(publisher):
                    break
            if publisher in SPOILED[version.poison]:
                others.append(version)
        else:
            return State(whole, True, others)
        # beside a version that is whole, nobody sees those that are not
        return State(whole, any(each.kind == DELETION for each in whole), others)

    def floor(self, publisher: str) -> Version | None:
        """The version that is to be seen, if not a newer one; ``None`` if nothing has to be."""
        for version in reversed(self.versions):
            if version.is_empty:
                return None
            if version.is_done and version.is_whole(publisher):
                return version
        return None


def misfit(state: State, found: Parts, splitters: Collection[Splitter]) -> str:
    """The fault of the parts that are left of a document, by the model; empty if there is none."""
    for version in state.whole:
        if any(version.parts(each) == found for each in splitters):
            return ""
    if state.may_be_gone and _is_among(found, state.others, splitters):
        return ""
    wanted = _told(state.whole[0]) if state.whole else "nothing, or parts of versions that failed"
    others = f", or one of {len(state.whole) - 1} others" if len(state.whole) > 1 else ""
    return f"expected {wanted}{others}; found {_shortly(found)}"


def misseen(document: Document, floor: Version, publisher: str, found: Parts, splitters: Collection[Splitter]) -> str:
    """The fault of parts that a reader sees together while ``floor``, or a newer version, is to be seen."""
    newer = document.versions[floor.number :]
    if any(each.is_empty for each in newer):
        return ""
    for version in (floor, *newer):
        if version.may_be_whole(publisher) and any(version.parts(each) == found for each in splitters):
            return ""
    return f"{_told(floor)} or one of {len(newer)} newer versions is to be seen; found {_shortly(found)}"


def _is_among(found: Parts, versions: Iterable[Version], splitters: Collection[Splitter]) -> bool:
    """True if each part is one of some version."""
    known = [version.parts(each) for version in versions for each in splitters]
    return all(any(parts.get(name) == text for parts in known) for name, text in found.items())


def _told(version: Version) -> str:
    content = "nothing (deleted)" if version.kind == DELETION else f"a {version.kind} of {len(version.items)} items"
    return f"version {version.number} ({version.serial}, receipt {version.receipt or 'unknown'}/{version.index}): {content}"


def _shortly(found: Parts) -> str:
    pairs = [f"{name or '(itself)'}: {text[:40]}" for name, text in sorted(found.items())]
    return f"{len(pairs)} parts ({'; '.join(pairs[:3])}{'; …' if len(pairs) > 3 else ''})"


def out_of_order(document: Document) -> Iterator[str]:
    """Receipts that do not go up with the versions of a document."""
    known = [each for each in document.versions if each.receipt]
    for older, newer in pairwise(known):
        if (older.receipt, older.index) >= (newer.receipt, newer.index):
            yield f"{document.id}: {_told(newer)} was posted after {_told(older)}"


def untrue(versions: Collection[Version], receipt: Mapping[str, Any]) -> Iterator[str]:
    """What a receipt says wrongly of versions that were posted together, and are finished."""
    failed = sum(version.bad > 0 for version in versions)
    dropped = sum(version.is_empty and version.kind != DELETION for version in versions)
    due: dict[str, Any] = {
        "state": "failed" if failed else "done",
        "accepted": len(versions),
        "failed": failed,
        "dropped": dropped,
        "published": len(versions) - failed - dropped,
    }
    # of those that may be held back, some were: they are dropped, whatever they would have been
    held = receipt["dropped"] - dropped
    if 0 < held <= sum(version.may_be_held and not version.is_empty for version in versions):
        unfailed = failed - receipt["failed"]
        if 0 <= unfailed <= min(held, sum(version.may_be_held and version.bad > 0 for version in versions)):
            failed, dropped = failed - unfailed, dropped + held
            due |= {"state": "failed" if failed else "done", "failed": failed, "dropped": dropped}
            due["published"] = len(versions) - failed - dropped
    if any(receipt[name] != value for name, value in due.items()):
        yield f"the receipt of {[version.serial for version in versions]} says {dict(receipt)}, not {due}"
    strange = {name: count for name, count in (receipt.get("removed") or {}).items() if name not in (INDEX, LOG) or count < 1}
    if strange:
        yield f"the receipt of {[version.serial for version in versions]} says that {strange} were removed"
