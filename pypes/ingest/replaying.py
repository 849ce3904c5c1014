"""The delivery that dead letters become when they are replayed."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import NamedTuple, TypedDict

import orjson
from msgspec import structs

from pypes.core.identity import Identity
from pypes.core.media_types import PACKETS
from pypes.errors import Conflict
from pypes.ingest.delivery import Header, Spooled
from pypes.ingest.ordering import EVERY
from pypes.ingest.outcome import DeadLetter, spans_of


class Link(NamedTuple):
    """Scope of a replay: documents of the delivery ``origin``, as spans of their ordinals there (none: all of them).

    ``letter`` is the first of the dead letters that went. ``start`` is the filter from which a packet goes on (empty: at the
    adapters), ``None`` of documents that run from the start.
    """

    origin: str
    letter: str
    start: str | None
    documents: tuple[int, ...]

    @property
    def number(self) -> int:
        """Number of documents of the other delivery that run again; 0 for all."""
        return sum(self.documents[1::2])

    def may_have(self, first: int, last: int) -> bool:
        """False if no document of the other delivery from ``first`` to ``last`` runs again."""
        spans = self.documents
        return not spans or (spans[0] <= last and first < spans[-2] + spans[-1])

    def index_of(self, document: int) -> int | None:
        """The ordinal in the replay of a document of the other delivery; ``None`` if it is not among those."""
        if not self.documents:
            return document
        before = 0
        for first, count in zip(self.documents[::2], self.documents[1::2], strict=True):
            if first <= document < first + count:
                return before + document - first if self.start is None else 0
            before += count
        return None

    def document_of(self, index: int) -> int:
        """The ordinal in the other delivery of a document of the replay."""
        before = 0
        for first, count in zip(self.documents[::2], self.documents[1::2], strict=True):
            if index < before + count:
                return first + index - before
            before += count
        return index


def link_of(letters: Sequence[DeadLetter], header: Header, *, from_start: bool) -> Link:
    """Scope of the replay with this header, among the documents of dead letters of one receipt."""
    start = None if from_start else header.start
    documents: tuple[int, ...] = ()
    if all(map(_names_any, letters)):
        documents = spans_of(sorted({document for letter in letters for document in letter.ordinals}))
    return Link(letters[0].receipt, header.replays, start, documents)


def starts_over(letter: DeadLetter, *, is_edited: bool) -> bool:
    """True if a dead letter can only go from the start: it failed before the first filter, or stands for many packets."""
    return not is_edited and (not letter.filter or bool(letter.spans))


def from_the_start(
    asked: Iterable[tuple[DeadLetter, bool]], parts: Container[str], *, is_wanted: bool | None
) -> list[DeadLetter]:
    """Those of dead letters, each with whether it was edited, that go from the start.

    ``is_wanted`` None: they go from there if they are among ``parts`` (ids), of which a publisher shows the new version when it
    has all of it, unless the packet of one such part of the same document was edited.
    """
    asked = list(asked)
    edited = {document for letter, is_edited in asked if is_edited for document in letter.ordinals}
    return [
        letter
        for letter, is_edited in asked
        if is_wanted
        or starts_over(letter, is_edited=is_edited)
        or (is_wanted is None and letter.id in parts and edited.isdisjoint(letter.ordinals))
    ]


def is_versioned_part(packet: bytes) -> bool:
    """True if a packet (its JSON form) is a part of a document of which some publisher compares versions."""
    if not packet:
        return False
    meta = orjson.loads(packet).get("meta") or {}
    return "document" in meta and "part" in meta and "run" in meta


def together(asked: Iterable[DeadLetter], all_of_receipt: Sequence[DeadLetter]) -> list[DeadLetter]:
    """The dead letters that go along when some of a receipt are replayed from the start: all of the same documents.

    A document that runs again leaves whatever it left before, so a letter that stayed behind would be there twice.
    """
    by_document: dict[int, list[DeadLetter]] = {}
    for letter in all_of_receipt:
        for document in letter.ordinals:
            by_document.setdefault(document, []).append(letter)
    whole = [letter for letter in all_of_receipt if not _names_any(letter)]
    found: dict[str, DeadLetter] = {}
    left = list(asked)
    while left:
        letter = left.pop()
        if letter.id in found:
            continue
        found[letter.id] = letter
        if not _names_any(letter):
            return list(all_of_receipt)
        left += whole
        for document in letter.ordinals:
            left += by_document.pop(document, ())
    return list(found.values())


def _names_any(letter: DeadLetter) -> bool:
    """False for a letter that stands for its whole delivery."""
    return bool(letter.documents or letter.spans)


def from_filter(letter: DeadLetter, header: Header | None, *, is_edited: bool, is_needed: bool) -> tuple[Header, bytes]:
    """Header and body of the delivery that resumes at the filter where ``letter`` failed, with its original or edited packet.

    ``header`` is that of the old delivery, as far as it is kept: order keys and lane are taken from it, so that the replay is in
    order behind what was taken since, and the poster. ``is_needed``: the packet does not hold all there was. Raises
    :class:`Conflict` (``deadletters.not_kept``).
    """
    if not letter.packet or (is_needed and not is_edited):
        raise Conflict(
            "the dead letter does not hold the whole packet; replay the letter from the start", code="deadletters.not_kept"
        )
    return Header(
        graph=letter.graph,
        content_type=PACKETS,
        documents=1,
        length=len(letter.packet),
        replays=letter.id,
        start=letter.filter,
        origin=_origin(letter, header),
        poster="" if header is None else header.poster,
        is_traced=header is not None and header.is_traced,
        context=None if header is None else header.context,
        **_order_of(header, is_part=header is not None and header.documents > 1),
    ), letter.packet


def traced(header: Header, is_traced: bool) -> Header:
    """The header of a replay whose filters are watched: if this is asked for, or the first run was."""
    return structs.replace(header, is_traced=True) if is_traced else header


class _Order(TypedDict):
    """Order keys of a replay in its graph."""

    keys: bytes
    identities: tuple[Identity, ...]
    is_bulk: bool


def _order_of(header: Header | None, *, is_part: bool) -> _Order:
    """Order keys and lane of the old delivery. In a graph with order, a replay of some of its documents goes into the bulk lane.

    Which of its identities are theirs is not known. A live delivery that names them all would have what waits in the bulk lane
    dropped for documents that do not come; in that lane it waits as others do.
    """
    if header is None:
        return _Order(keys=b"", identities=(), is_bulk=False)
    if is_part and header.keys not in (b"", EVERY):
        return _Order(keys=header.keys, identities=(), is_bulk=True)
    return _Order(keys=header.keys, identities=header.identities, is_bulk=header.is_bulk)


def _origin(letter: DeadLetter, header: Header | None) -> tuple[str, int]:
    """Receipt and ordinal under which the first document of a dead letter ran first."""
    receipt, first = header.origin if header is not None and header.origin is not None else (letter.receipt, 0)
    document = letter.documents[0] if letter.documents else 0
    return receipt, first + (header.only[document] if header is not None and header.only else document)


def from_start(
    letters: Sequence[DeadLetter], header: Header | None, body: bytes | Spooled | None
) -> tuple[Header, bytes | Spooled]:
    """Header and body of the one delivery that runs the documents of dead letters of one receipt again, as they were received.

    ``header`` and ``body`` are those of the old delivery; without them, :class:`Conflict` (``deadletters.not_kept``) is raised.
    """
    if header is None or body is None:
        raise Conflict(
            "the body of the delivery is not kept; replay the dead letter from its filter, or post the document again",
            code="deadletters.not_kept",
        )
    documents: Sequence[int] = range(header.documents)
    if all(map(_names_any, letters)):
        documents = sorted({document for letter in letters for document in letter.ordinals})
    # ordinals of a delivery that is itself a part count within that part
    only = tuple(header.only[document] for document in documents) if header.only else tuple(documents)
    if not header.only and len(documents) == header.documents:
        only = ()
    first = min(letters, key=lambda letter: letter.id)
    origin = header.origin or (first.receipt, 0)
    replay = structs.replace(header, documents=len(documents), only=only, callback=None, replays=first.id, origin=origin)
    return structs.replace(replay, **_order_of(header, is_part=bool(only))), body
