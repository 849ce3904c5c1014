"""Head fields by which a client names a document (``Pypes-Id``) and gives it metadata (``Pypes-Meta-NAME``).

Another node says beside them how far its documents have come (``Pypes-Hops``). They stand in the head of a request or of a
part of a multipart body. Values are percent-encoded UTF-8, since a head is ASCII.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final, NamedTuple
from urllib.parse import unquote_to_bytes

from pypes.core import hops
from pypes.core.identity import OWN_METADATA, id_of
from pypes.errors import BadId, BadRequest
from pypes.ingest.delivery import GivenMeta

#: The beginning of the names of these fields, in lower case.
PREFIX: Final = "pypes-"

#: Bounds of one head.
MAX_META: Final = 32
MAX_META_BYTES: Final = 8 << 10

_ID = PREFIX + "id"
_META = PREFIX + "meta-"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_ENCODED = re.compile(r"(?:[\t\x20-\x24\x26-\x7e]|%[0-9A-Fa-f]{2})*")


class Given(NamedTuple):
    """``meta`` are names and values in the order in which they were given; a name that is given several times has them all."""

    id: str | None = None
    meta: GivenMeta = ()


NOTHING: Final = Given()


def given_of(fields: Iterable[tuple[str, str]]) -> Given:
    """Parse the fields of a head, with names in lower case. Raises :class:`BadRequest` for an invalid field."""
    id: str | None = None
    meta: dict[str, str | tuple[str, ...]] = {}
    size = 0
    for field, encoded in fields:
        if field == _ID:
            if id is not None:
                raise BadRequest("Pypes-Id is given twice; a document has one id", code=BadId.code, where="Pypes-Id")
            id = _checked_id(encoded)
        elif field == hops.FIELD:
            meta[hops.META] = _checked_hops(encoded)
        elif field.startswith(_META):
            name = field[len(_META) :].replace("-", "_")
            where = f"Pypes-Meta-{field[len(_META) :]}"
            if not _NAME.fullmatch(name):
                raise _bad(f"{name[:64]!r} cannot be the name of metadata; use up to 64 letters, digits and dashes", where)
            if name in OWN_METADATA:
                raise _bad(f"the metadata {name!r} is set by the server; choose another name", where)
            value = _decoded(encoded, where, "ingest.meta")
            match meta.get(name):
                case None:
                    meta[name] = value
                case str(first):
                    meta[name] = first, value
                case several:
                    meta[name] = *several, value
            size += len(name) + len(encoded)
            if len(meta) > MAX_META or size > MAX_META_BYTES:
                raise _bad(f"one head may have at most {MAX_META} metadata of {MAX_META_BYTES} bytes together; send fewer", where)
    return Given(id, tuple(meta.items())) if id is not None or meta else NOTHING


def metadata_of(given: GivenMeta) -> dict[str, Any]:
    """The metadata of a packet that a head gives: a text, or a list of texts."""
    return {name: value if isinstance(value, str) else list(value) for name, value in given}


def one_id(outer: str | None, own: str | None) -> str | None:
    """The id that two places give the same document; raises :class:`BadRequest` if they contradict each other."""
    if own is None or own == outer:
        return outer
    if outer is not None:
        raise BadRequest(
            f"Pypes-Id says {own!r}, the address or the request says {outer!r}; give a document one id",
            code="ingest.id_conflict",
            where="Pypes-Id",
        )
    return own


def _checked_id(encoded: str) -> str:
    text = _decoded(encoded, "Pypes-Id", BadId.code)
    try:
        found = id_of(text)
    except BadId as error:
        raise BadRequest(f"Pypes-Id: {error.message}", code=error.code, where="Pypes-Id") from error
    if found is None:
        raise BadRequest("Pypes-Id is empty; leave it out or give an id", code=BadId.code, where="Pypes-Id")
    return found


def _checked_hops(text: str) -> str:
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text) > 0):
        raise BadRequest("Pypes-Hops is no number from 1 on; leave it out", code="ingest.hops", where="Pypes-Hops")
    if int(text) > hops.MAX_HOPS:
        raise BadRequest(
            f"the documents came over {int(text)} nodes, and {hops.MAX_HOPS} are allowed: "
            "look whether graphs of several nodes hand them to each other in a circle",
            code="ingest.too_many_hops",
            where="Pypes-Hops",
        )
    return str(int(text))


def _decoded(encoded: str, where: str, code: str) -> str:
    try:
        if _ENCODED.fullmatch(encoded):
            return unquote_to_bytes(encoded).decode()
    except UnicodeDecodeError:
        pass
    raise BadRequest(f"{where} is not percent-encoded UTF-8; write % as %25, and é as %C3%A9", code=code, where=where)


def _bad(message: str, where: str) -> BadRequest:
    return BadRequest(message, code="ingest.meta", where=where)
