"""The token of a node, and sessions: cookies with which browsers may look at it without the token.

A cookie holds its end and a code made of that (HMAC-SHA256). The key comes from the token and from random bytes that the arbiter
makes at its start: nobody can try tokens against a cookie, and a session ends with the node, or with its token. All ingest
workers have the same key, and none keeps anything.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Final

from pypes.core.clock import wall
from pypes.runtime.worker.config import WorkerConfig

#: Seconds for which a session lasts.
SESSION_S: Final = 12 * 3600

#: First parts of the addresses that a session may GET: nothing that is fetched there changes anything.
LOOKED_AT: Final = frozenset(
    {
        "",
        "components",
        "deadletters",
        "drafts",
        "events",
        "filters",
        "graphs",
        "logs",
        "metrics",
        "openapi.json",
        "receipts",
        "status",
    }
)


class Sessions:
    """Knows clients by the token in ``config``, or by a session. ``random`` are the random bytes for the key of sessions."""

    def __init__(self, config: WorkerConfig, random: bytes, clock: Callable[[], float] = wall) -> None:
        self._token = config.token.encode() if config.token else None
        self._key = hmac.digest(random, self._token or b"", hashlib.sha256)
        # browsers keep one set of cookies for all ports of a machine
        self._name = f"pypes-session-{config.port}"
        self._clock = clock

    @property
    def has_token(self) -> bool:
        return self._token is not None

    def is_token(self, text: bytes) -> bool:
        """True for the token of the node, compared in constant time."""
        return self._token is not None and hmac.compare_digest(text.strip(), self._token)

    def is_bearer(self, authorization: bytes | None) -> bool:
        """True if a field ``Authorization`` has the token."""
        return authorization is not None and authorization[:7].lower() == b"bearer " and self.is_token(authorization[7:])

    def may_look(self, method: str, path: str, cookies: bytes | None) -> bool:
        """True if a request without the token passes, because it only looks and its cookies hold a session."""
        is_looking = method in ("GET", "HEAD") and path.strip("/").partition("/")[0] in LOOKED_AT
        return is_looking and cookies is not None and self.is_session(cookies)

    def is_session(self, cookies: bytes) -> bool:
        """True if a field ``Cookie`` has a session that is not over."""
        name = self._name.encode()
        for pair in cookies.split(b";"):
            key, _, value = pair.strip().partition(b"=")
            if key == name:
                end, _, code = value.partition(b".")
                if hmac.compare_digest(code, self._code(end)):
                    # only what was made here comes so far
                    return self._clock() < int(end)
        return False

    def cookie(self, *, is_secure: bool) -> str:
        """``Set-Cookie`` for a session that begins now; ``is_secure``: the browser is to send it over TLS alone."""
        end = str(int(self._clock()) + SESSION_S).encode()
        return self._set((end + b"." + self._code(end)).decode(), SESSION_S, is_secure=is_secure)

    def no_cookie(self, *, is_secure: bool) -> str:
        """``Set-Cookie`` that has a browser forget its session."""
        return self._set("", 0, is_secure=is_secure)

    def _set(self, value: str, seconds: int, *, is_secure: bool) -> str:
        secure = "; Secure" if is_secure else ""
        return f"{self._name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"

    def _code(self, end: bytes) -> bytes:
        return hmac.digest(self._key, end, hashlib.sha256).hex().encode()
