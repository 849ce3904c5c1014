"""The delivery that a dead letter becomes when it is replayed."""

from __future__ import annotations

from msgspec import structs

from pypes.errors import Conflict
from pypes.ingest.delivery import PACKETS, Header, Spooled
from pypes.ingest.outcome import DeadLetter


def replayed(
    letter: DeadLetter,
    header: Header | None,
    body: bytes | Spooled | None,
    *,
    from_start: bool,
    is_edited: bool,
    is_needed: bool,
) -> tuple[Header, bytes | Spooled]:
    """Header and body of the new delivery; ``header`` and ``body`` are those of the old one, as far as they are kept.

    ``is_needed``: the packet does not hold all there was. Order keys and lane are those of the old delivery: the replay is in
    order behind what was taken since. Raises :class:`Conflict` (``deadletters.not_kept``) if what it takes is not kept.
    """
    if not from_start and not letter.filter and not is_edited:
        from_start = True  # it failed before the first filter
    if from_start:
        return _from_start(letter, header, body)
    if not letter.packet or (is_needed and not is_edited):
        raise Conflict("this dead letter does not hold the whole packet; replay it from the start", code="deadletters.not_kept")
    return Header(
        graph=letter.graph,
        content_type=PACKETS,
        documents=1,
        length=len(letter.packet),
        keys=header.keys if header is not None else b"",
        identities=header.identities if header is not None else (),
        is_bulk=header.is_bulk if header is not None else False,
        replays=letter.id,
        start=letter.filter,
    ), letter.packet


def _from_start(letter: DeadLetter, header: Header | None, body: bytes | Spooled | None) -> tuple[Header, bytes | Spooled]:
    if header is None or body is None:
        raise Conflict(
            "the body of this dead letter's delivery is not kept; replay it from its filter, or post the document again",
            code="deadletters.not_kept",
        )
    documents = letter.documents or tuple(range(header.documents))
    # ordinals of a delivery that is itself a part count within that part
    only = tuple(header.only[document] for document in documents) if header.only else documents
    if not header.only and len(documents) == header.documents:
        only = ()
    return structs.replace(header, documents=len(documents), only=only, callback=None, replays=letter.id), body
