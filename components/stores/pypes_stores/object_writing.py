"""Writing of whole documents to a store of objects, which has no transactions, and conditions on putting alone.

A document has one object, its head, which is only ever put on the condition that it is the one that was read. It says which
version stands, and moves forward. Parts are under keys that have the version in them, and are there before the head moves. So who
was held up has its condition refused, and what it removes are parts of versions that can never stand again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, wait
from dataclasses import dataclass, field
from typing import Final

import orjson

from pypes import Reject, Unreachable
from pypes_basic.records import Record, Told
from pypes_basic.timing import RETRY_S
from pypes_stores.bucket import Body, Bucket, Head, State, metadata
from pypes_stores.object_names import Part, folder_of, part_key, part_of

#: So often what another instance has changed meanwhile is done again.
MOST_TRIES: Final = 20


@dataclass
class _Version:
    """A version in a turn: its packets, and whether it ends."""

    records: list[Record] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        return any(each.is_whole for each in self.told)

    @property
    def is_told(self) -> bool:
        """False for packets that are complete by themselves, since nobody tells when the document is."""
        return bool(self.told) or any(record.is_told for record in self.records)


@dataclass
class _Document:
    """A document in a turn, by version."""

    digest: str
    route: str
    id: str | None
    key: str
    versions: dict[str, _Version] = field(default_factory=dict)


class Writer:
    """Writes turns: documents side by side, the versions of one in their order."""

    def __init__(
        self,
        bucket: Bucket,
        key_of: Callable[[str, str | None, str], str],
        body_of: Callable[[Record], Body],
        threads: Executor,
    ) -> None:
        self._bucket = bucket
        self._key_of = key_of
        self._body_of = body_of
        self._threads = threads
        #: By document, the versions of which parts were put before their end was known.
        self._begun: dict[str, set[str]] = {}

    def write(self, records: Sequence[Record], told: Sequence[Told]) -> None:
        """Put records and end versions; durable when it returns. Blocks, and may be repeated."""
        documents: dict[str, _Document] = {}
        removed: dict[str, _Document] = {}
        for each in told:
            if each.version:
                document = self._of(documents, each.document, each.route, each.id)
                document.versions.setdefault(each.version, _Version()).told.append(each)
            elif each.is_whole and each.is_deleted:
                self._of(removed, each.document, each.route, each.id)
        for record in records:
            document = self._of(documents, record.document, record.route, record.id)
            document.versions.setdefault(_label(record), _Version()).records.append(record)
        # what came before these is left out of the turn already
        self._each(self._remove, removed.values())
        self._each(self._write, documents.values())
        for each in told:
            labels = self._begun.get(each.document, set())
            labels.discard(each.version)
            if not labels:
                self._begun.pop(each.document, None)

    def _of(self, known: dict[str, _Document], digest: str, route: str, id: str | None) -> _Document:
        if digest not in known:
            known[digest] = _Document(digest, route, id, self._key_of(route, id, digest))
        return known[digest]

    def _each(self, work: Callable[[_Document], None], documents: Iterable[_Document]) -> None:
        """Do work for all documents; then raise what one of them raised, first of all that it has to be done again."""
        futures = [self._threads.submit(work, document) for document in documents]
        wait(futures)
        errors = [error for future in futures if (error := future.exception()) is not None]
        for error in sorted(errors, key=lambda error: isinstance(error, Reject) and not isinstance(error, Unreachable)):
            raise error

    # -- documents -----------------------------------------------------------------------------------------

    def _write(self, document: _Document) -> None:
        try:
            head = self._head(document)
        except Reject:
            if any(version.records for version in document.versions.values()):
                raise
            return  # somebody else's object is there, and nothing of this document
        newest = max((label for label, version in document.versions.items() if _replaces(version)), default="")
        for label in sorted(document.versions):
            version = document.versions[label]
            if label < newest and label:
                continue
            if _replaces(version):
                head = self._end(document, label, version, head)
            else:
                head = self._go_on(document, label, version, head)

    def _remove(self, document: _Document) -> None:
        """Remove a document outside of a node, where nobody else writes and nothing comes late."""
        head = self._bucket.head(document.key)
        if head is not None and head.document == document.digest:
            self._bucket.delete([document.key, *(part.key for part in self._bucket.parts(document.key))])

    def _end(self, document: _Document, label: str, version: _Version, head: Head | None) -> Head | None:
        """Have a version stand alone."""
        before, key = head, document.key
        bodies = {record.part: self._body_of(record) for record in version.records}
        has_begun = document.digest in self._begun
        if before is None or not before.stands_before(label):
            if before is not None and before.is_unswept:
                self._bucket.delete([part.key for part in self._bucket.parts(key) if part.version < before.version])
            own = bodies.pop("", None)
            self._put_parts(document, label, bodies)
            there = {part.key for part in self._bucket.parts(key) if part.version == label} if has_begun else set()
            if own is None and (early := part_key(key, label, "")) in there:
                own = self._bucket.read(early)
            has_parts = bool(bodies) or bool(there - {part_key(key, label, "")})
            head = self._move(document, label, own, has_parts, before)
        is_late = head is not None and bool(label) and head.version > label
        if not (is_late or has_begun or bodies or (version.told and version.told[0].is_deleted) or _has_parts(before)):
            return head  # PERF: nothing to be looked for
        stands = head.version if head is not None else label
        parts = self._bucket.parts(key)
        self._bucket.delete([part.key for part in parts if part.version < stands or _is_doubled(part, key, head)])
        return head

    def _go_on(self, document: _Document, label: str, version: _Version, head: Head | None) -> Head | None:
        """Put parts of a version that is not whole yet, has failed, or of whose parts each is complete by itself."""
        key = document.key
        if version.records and (head is None or not label or not head.stands_before(label) or head.version == label):
            if head is None:
                head = self._open(document, label)
            elif not version.is_told and head.state != "open" and head.version != label:
                head = self._reopen(document, head)
            if version.is_told:
                self._begun.setdefault(document.digest, set()).add(label)
            bodies = {record.part: self._body_of(record) for record in version.records}
            self._put_parts(document, label, bodies)
            if not version.is_told:
                places = {part_of(key, part_key(key, label, part)).place for part in bodies}
                older = [part.key for part in self._bucket.parts(key) if part.place in places and part.version < label]
                self._bucket.delete(older)
        if version.told and (head := self._head(document)) is not None and head.state != "open":
            # it has failed, and readers have another one
            self._bucket.delete([part.key for part in self._bucket.parts(key) if part.version == label != head.version])
        return head

    # -- heads ---------------------------------------------------------------------------------------------

    def _head(self, document: _Document) -> Head | None:
        head = self._bucket.head(document.key)
        if head is not None and head.document != document.digest:
            raise Reject(
                f"{document.key} is the object of another document; have both {{route}} and {{id}} in key", "s3.key_taken"
            )
        return head

    def _move(self, document: _Document, label: str, own: Body | None, has_parts: bool, over: Head | None) -> Head:
        """Move the head to a version, unless it is there or beyond already; returns what it is then.

        What is older than ``over`` has been removed.
        """
        state: State = "whole" if own is not None or has_parts else "gone"
        swept = over
        for _ in range(MOST_TRIES):
            if over is not None and over.stands_before(label):
                return over
            is_unswept = _has_parts(over) or (over is not None and over.is_unswept and over is not swept)
            new = Head(document.digest, label, state, own is not None, has_parts, is_unswept)
            body = own or _note(document, new)
            if self._bucket.put_head(document.key, new, body, over):
                return new
            over = self._head(document)
        raise Unreachable(RETRY_S, f"other instances change {document.key} all the time")

    def _open(self, document: _Document, label: str) -> Head:
        """Make the head of a document of which nothing is there; returns what it is then."""
        new = Head(document.digest, label, "open", is_packet=False, has_parts=True)
        for _ in range(MOST_TRIES):
            if self._bucket.put_head(document.key, new, _note(document, new), None):
                return new
            if (head := self._head(document)) is not None:
                return head
        raise Unreachable(RETRY_S, f"other instances change {document.key} all the time")

    def _reopen(self, document: _Document, head: Head) -> Head:
        """Have newer parts shown beside a version that stands, since they are complete by themselves."""
        for _ in range(MOST_TRIES):
            if head.is_packet and (own := self._bucket.read(document.key)) is not None:
                self._bucket.put_part(part_key(document.key, head.version, ""), own, document.digest, head.version)
            new = Head(document.digest, head.version, "open", is_packet=False, has_parts=True)
            if self._bucket.put_head(document.key, new, _note(document, new), head):
                return new
            found = self._head(document)
            if found is None or found.state == "open":
                return found or self._open(document, head.version)
            head = found
        raise Unreachable(RETRY_S, f"other instances change {document.key} all the time")

    def _put_parts(self, document: _Document, label: str, bodies: dict[str, Body]) -> None:
        for part, body in bodies.items():
            self._bucket.put_part(part_key(document.key, label, part), body, document.digest, label)


def _label(record: Record) -> str:
    """The version of a record; one that is told of by nobody is the same in every run of its delivery."""
    if record.version is None:
        return ""
    return record.version_text if record.is_told else record.version._replace(run=0).text


def _replaces(version: _Version) -> bool:
    """True if a version takes the place of all that is older: a packet that is the document is complete by itself."""
    return version.is_whole or (not version.is_told and any(not record.part for record in version.records))


def _has_parts(head: Head | None) -> bool:
    return head is not None and (head.has_parts or head.state == "open")


def _is_doubled(part: Part, key: str, head: Head | None) -> bool:
    """True for a packet that came before the end of its version, and is the head now."""
    return head is not None and head.is_packet and part.key == part_key(key, head.version, "")


def _note(document: _Document, head: Head) -> Body:
    """The content of a head that is no packet. It has the version in it: stores tell contents apart, not metadata."""
    said = {
        **{"route": document.route, "id": document.id, "version": head.version, "state": head.state},
        "parts": folder_of(document.key) if head.has_parts else None,
    }
    return Body(orjson.dumps(said), "application/json", metadata({"route": document.route, "id": document.id or ""}))
