"""Counting the documents of a body without making objects of them, where they are plain.

What is plain is told by compiled modules, which are there where they could be compiled when Pypes was installed. They know no
errors: of whatever is malformed, and of some that is only rare, they say that it is not plain, and the careful way decides.
"""

from __future__ import annotations

from pypes.core.limits import Limits

Buffer = bytes | bytearray | memoryview

try:
    from pypes.ingest.codecs._records import as_msgpack as as_msgpack
    from pypes.ingest.codecs._records import in_maps as in_maps
    from pypes.ingest.codecs._records import in_messages as in_messages
    from pypes.ingest.codecs._scan import in_lines as in_lines
    from pypes.ingest.codecs._scan import in_value as in_value

    IS_COMPILED = True
except ImportError:
    IS_COMPILED = False

    def in_lines(body: Buffer, levels: int, line_bytes: int, /) -> int:
        """Nothing is plain."""
        return -1

    def in_value(body: Buffer, levels: int, /) -> int:
        """Nothing is plain."""
        return -1

    def in_maps(body: Buffer, start: int, stop: int, levels: int, most: int, /) -> tuple[int, int, bool]:
        """Nothing is plain."""
        return 0, start, False

    in_messages = in_maps

    def as_msgpack(body: Buffer, start: int, stop: int, documents: int, /) -> bytes:
        """Nothing is plain."""
        raise ValueError("nothing is plain")


def count_lines(body: Buffer, limits: Limits) -> int | None:
    """Documents of an NDJSON body; ``None`` if it is not plain."""
    count = in_lines(body, limits.json_depth, limits.line_bytes)
    return count if count >= 0 else None


def count_value(body: Buffer, limits: Limits) -> int | None:
    """Documents of a JSON body, an object or an array of them; ``None`` if it is not plain."""
    count = in_value(body, limits.json_depth)
    return count if count >= 0 else None
