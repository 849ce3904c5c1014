"""Addresses: which resource a path leads to, and what its variables are.

A path is taken apart as it was sent, and each segment is percent-decoded by itself: ``%2F`` is a slash within a segment, and no
separator; nothing is normalised. So an id may hold any text, and two that differ by a byte are two.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote_to_bytes

from falcon.routing import CompiledRouter

from pypes.api.counting import ROUTE
from pypes.errors import BadRequest

_BROKEN = re.compile(rb"%(?![0-9A-Fa-f]{2})")


class AddressRouter(CompiledRouter):
    """Falcon's router for paths as they were sent (``raw_path`` of the ASGI scope)."""

    def find(self, uri: str, req: Any = None) -> Any:
        """As Falcon's. Raises :class:`BadRequest` (``request.path``) for a path that is no UTF-8 or is encoded wrongly."""
        raw = b"" if req is None else req.scope.get("raw_path") or b""
        is_encoded = b"%" in raw
        path = _segments(raw) if is_encoded else uri
        # the last slash of a collection means nothing, that of an id is a part of it
        if path.endswith("/") and len(path) > 1 and not (path.startswith("/docs/") and path.count("/") > _OF_DOCS):
            path = path[:-1]
        found = super().find(path, req)
        if found is not None and req is not None:
            req.scope[ROUTE] = str(found[3]).replace(":path}", "}")
        if is_encoded and found is not None:
            params = found[2]
            for name, value in params.items():
                params[name] = value.replace("%2F", "/").replace("%25", "%")
        return found


#: Slashes in ``/docs/ROUTE``; in an address with more of them, an id begins after the last of these.
_OF_DOCS = 2


def _segments(raw: bytes) -> str:
    """A path whose segments are decoded, but for slashes and percent signs within them."""
    if _BROKEN.search(raw) is not None:
        raise BadRequest("a percent sign in the path is not followed by two hex digits; write it as %25", code="request.path")
    try:
        return "/".join(unquote_to_bytes(segment).decode().replace("%", "%25").replace("/", "%2F") for segment in raw.split(b"/"))
    except UnicodeDecodeError as error:
        raise BadRequest(
            "the path is not UTF-8; encode the text of an id as UTF-8, then percent-encode it", code="request.path"
        ) from error
