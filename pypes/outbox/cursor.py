"""Cursors: which results of an outbox a client was given, as text that comes back in its acknowledgement.

A cursor is ``12-40.43-60~DIGEST``: the numbers of the results, and a digest of them with the key of the outbox's file. Nothing
is kept of it. So it can be acknowledged at any time, any number of times, and takes exactly what was given; a cursor that is
mistyped, or that a file which was removed has given, takes nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from typing import Final

from pypes.errors import NotFound

#: The first and the last of some results with successive numbers.
Range = tuple[int, int]

#: Most ranges of a cursor, which has to fit into the address of a request.
MOST_RANGES: Final = 100

_FORM: Final = re.compile(r"([0-9]{1,18}-[0-9]{1,18}(?:\.[0-9]{1,18}-[0-9]{1,18})*)~([0-9a-f]{16})")


def cursor_of(ranges: Iterable[Range], key: bytes) -> str:
    """The cursor of results."""
    text = ".".join(f"{first}-{last}" for first, last in ranges)
    return f"{text}~{_digest(text, key)}"


def ranges_of(cursor: str, key: bytes) -> Sequence[Range]:
    """Inverse of :func:`cursor_of`. Raises :class:`NotFound` for a cursor that this outbox has not given."""
    found = _FORM.fullmatch(cursor)
    if found is None or not hmac.compare_digest(_digest(found[1], key), found[2]):
        raise NotFound(
            "this outbox has given no such cursor; acknowledge the cursor of an answer as it is", code="outbox.unknown_cursor"
        )
    return [(int(first), int(last)) for first, last in (each.split("-") for each in found[1].split("."))]


def _digest(text: str, key: bytes) -> str:
    return hashlib.blake2b(text.encode(), key=key, digest_size=8).hexdigest()
