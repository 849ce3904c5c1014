"""The token of a node, and sessions: cookies with which browsers may look at it without the token.

A cookie holds its end, some random bytes, and a code made of both (HMAC-SHA256). The key comes from the token and from random
bytes that the arbiter makes at its start: nobody can try tokens against a cookie, and a session ends with the node, or with its
token. All ingest workers have the same key, and none keeps anything. A session that is ended before leaves a file in the runtime
directory, where all of them look.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from pypes.core.clock import wall
from pypes.runtime.worker.config import WorkerConfig

#: Seconds for which a session lasts.
SESSION_S: Final = 12 * 3600

#: Behind the names of the files of sessions that were ended.
ENDED: Final = ".ended"

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
        self._folder = Path(config.runtime_dir)

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
        return any(True for _ in self._running(cookies))

    def end(self, cookies: bytes) -> None:
        """End the sessions in a field ``Cookie``, for all workers. Raises ``OSError`` if they go on."""
        for session in list(self._running(cookies)):
            self._file(session).touch()
        for path in self._folder.glob(f"*{ENDED}"):
            if int(path.name.partition("-")[0]) <= self._clock():  # it would be over
                path.unlink(missing_ok=True)

    def _running(self, cookies: bytes) -> Iterator[bytes]:
        """The sessions in a field ``Cookie`` that are not over, each without its code."""
        name = self._name.encode()
        for pair in cookies.split(b";"):
            key, _, value = pair.strip().partition(b"=")
            if key == name:
                session, _, code = value.rpartition(b".")
                # only what was made here comes further than its code
                if (
                    hmac.compare_digest(code, self._code(session))
                    and self._clock() < int(session.partition(b".")[0])
                    and not self._file(session).exists()
                ):
                    yield session

    def _file(self, session: bytes) -> Path:
        return self._folder / f"{session.decode().replace('.', '-')}{ENDED}"

    def cookie(self, *, is_secure: bool) -> str:
        """``Set-Cookie`` for a session that begins now; ``is_secure``: the browser is to send it over TLS alone."""
        session = f"{int(self._clock()) + SESSION_S}.{secrets.token_hex(8)}"
        return self._set(f"{session}.{self._code(session.encode()).decode()}", SESSION_S, is_secure=is_secure)

    def no_cookie(self, *, is_secure: bool) -> str:
        """``Set-Cookie`` that has a browser forget its session."""
        return self._set("", 0, is_secure=is_secure)

    def _set(self, value: str, seconds: int, *, is_secure: bool) -> str:
        secure = "; Secure" if is_secure else ""
        return f"{self._name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"

    def _code(self, session: bytes) -> bytes:
        return hmac.digest(self._key, session, hashlib.sha256).hex().encode()
