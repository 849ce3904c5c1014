"""Sessions of browsers: cookies that stand for a token which was shown once.

A cookie has the name of its token, the session's latest end, its end without another request, random bytes by which it is known,
and a code (HMAC-SHA256) of all this and of the digest of the token's secret. The key of the code is made by the supervisor at its
start, and all ingest workers have it. So nobody can try secrets against a cookie, and workers keep nothing: what is killed takes
no session along, but for the supervisor.

The rights of a session are looked up at each request, by the name of its token: they end with the token and change with it. A
session that is ended before leaves a file in the runtime directory, where all workers look.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import math
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final
from weakref import WeakKeyDictionary

from pypes.access.client import Client
from pypes.access.register import Register
from pypes.core.clock import wall
from pypes.runtime.worker.config import WorkerConfig

#: Behind the names of the files of sessions that were ended.
ENDED: Final = ".ended"

#: Before the name of a cookie that browsers take over TLS only, and from no other host: none from outside can take its place.
HOST_ONLY: Final = "__Host-"

#: Share of the idle time that has to pass before a browser is given its cookie anew.
RENEWED: Final = 0.1


@dataclass(frozen=True, slots=True)
class Session:
    """A session as a cookie has it; times are those of the wall clock, in seconds.

    It ends at ``ends``, and at ``until`` unless the cookie is renewed before. ``csrf`` is what pages of this node alone can read:
    a request that changes something shows that it comes from one. ``token`` is the client of its token.
    """

    id: str
    token: Client
    ends: int
    until: int
    csrf: str = field(repr=False)
    is_host_only: bool
    digest: bytes = field(repr=False)


class Sessions:
    """The sessions of a node, as each of its ingest workers knows them. ``register`` knows the tokens."""

    def __init__(self, config: WorkerConfig, register: Register, clock: Callable[[], float] = wall) -> None:
        self._register = register
        self._clock = clock
        self._longest_s = config.session_s
        self.idle_s = config.session_idle_s
        self._cookie_key = hmac.digest(config.session_key, b"cookie", hashlib.sha256)
        self._csrf_key = hmac.digest(config.session_key, b"csrf", hashlib.sha256)
        # browsers keep one set of cookies for all ports of a machine, and for all nodes behind a proxy
        self._name = f"pypes-session-{config.node}"
        self._folder = Path(config.runtime_dir)
        #: The clients of requests under way, which may last: streams.
        self._under_way: WeakKeyDictionary[Client, Session] = WeakKeyDictionary()
        register.on_change.append(self.sweep)
        register.on_look.append(self.sweep)

    def begin(self, secret: bytes, *, is_secure: bool) -> Session | None:
        """Begin a session for whoever shows the secret of a token; ``None`` if nobody has it.

        ``is_secure``: the browser came over TLS, and is to send the cookie over TLS alone. Raises :class:`StoreError`.
        """
        holder = self._register.holder(secret)
        found = None if holder is None else self._register.live(holder.name)
        if found is None:
            return None
        token, digest = found
        ends = math.ceil(self._clock() + self._longest_s)
        id = secrets.token_hex(16)
        return Session(id, token, ends, self._until(ends), self._csrf(id), is_secure, digest)

    def find(self, cookies: bytes, *, is_secure: bool) -> Session | None:
        """The session in a field ``Cookie`` that is not over; ``None`` if there is none. Raises :class:`StoreError`.

        Over TLS (``is_secure``) only cookies of which browsers make sure that this host has set them count. Of several sessions
        none counts: other servers of the machine may have put theirs beside the right one.
        """
        plain, host_only = self._values(cookies)
        values, is_host_only = (host_only, True) if host_only or is_secure else (plain, False)
        found = [session for value in values if (session := self._read(value, is_host_only=is_host_only)) is not None]
        return found[0] if len(found) == 1 else None

    def has_cookie(self, cookies: bytes) -> bool:
        """True if a field ``Cookie`` has a session of this node, though it may be over."""
        return any(map(any, self._values(cookies)))

    def client_of(self, session: Session) -> Client:
        """The client of one request: with the rights of the token, and it has ``ended`` when the token or the session has."""
        client = replace(session.token, ended=asyncio.Event())
        self._under_way[client] = session
        return client

    def sweep(self) -> None:
        """Tell the requests under way whose session is over."""
        for client, session in [*self._under_way.items()]:
            if session.token.ended.is_set() or self._is_over(session):
                client.ended.set()

    def end(self, session: Session) -> None:
        """End a session, for all workers. Raises ``OSError`` if it goes on."""
        self._file(session.id, session.ends).touch()
        for path in self._folder.glob(f"*{ENDED}"):
            if int(path.name.partition("-")[0]) <= self._clock():  # it would be over
                path.unlink(missing_ok=True)
        self.sweep()

    def cookie(self, session: Session) -> str:
        """``Set-Cookie`` for a session. The browser forgets it at its own end at the latest."""
        known = f"{session.token.name}.{session.ends}.{session.until}.{session.id}"
        return self._set(f"{known}.{self._code(known, session.digest)}", is_host_only=session.is_host_only)

    def renewed(self, session: Session) -> str | None:
        """``Set-Cookie`` with which a session goes on after a request; ``None`` while the cookie of the browser is as good."""
        until = self._until(session.ends)
        return None if until - session.until <= self.idle_s * RENEWED else self.cookie(replace(session, until=until))

    def no_cookie(self, *, is_secure: bool) -> str:
        """``Set-Cookie`` that has a browser forget its session."""
        return self._set("", is_host_only=is_secure, more="; Max-Age=0")

    def _until(self, ends: int) -> int:
        return min(ends, math.ceil(self._clock() + self.idle_s)) if self.idle_s else ends

    def _values(self, cookies: bytes) -> tuple[list[bytes], list[bytes]]:
        """The values of the cookies of this node that are not empty: plain ones, and those that are this host's only."""
        plain, host_only = self._name.encode(), (HOST_ONLY + self._name).encode()
        pairs = [pair.strip().partition(b"=") for pair in cookies.split(b";")]
        own = [(name, value) for name, _, value in pairs if value]
        return [value for name, value in own if name == plain], [value for name, value in own if name == host_only]

    def _read(self, value: bytes, *, is_host_only: bool) -> Session | None:
        """The session in a cookie, unless it was not made here, or is over."""
        try:
            known, _, code = value.decode("ascii").rpartition(".")
        except UnicodeDecodeError:
            return None
        name = known.partition(".")[0]
        found = self._made_here(name, known, code)
        if found is None and self._register.look():  # another worker knows the token already
            found = self._made_here(name, known, code)
        if found is None:
            return None
        _, ends, until, id = known.split(".")
        token, digest = found
        session = Session(id, token, int(ends), int(until), self._csrf(id), is_host_only, digest)
        return None if self._is_over(session) else session

    def _made_here(self, name: str, known: str, code: str) -> tuple[Client, bytes] | None:
        """The live client of a token and its digest, if a code is right; only what was made here has one that is."""
        found = self._register.live(name)
        return found if found is not None and hmac.compare_digest(code, self._code(known, found[1])) else None

    def _code(self, known: str, digest: bytes) -> str:
        return hmac.digest(self._cookie_key, known.encode() + b"." + digest, hashlib.sha256).hex()

    def _csrf(self, id: str) -> str:
        return hmac.digest(self._csrf_key, id.encode(), hashlib.sha256).hex()

    def _is_over(self, session: Session) -> bool:
        return self._clock() >= session.until or self._file(session.id, session.ends).exists()

    def _file(self, id: str, ends: int) -> Path:
        return self._folder / f"{ends}-{id}{ENDED}"

    def _set(self, value: str, *, is_host_only: bool, more: str = "") -> str:
        name, secure = (HOST_ONLY + self._name, "; Secure") if is_host_only else (self._name, "")
        return f"{name}={value}; Path=/{more}; HttpOnly; SameSite=Strict{secure}"
