"""Dead letters as they are answered: without what is hidden, and put together again where somebody has edited what was shown."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from typing import Any, Final

import orjson

from pypes.core.limits import KIB, Limits
from pypes.errors import PypesError
from pypes.ingest.codecs.encodings import inflate
from pypes.ingest.deadletter import SHOWN_BYTES, KeptLetter, LetterGroup
from pypes.ingest.outcome import DeadLetter
from pypes.ingest.receipt import rfc3339
from pypes.observe.hiding import Hiding

#: Larger ones are looked through in a thread.
AT_ONCE_BYTES: Final = 128 * KIB


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


def counted(group: LetterGroup) -> dict[str, Any]:
    """An entry of a list of groups."""
    names = {"graph": group.graph, "filter": group.filter, "code": group.code}
    return {**names, "count": group.count, "failures": group.failures, "latest": rfc3339(group.latest)}


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


def _whole(kept: KeptLetter, hiding: Hiding) -> bytes:
    letter = kept.letter
    packet = hiding.packet(orjson.loads(letter.packet)) if letter.packet else None
    shown = {**listed(letter), "packet": packet, "traceback": letter.traceback}
    if not letter.packet:
        shown["delivery"] = _delivery(kept, hiding)
    if kept.is_edited:
        shown["edited"] = True
    return orjson.dumps(shown)


def _delivery(kept: KeptLetter, hiding: Hiding) -> dict[str, Any] | None:
    if not kept.has_body:
        return None
    shown: dict[str, Any] = {"content_type": kept.content_type, "encoding": kept.encoding, "bytes": kept.size, "body": None}
    body = kept.body if kept.body is None or not kept.encoding else _inflated(kept.body, kept.encoding)
    if body is not None:
        try:
            shown["body"] = hiding.body(body.decode())
        except UnicodeDecodeError:
            shown["body"] = b64encode(body).decode()
            shown["base64"] = True
    return shown


def _inflated(body: bytes, encoding: str) -> bytes | None:
    """A compressed body as it is inside, in which there are names to hide; ``None`` if that is too much to be shown."""
    try:
        return inflate(body, encoding, Limits(), SHOWN_BYTES)
    except PypesError:
        return None
