"""Media types: taking a Content-Type apart, which codec reads it, and how well an adapter matches it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final, NamedTuple
from urllib.parse import unquote

from pypes.core.media_types import MSGPACK, OCTETS, PACKETS, PROTOBUF
from pypes.errors import UnsupportedMedia

JSON = "application/json"

_NDJSON = frozenset(
    {"application/x-ndjson", "application/ndjson", "application/jsonl", "application/jsonlines", "application/x-jsonlines"}
)
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]"
# linear: a name is tried from its first character only, and nothing that was matched is tried in another way
_PARAMETER = re.compile(rf'(?<!{_TOKEN})({_TOKEN}++)\s*+=\s*+(?:("(?:[^"\\]|\\.)*+")|([^\s;"]++))')
#: Character sets that a parameter may name (RFC 8187; the second by RFC 5987, and meant as on the web), and their decoders.
_EXTENDED = MappingProxyType({"utf-8": "utf-8", "": "utf-8", "iso-8859-1": "cp1252"})
_ESCAPE = re.compile(r"\\(.)")
_FORM = "application/x-www-form-urlencoded"

#: Codecs of bodies that can be taken in part: what cannot be read in them becomes dead letters, if that is asked for.
IN_PART: Final = ("ndjson", "json", "msgpack", "protobuf")

#: Parameters of media types that say how to read a body: the character set, and whether a table has a header (RFC 4180, 3).
DESCRIPTIVE: Final = ("charset", "header")


class MediaType(NamedTuple):
    """A parsed Content-Type: the bare type in lower case, its parameters, and the ``codec`` that reads it.

    ``descriptive`` are the parameters that documents have as metadata. ``is_vague``: the first bytes have a say in what it is.
    """

    type: str
    parameters: Mapping[str, str]
    codec: str  # json, ndjson, multipart, packets, raw
    # PERF: asked for every document, and made once
    descriptive: Mapping[str, str]
    is_vague: bool


#: Longer types are not remembered: whoever sends them could fill the memory with them.
_REMEMBERED_CHARS = 256


def parse(content_type: str) -> MediaType:
    """Parse a Content-Type (``""``: bytes of unknown type). Raises :class:`UnsupportedMedia` for one that no codec reads."""
    return _remembered(content_type) if len(content_type) <= _REMEMBERED_CHARS else _parse(content_type)


@lru_cache(maxsize=512)
def _remembered(content_type: str) -> MediaType:
    return _parse(content_type)


def _parse(content_type: str) -> MediaType:
    bare, _, rest = content_type.partition(";")
    bare = bare.strip().lower() or OCTETS
    parameters: Mapping[str, str] = MappingProxyType(parameters_of(rest) if rest else {})
    if bare == _FORM:
        raise UnsupportedMedia(
            "form fields are not documents; send JSON with Content-Type: application/json, or a file with its own type "
            "(curl: -H 'Content-Type: application/json')"
        )
    if bare.count("/") != 1 or bare.startswith("/") or bare.endswith("/") or "*" in bare:
        raise UnsupportedMedia(f"{content_type[:_REMEMBERED_CHARS]!r} is not a media type; send one like text/html")
    if bare == PACKETS:
        codec = "packets"
    elif bare in _NDJSON:
        codec = "ndjson"
    elif is_json(bare):
        codec = "json"
    elif bare in MSGPACK:
        codec = "msgpack"
    elif bare in PROTOBUF:
        codec = "protobuf"
    elif bare in ("multipart/form-data", "multipart/mixed"):
        codec = "multipart"
    else:
        codec = "raw"
    charset = parameters.get("charset", "utf-8").lower()
    if codec in ("json", "ndjson", "packets") and charset not in ("utf-8", "utf8", "us-ascii"):
        raise UnsupportedMedia(f"JSON must be encoded in UTF-8, not {charset[:_REMEMBERED_CHARS]} (RFC 8259); convert it first")
    descriptive = MappingProxyType({name: parameters[name] for name in DESCRIPTIVE if name in parameters})
    return MediaType(bare, parameters, codec, descriptive, is_vague=bare == OCTETS or bare.startswith("text/"))


def is_json(bare: str) -> bool:
    """True for ``application/json`` and types built on it (``application/ld+json``)."""
    return bare == JSON or bare.endswith("+json")


def parameters_of(rest: str) -> dict[str, str]:
    """Parameters of a header value (what follows its first ``;``), names in lower case (RFC 9110, 5.6.6; RFC 8187)."""
    found: dict[str, str] = {}
    for name, quoted, plain in _PARAMETER.findall(rest):
        name = name.lower()
        value = _ESCAPE.sub(r"\1", quoted[1:-1]) if quoted else plain
        if name.endswith("*"):
            charset, _, encoded = value.partition("'")
            codec = _EXTENDED.get(charset.lower())
            if codec:  # else one that the RFCs do not know: the plain parameter beside it has to do
                found[name[:-1]] = unquote(encoded.partition("'")[2], codec, "replace")
        else:
            found.setdefault(name, value)
    return found


def match(accepts: Iterable[str], media_type: str) -> int:
    """Specificity with which ``accepts`` of an adapter matches a bare type: 0 not at all, 4 exactly.

    1 is ``*/*``, 2 ``text/*``, 3 ``application/json`` for a type built on JSON.
    """
    best = 0
    for pattern in accepts:
        pattern = pattern.lower()
        if pattern == media_type:
            return 4
        if pattern == "*/*":
            found = 1
        elif pattern.endswith("/*") and media_type.startswith(pattern[:-1]):
            found = 2
        elif pattern == JSON and media_type.endswith("+json") and media_type != PACKETS:
            found = 3
        else:
            continue
        best = max(best, found)
    return best
