"""Duplicates: which document had a content first, as a store of the filter remembers it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple, Protocol

import msgspec

from pypes.component import Changes, Store
from pypes.core.identity import Identity, Version

#: Sorts behind every version that it is added to, and before the next one.
_BEHIND = "~"


class Document(NamedTuple):
    """A document or a part: its name, the text of its version, and its prepared content (empty: it is nobody's duplicate)."""

    name: str
    stamp: str
    content: bytes


class Draft:
    """The entries of a store as they are, and as they are to be; ``read`` are those that are read.

    Another one seems absent; :func:`decide` reads it then, and begins anew.
    """

    def __init__(self, read: Collection[str]) -> None:
        self._read = frozenset(read)
        self._entries: Mapping[str, bytes] = {}
        self._changed: dict[str, bytes | None] = {}
        self.missing: set[str] = set()

    def changes(self, decision: Callable[[Draft], None], entries: Mapping[str, bytes]) -> Changes:
        """The changes that a decision makes, none while it misses something. It may be called again."""
        self._entries, self._changed, self.missing = entries, {}, set()
        decision(self)
        return Changes({} if self.missing else self._changed)

    def get(self, key: str) -> bytes | None:
        if key in self._changed:
            return self._changed[key]
        if key not in self._read:
            self.missing.add(key)
        return self._entries.get(key)

    def put(self, key: str, value: bytes | None) -> None:
        self._changed[key] = value

    # -- who is an original no more -------------------------------------------------------------------------

    def is_void(self, name: str, stamp: str) -> bool:
        """True if what came under a name, in a version, is not published any more: it failed, was deleted or replaced."""
        return any(stamp < (self.get(key) or b"").decode() for key in marks_of(name, stamp))

    def void(self, mark: str, below: str) -> None:
        """Make void all versions below a text; see :func:`void_by`."""
        if (self.get(mark) or b"").decode() < below:
            self.put(mark, below.encode())


def decide(store: Store, decision: Callable[[Draft], None], keys: Iterable[str]) -> None:
    """Change a store in one step, by a decision that needs ``keys`` at least. It may be called several times. Blocks."""
    wanted = {*keys}
    while True:
        draft = Draft(wanted)
        store.change([*wanted], partial(draft.changes, decision))
        if not draft.missing:
            return
        wanted |= draft.missing


class Judge(Protocol):
    """Tells duplicates, and remembers those that are none."""

    def prepared(self, content: bytes) -> bytes:
        """The form of a content that documents are compared in; empty if it has nothing to compare."""

    def keys(self, document: Document) -> list[str]:
        """The entries that are looked at first."""

    def first(self, draft: Draft, document: Document) -> str:
        """The name of the document that has this content: its own if there was none before, empty without a content."""


class Exact:
    """By a hash of the content. The store has ``c`` and the hash → name and stamp, and ``n`` and the name → hash."""

    def prepared(self, content: bytes) -> bytes:
        return content

    def keys(self, document: Document) -> list[str]:
        name, stamp, content = document
        return [f"n{name}", *([f"c{content.hex()}", *marks_of(name, stamp)] if content else [])]

    def first(self, draft: Draft, document: Document) -> str:
        name, stamp, content = document
        mine, of_content = f"n{name}", f"c{content.hex()}"
        before = draft.get(mine)
        if before is not None and before != content:
            draft.put(f"c{before.hex()}", None)
            draft.put(mine, None)
        if not content:
            return ""
        owner, its = unpacked(draft.get(of_content))
        if owner not in ("", name):
            if not draft.is_void(owner, its):
                return owner
            draft.put(f"n{owner}", None)
        if not draft.is_void(name, stamp):
            draft.put(of_content, packed(name, max(stamp, its) if owner == name else stamp))
            draft.put(mine, content)
        return name


def packed(name: str, stamp: str) -> bytes:
    """An entry that names an original."""
    return msgspec.msgpack.encode((name.encode("utf-8", "surrogatepass"), stamp))


def unpacked(entry: bytes | None) -> tuple[str, str]:
    """Name and stamp of an original; empty ones if there is none, or something else wrote the entry."""
    try:
        name, stamp = _ORIGINAL.decode(entry) if entry is not None else (b"", "")
    except msgspec.DecodeError:
        return "", ""
    return name.decode("utf-8", "surrogatepass"), stamp


_ORIGINAL: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(tuple[bytes, str])


# -- names ----------------------------------------------------------------------------------------------------


def name_of(document: Identity, part: str = "") -> str:
    """The name of a document or part that has an identity."""
    return f"{len(document.route)}/{len(document.id)}/{document.route}/{document.id}/{part}"


def nameless(version: Version, part: str) -> str:
    """The name of a document without an id, which it has in its own delivery only."""
    return f"-/{version.text}/{part}"


def id_of(name: str) -> str:
    """The id that a document or part of that name has; empty if it has none."""
    whole, id, part = _split(name)
    return f"{id}/{part}" if whole and part else id


def _split(name: str) -> tuple[str, str, str]:
    """The name of the whole document, its id, and the part; the first two are empty for what has no identity."""
    route, _, rest = name.partition("/")
    if route == "-":
        return "", "", ""
    id, _, rest = rest.partition("/")
    start = int(route) + 1
    end = start + int(id) + 1
    return name[: len(name) - len(rest) + end], rest[start : end - 1], rest[end:]


# -- what makes versions void ---------------------------------------------------------------------------------


def marks_of(name: str, stamp: str) -> list[str]:
    """The entries with the text below which versions are void, by document and by place in a delivery."""
    whole, _, _ = _split(name)
    return [f"v{stamp.rpartition('/')[0]}", *([f"d{whole}"] if whole else [])]


def void_by(document: Identity, version: Version, *, is_whole: bool, is_deleted: bool) -> list[tuple[str, str]]:
    """The marks that follow from the end of a version, and the text below which they make versions void.

    What failed is void with all of its parts. What was deleted is void up to that version, and what was replaced below it, so
    that parts which the new version does not have any more go too.
    """
    stamp = version.text
    found = [] if is_whole else [(f"v{stamp.rpartition('/')[0]}", stamp + _BEHIND)]
    if document.id and (is_whole or is_deleted):
        found.append((f"d{name_of(document)}", stamp + _BEHIND if is_deleted else stamp))
    return found
