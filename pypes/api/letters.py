"""Dead letters as they are answered: without what is hidden, and put together again where somebody has edited what was shown."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from typing import Any, Final

import orjson

from pypes.api.operation import BOOLEAN, COUNT, JSON_OBJECT, TEXT, TIME, Schema, obj
from pypes.api.receipts import MAYBE_TEXT, VERSION
from pypes.core.limits import KIB, Limits
from pypes.errors import Conflict, PypesError
from pypes.ingest.codecs.encodings import inflate
from pypes.ingest.codecs.legible import is_legible, legible
from pypes.ingest.deadletter import SHOWN_BYTES, STEPS, KeptLetter, LetterGroup, Origin
from pypes.ingest.outcome import DeadLetter
from pypes.ingest.receipt import rfc3339
from pypes.observe.hiding import Hiding
from pypes.runtime.worker.posted import posted

#: Larger ones are looked through in a thread.
AT_ONCE_BYTES: Final = 128 * KIB

LETTER_FIELDS: dict[str, Schema] = {
    "id": TEXT,
    "graph": TEXT,
    "version": VERSION,
    "filter": TEXT,
    "component": TEXT,
    "code": TEXT,
    "error": TEXT,
    "attempts": COUNT,
    "receipt": TEXT,
    "time": TIME,
    "document": {
        **obj(index={"type": ["integer", "null"], "minimum": 0}, id=MAYBE_TEXT, file=MAYBE_TEXT, route=MAYBE_TEXT),
        "description": "What failed: its ordinal in the delivery (of several documents the first, null: the whole delivery), "
        "its id, the name of its file and its route, as far as it has them.",
    },
}
PACKET = obj({"meta": JSON_OBJECT, "field_meta": JSON_OBJECT}, fields=JSON_OBJECT)
DELIVERY = obj({"base64": BOOLEAN}, content_type=TEXT, encoding=TEXT, bytes=COUNT, body={"type": ["string", "null"]})
#: Only there in a dead letter that stands for many packets which failed alike.
MANY: dict[str, Schema] = {"failures": COUNT, "documents": COUNT}
LETTER = obj(MANY, **LETTER_FIELDS)
WHOLE_LETTER = obj(
    {**MANY, "delivery": {"oneOf": [DELIVERY, {"type": "null"}]}, "edited": BOOLEAN},
    **LETTER_FIELDS,
    packet={"oneOf": [PACKET, {"type": "null"}]},
    traceback=TEXT,
)
POSTED = obj(
    index={"type": ["integer", "null"], "minimum": 0},
    id=MAYBE_TEXT,
    file=MAYBE_TEXT,
    route=MAYBE_TEXT,
    content_type=TEXT,
    encoding=TEXT,
    bytes=COUNT,
    start=TEXT,
    packet={"oneOf": [PACKET, {"type": "null"}]},
    reason=TEXT,
)
COUNTS: Schema = {"type": "array", "items": COUNT, "minItems": STEPS, "maxItems": STEPS}
GROUP = obj(
    {"history": {**COUNTS, "description": "Letters by step, the oldest first."}},
    graph=TEXT,
    filter=TEXT,
    code=TEXT,
    count=COUNT,
    failures=COUNT,
    latest=TIME,
)


def listed(letter: DeadLetter) -> dict[str, Any]:
    """An entry of a list."""
    many = {"failures": letter.failures, "documents": letter.count} if letter.spans else {}
    return {
        "id": letter.id,
        "graph": letter.graph,
        "version": letter.version or None,
        "filter": letter.filter,
        "component": letter.component,
        "code": letter.code,
        "error": letter.error,
        "attempts": letter.attempts,
        "receipt": letter.receipt,
        "time": rfc3339(letter.time),
        "document": {"index": letter.index, "id": letter.named.id, "file": letter.named.file, "route": letter.named.route},
        **many,
    }


def counted(group: LetterGroup, *, has_history: bool) -> dict[str, Any]:
    """An entry of a list of groups."""
    history = {"history": group.history or (0,) * STEPS} if has_history else {}
    names = {"graph": group.graph, "filter": group.filter, "code": group.code}
    return {**names, "count": group.count, "failures": group.failures, "latest": rfc3339(group.latest), **history}


async def document(origin: Origin, limits: Limits, hiding: Hiding) -> bytes:
    """The document of a dead letter as it was accepted, as JSON."""
    if not origin.spool and len(origin.body or b"") <= AT_ONCE_BYTES and not (origin.header and origin.header.encoding):
        return _document(origin, limits, hiding)
    return await asyncio.to_thread(_document, origin, limits, hiding)


async def whole(kept: KeptLetter, hiding: Hiding) -> bytes:
    """One dead letter with its packet, or the body of its delivery, as JSON."""
    if len(kept.letter.packet or b"") + len(kept.body or b"") <= AT_ONCE_BYTES:
        return _whole(kept, hiding)
    return await asyncio.to_thread(_whole, kept, hiding)


def edited(packet: Any, letter: DeadLetter, hiding: Hiding) -> Any:
    """The packet that somebody has made of the one that was shown.

    What is hidden in it, and metadata that it does not name, are as in the dead letter; what is no packet stays as it is.
    """
    former = orjson.loads(letter.packet) if letter.packet else {}
    packet = hiding.restored(packet, former)
    if not letter.packet or not isinstance(packet, dict) or not isinstance(packet.get("meta", {}), dict):
        return packet
    return {**packet, "meta": {**(former.get("meta") or {}), **packet.get("meta", {})}}


def sample_of(kept: KeptLetter, packet: Any, at: str, hiding: Hiding) -> dict[str, Any]:
    """A dead letter as a sample for a trial: its packet at the filter where it failed, or its body.

    ``packet``: the packet as somebody has edited what was shown of it; ``at``: another place to enter; both may be missing.
    Raises :class:`Conflict` (``deadletters.not_kept``) if nothing is kept that could run.
    """
    letter = kept.letter
    if packet is not None or letter.packet:
        form = orjson.loads(letter.packet) if packet is None else edited(packet, letter, hiding)
        return {"packet": form, "at": at or letter.filter}
    if kept.body is None:
        raise Conflict("neither a packet nor a small body is kept with the dead letter", code="deadletters.not_kept")
    named = {"route": letter.named.route, "id": letter.named.id, "filename": letter.named.file, "at": at or None}
    body = {"content_type": kept.content_type, "encoding": kept.encoding, "body": {"base64": b64encode(kept.body).decode()}}
    return body | {name: value for name, value in named.items() if value is not None}


def _whole(kept: KeptLetter, hiding: Hiding) -> bytes:
    letter = kept.letter
    packet = hiding.packet(orjson.loads(letter.packet)) if letter.packet else None
    shown = {**listed(letter), "packet": packet, "traceback": letter.traceback}
    if not letter.packet:
        shown["delivery"] = _delivery(kept, hiding)
    if kept.is_edited:
        shown["edited"] = True
    return orjson.dumps(shown)


def _document(origin: Origin, limits: Limits, hiding: Hiding) -> bytes:
    found = posted(origin, limits)
    return orjson.dumps(
        {
            **listed(origin.letter)["document"],
            "content_type": found.content_type,
            "encoding": found.encoding,
            "bytes": found.size,
            "start": found.start,
            "packet": hiding.packet(orjson.loads(found.packet)) if found.packet else None,
            "reason": found.reason,
        }
    )


def _delivery(kept: KeptLetter, hiding: Hiding) -> dict[str, Any] | None:
    if not kept.has_body:
        return None
    shown: dict[str, Any] = {"content_type": kept.content_type, "encoding": kept.encoding, "bytes": kept.size, "body": None}
    body = kept.body if kept.body is None or not kept.encoding else _inflated(kept.body, kept.encoding)
    if body is not None and not is_legible(kept.content_type):
        shown["body"] = _in_words(kept.content_type, body, hiding)
    elif body is not None:
        try:
            shown["body"] = hiding.body(body.decode())
        except UnicodeDecodeError:
            shown["body"] = b64encode(body).decode()
            shown["base64"] = True
    return shown


def _in_words(content_type: str, body: bytes, hiding: Hiding) -> str | None:
    """A body of a binary form as JSON, in which there are names to hide; ``None`` if it cannot be read."""
    try:
        return hiding.body(legible(content_type, body, Limits())[1].decode())
    except PypesError:
        return None


def _inflated(body: bytes, encoding: str) -> bytes | None:
    """A compressed body as it is inside, in which there are names to hide; ``None`` if that is too much to be shown."""
    try:
        return inflate(body, encoding, Limits(), SHOWN_BYTES)
    except PypesError:
        return None
