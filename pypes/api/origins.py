"""Origins of requests that browsers send: this node's own pages, or others, over TLS or not; and what is answered to pages of
listed ones (CORS).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from pypes.api.sender import SENDER, UNKNOWN, Sender

Scope = MutableMapping[str, Any]
Send = Callable[[Any], Awaitable[None]]

#: Methods and headers for pages of listed origins, and the seconds for which a browser need not ask again.
PREFLIGHT = (
    (b"access-control-allow-methods", b"GET, HEAD, POST, PUT, PATCH, DELETE"),
    (
        b"access-control-allow-headers",
        b"Authorization, Content-Type, Content-Encoding, Content-Disposition, Idempotency-Key, If-Match, "
        b"If-None-Match, Last-Event-ID, Prefer, Pypes-Id",
    ),
    (b"access-control-max-age", b"600"),
)
EXPOSED = b"Location, Retry-After, ETag, Preference-Applied, Allow, Pypes-Cursor"


def is_own(origin: bytes, host: bytes | None) -> bool:
    """True for the origin of pages of this node."""
    return host is not None and origin.lower() in (b"http://" + host.lower(), b"https://" + host.lower())


def is_secure(scope: Scope) -> bool:
    """True if the browser reached the node, or a proxy before it, over TLS.

    Browsers send their origin with every form, so a proxy need not be one that the node was told: who makes an origin up has a
    cookie of its own at stake.
    """
    sender: Sender = scope.get(SENDER, UNKNOWN)
    return sender.is_secure or field_of(scope, b"origin").lower().startswith(b"https://")


def is_of_others(scope: Scope) -> bool:
    """True if the browser says that a page of another origin has asked (Fetch Metadata, ``Sec-Fetch-Site``)."""
    return field_of(scope, b"sec-fetch-site") not in (b"", b"same-origin", b"none")


def is_navigation(scope: Scope) -> bool:
    """True if the browser goes to the address, instead of fetching it for a page."""
    return field_of(scope, b"sec-fetch-mode") == b"navigate"


def is_by_hand(scope: Scope) -> bool:
    """True if the browser says that a person went to the address: by a link, or by loading the page again."""
    return field_of(scope, b"sec-fetch-user") == b"?1"


def field_of(scope: Scope, name: bytes) -> bytes:
    """The value of a header field by its lower-case name, empty if it was not sent."""
    return next((value for key, value in scope["headers"] if key == name), b"")


async def allow(send: Send, origin: bytes) -> None:
    """Answer the preflight request of a browser for a listed origin; it carries no token (Fetch standard, 4.8)."""
    await send({"type": "http.response.start", "status": 204, "headers": [*_cors(origin), *PREFLIGHT]})
    await send({"type": "http.response.body", "body": b""})


def shared_with(send: Send, origin: bytes) -> Send:
    """Let pages of a listed origin read the answer, whatever it is."""

    async def shared(message: Any) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *_cors(origin), (b"access-control-expose-headers", EXPOSED)]}
        await send(message)

    return shared


def _cors(origin: bytes) -> list[tuple[bytes, bytes]]:
    return [(b"access-control-allow-origin", origin), (b"vary", b"Origin")]
