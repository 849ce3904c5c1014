"""Unpacking: what is compressed in a file or an answer of a web server, never more of it than is wanted."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from pypes.core.media_types import OCTETS, media_type_of

#: The type of a file that is compressed as a whole and no document by itself: it stays as it is.
ARCHIVE = "application/x-tar"

#: Each gives an object for one stream; a file may hold several, one behind the other.
_STREAMS: Mapping[str, Callable[[bytes], Any]] = MappingProxyType(
    {
        "gzip": lambda data: zlib.decompressobj(wbits=31),
        "bzip2": lambda data: bz2.BZ2Decompressor(),
        "xz": lambda data: lzma.LZMADecompressor(),
        # "deflate" of the web is the zlib format (RFC 9110, 8.4.1.2), but raw streams are sent as well
        "deflate": lambda data: zlib.decompressobj(wbits=15 if _is_zlib(data) else -15),
    }
)


def kind_of(name: str) -> tuple[str, str]:
    """The compression to unpack a file of a name with, empty if it is not to be, and the media type of its contents."""
    kind = media_type_of(name)
    if kind.type and kind.type != ARCHIVE and kind.compression in _STREAMS:
        return kind.compression, kind.type
    return "", kind.outer or OCTETS


def unpack(data: bytes, compression: str, max_bytes: int) -> bytes | None:
    """The content of compressed ``data``, ``None`` if it has more than ``max_bytes``. Raises ``ValueError`` if it is damaged."""
    content = bytearray()
    try:
        while data:
            stream = _STREAMS[compression](data)
            # one byte more than allowed tells that there is more, and a few bytes may become any number
            content += stream.decompress(data, max_bytes + 1 - len(content))
            if len(content) > max_bytes:
                return None
            if not stream.eof:
                raise ValueError(f"its {compression} ends too early")
            # zeros may follow the last stream (of a tape, or of xz)
            data = stream.unused_data.lstrip(b"\0")
    except (zlib.error, lzma.LZMAError, OSError, EOFError) as error:
        raise ValueError(f"it is no sound {compression} ({error})") from error
    return bytes(content)


def _is_zlib(data: bytes) -> bool:
    """True if the head is that of the zlib format (RFC 1950, 2.2)."""
    return len(data) > 1 and data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0
