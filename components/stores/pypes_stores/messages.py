"""Messages: a turn of whole documents as JSON that travels over HTTP.

A message tells of one version of a document: parts of it, and whether these complete it::

    {"key": "…", "document": "…", "route": "docs", "id": "7", "version": "…", "whole": true, "deleted": false,
     "parts": [{"part": "row=1", "fields": {…}, "meta": {…}, "acl": ["staff"]}]}

``document`` are 32 digits that stand for route and id; they are there without an id as well. ``version`` is a text that sorts as
versions do. A document mostly comes in one message, which is ``whole``. One that does not, since it is large or failed in part,
comes in several: then receivers keep the parts of a version, each in the place of that of the same name, until a message says
that this version is ``whole``, and drop what is older than a version that was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import orjson

from pypes_basic.records import Record, Told, digest

#: A version of a document.
_Of = tuple[str, str]
#: About what a message has beside its parts, in bytes.
_HEAD_BYTES: Final = 512


class Message(NamedTuple):
    """A message with the JSON of its parts: what it says is ``data``."""

    document: str
    route: str
    id: str | None
    version: str
    is_whole: bool
    is_deleted: bool
    parts: tuple[bytes, ...]
    key: str

    @property
    def size_bytes(self) -> int:
        return _HEAD_BYTES + sum(map(len, self.parts))

    @property
    def data(self) -> bytes:
        """The message as JSON."""
        known = {
            **{"key": self.key, "document": self.document, "route": self.route, "id": self.id, "version": self.version},
            **{"whole": self.is_whole, "deleted": self.is_deleted},
            "parts": [orjson.Fragment(part) for part in self.parts],
        }
        return orjson.dumps(known)


class Messages:
    """Makes messages of turns, one turn after the other."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        #: Versions of which messages were made that do not complete them.
        self._begun: set[_Of] = set()

    def of(self, records: Sequence[Record], told: Sequence[Told]) -> Iterator[Message]:
        """The messages of a turn: versions of a document in their order, documents as they came first."""
        parts: dict[_Of, list[Record]] = {}
        for record in records:
            parts.setdefault((record.document, record.version_text), []).append(record)
        ends = {(each.document, each.version): each for each in told}
        # a document without an id is told of by nobody, nor are parts that came without it
        for document, version in sorted({**parts, **ends}, key=lambda of: of[1]):
            of = document, version
            yield from self._messages(of, parts.get(of, []), ends.get(of))

    def ended(self, told: Sequence[Told]) -> None:
        """These versions are through."""
        self._begun -= {(each.document, each.version) for each in told}

    def _messages(self, of: _Of, records: Sequence[Record], end: Told | None) -> Iterator[Message]:
        is_whole = end is not None and end.is_whole
        is_deleted = end is not None and end.is_deleted and not records
        if not records and not is_whole:
            return
        route, id = (records[0].route, records[0].id) if records else (end.route if end else "", end.id if end else None)
        groups = list(self._grouped([_part(record) for record in records])) or [()]
        # the same in every run of the delivery, unless it takes several messages: these belong together
        is_alone = is_whole and len(groups) == 1 and of not in self._begun
        delivery = of[1].rpartition("/")[0] if is_alone else of[1]
        for place, group in enumerate(groups):
            ends = is_whole and place == len(groups) - 1
            content = [each.decode() for each in group]
            key = digest(of[0], delivery, "whole" if ends else "part", "deleted" if is_deleted else "", *content)
            if not ends:
                self._begun.add(of)
            yield Message(of[0], route, id, of[1], ends, is_deleted, group, key)

    def _grouped(self, parts: Sequence[bytes]) -> Iterator[tuple[bytes, ...]]:
        """Parts in messages of the size that is allowed; one that is larger travels alone."""
        group: list[bytes] = []
        size = _HEAD_BYTES
        for part in parts:
            if group and size + len(part) > self._max_bytes:
                yield tuple(group)
                group, size = [], _HEAD_BYTES
            group.append(part)
            size += len(part)
        if group:
            yield tuple(group)


def _part(record: Record) -> bytes:
    known: dict[str, Any] = {"part": record.part, "fields": record.fields, "meta": record.meta}
    if record.acl is not None:
        known["acl"] = record.acl
    return orjson.dumps(known, option=orjson.OPT_NON_STR_KEYS)
