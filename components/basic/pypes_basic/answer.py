"""Answer: what a web server said, its content decoded and whole, and of which type that is."""

from __future__ import annotations

import re
from collections.abc import Iterable
from email.message import Message
from typing import NamedTuple

import urllib3

from pypes_basic.unpacking import unpack

#: The media type of an answer without Content-Type (RFC 9110, 8.3).
UNKNOWN = "application/octet-stream"

#: Encodings of a content by the names that servers give them (RFC 9110, 8.4.1), and how they are unpacked.
_ENCODINGS = {"gzip": "gzip", "x-gzip": "gzip", "deflate": "deflate"}
#: Registered encodings that nothing here unpacks (IANA, HTTP Content Coding). What is not registered, such as the name of a
#: character set, is no encoding: browsers pass over it as well.
_OTHERS = {"aes128gcm", "br", "compress", "x-compress", "dcb", "dcz", "exi", "pack200-gzip", "zstd"}
#: More encodings, one in the other, nobody means.
_MOST_ENCODINGS = 3
_MEDIA_TYPE = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+", re.ASCII)


class Answer(NamedTuple):
    """An answer whose content is read and decoded."""

    status: int
    headers: urllib3.HTTPHeaderDict
    data: bytes = b""


def decoded(data: bytes, headers: urllib3.HTTPHeaderDict, max_bytes: int) -> bytes | None:
    """Content without its encodings, ``None`` if that is more than ``max_bytes``.

    Raises ``ValueError`` for an encoding that nothing reads, and for one that is damaged or ends too early: decoded as far as it
    goes, it would be published as the whole.
    """
    names = [name.strip().lower() for name in headers.get("Content-Encoding", "").split(",")]
    encodings = [name for name in names if name in _ENCODINGS or name in _OTHERS]
    if len(encodings) > _MOST_ENCODINGS or not _OTHERS.isdisjoint(encodings):
        raise ValueError(f"nothing reads its encoding {', '.join(encodings)[:100]}, and none was asked for")
    content: bytes | None = data
    for name in reversed(encodings):
        content = unpack(content, _ENCODINGS[name], max_bytes) if content else content
    return content


def type_of(headers: urllib3.HTTPHeaderDict) -> tuple[str, str | None]:
    """The media type and the character set that a server gives; of several types, the first that is one."""
    for value in _values(headers.getlist("Content-Type")):
        if (bare := value.partition(";")[0].strip().lower()) and _MEDIA_TYPE.fullmatch(bare):
            message = Message()
            message["Content-Type"] = value
            return bare, message.get_content_charset()
    return UNKNOWN, None


def _values(lines: Iterable[str]) -> Iterable[str]:
    # gateways join lines that came twice
    return (value for line in lines for value in re.split(r",(?=[^;,\"]+/)", line))
