"""The document of a dead letter as it was accepted, read from the body that is kept for its delivery."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Final

import msgspec
import orjson

from pypes.core.limits import MIB, Limits
from pypes.errors import PypesError
from pypes.ingest.codecs.decoding import documents
from pypes.ingest.codecs.survey import Unreadable
from pypes.ingest.deadletter import SHOWN_BYTES, Origin
from pypes.ingest.delivery import Header, Spooled
from pypes.ingest.outcome import DeadLetter
from pypes.packet import Body, Packet

#: A compressed body is read until it has inflated to so many bytes, and any body for so many seconds.
MOST_BYTES: Final = 256 * MIB
MOST_S: Final = 5.0

_TOO_LARGE: Final = f"the document is larger than {SHOWN_BYTES} bytes; only smaller ones are shown"
_TOO_FAR: Final = "the document lies too far behind in a large body to be looked for; replay it from the start to run it again"
_NOT_KEPT: Final = "the body is not kept: it was larger than dead_letter_body_bytes, and the dead letter holds all of the packet"


class Posted(msgspec.Struct, frozen=True, gc=False):
    """A document as it entered the graph: ``packet`` is its JSON form, empty if it cannot be told for a ``reason``.

    ``content_type``, ``encoding`` and ``size`` (bytes) are those of the body that it came in. ``start`` is the filter at which a
    replay began; the document is the packet with which it did.
    """

    packet: bytes = b""
    reason: str = ""
    content_type: str = ""
    encoding: str = ""
    size: int = 0
    start: str = ""


def posted(origin: Origin, limits: Limits) -> Posted:
    """Find the document of a dead letter in the body of its delivery; blocks, for some seconds where that is large."""
    header = origin.header
    body = Spooled(origin.spool, header.length) if origin.spool and header is not None else origin.body
    if header is None or body is None:
        return Posted(reason=_NOT_KEPT)
    packet, reason = b"", ""
    try:
        packet = _packet(origin.letter, header, body, origin.received, limits)
    except _Untold as told:
        reason = str(told)
    except FileNotFoundError:
        reason = "the body is gone: the dead letter was replayed or deleted meanwhile"
    except (PypesError, OSError) as error:
        reason = (
            _TOO_FAR if getattr(error, "code", "") == "ingest.decompressed_too_large" else f"the body cannot be read: {error}"
        )
    return Posted(packet, reason, header.content_type, header.encoding, len(body), header.start)


class _Untold(Exception):
    """The document cannot be told; the text says why."""


def _packet(letter: DeadLetter, header: Header, body: bytes | Spooled, received: float, limits: Limits) -> bytes:
    index = letter.index
    if index is None and header.documents > 1:
        raise _Untold(f"the dead letter stands for all {header.documents} documents of its delivery")
    wanted = header.only[index or 0] if header.only else index or 0
    limits = replace(limits, decompressed_bytes=min(limits.decompressed_bytes, MOST_BYTES))
    until, first = time.monotonic() + MOST_S, 0
    for kind, batch in documents(header, body, letter.receipt, received, limits=limits):
        if wanted < first + len(batch):
            return _written(batch[wanted - first], kind)
        first += len(batch)
        if time.monotonic() > until:
            raise _Untold(_TOO_FAR)
    raise _Untold("the body has fewer documents than were counted at its acceptance")


def _written(document: Packet | Unreadable, media_type: str) -> bytes:
    if isinstance(document, Unreadable):
        document = Packet({"data": document.raw}, {"mimetype": media_type})
    data = document.get("data")
    if isinstance(data, Body):
        with data.open() as file:
            data = file.read(SHOWN_BYTES + 1)
    if isinstance(data, bytes):
        if len(data) > SHOWN_BYTES:
            raise _Untold(_TOO_LARGE)
        document.set("data", _as_text(data))
    written = orjson.dumps(document.to_json())
    if len(written) > SHOWN_BYTES:
        raise _Untold(_TOO_LARGE)
    return written


def _as_text(data: bytes) -> str | bytes:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data
