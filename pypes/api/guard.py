"""The guard, which admits or refuses clients. Plain ASGI in front of Falcon, run for every request.

- ``Host`` must be a name the server was told (or that of its own address): a web page that resolves its own name to this
  machine (DNS rebinding) is refused.
  So is ``X-Forwarded-Host`` of a proxy that is known (:mod:`pypes.api.sender`).
- A foreign ``Origin`` may not change anything: no web page creates filters on somebody's laptop. Those that are listed may, and
  read what is answered (CORS).
- On a node with tokens, ``Authorization: Bearer`` must carry one (:mod:`pypes.access.register`): it tells the client, which goes
  along with the request. A browser that has signed in has a session in its place (:mod:`pypes.api.sessions`), unless a page of
  another origin asks. Browsers send cookies by themselves, so what changes something by a session must show its CSRF token, too.
  Addresses that are open need neither: load balancers probe without a token. What a client may do is seen to where the address
  is answered (:mod:`pypes.api.permission`).
- A body that announces to be too long, or longer than the queue has room for, is refused before a byte of it is read.
- A node that is stopping takes nothing new and closes its connections.
- A client that is over a budget of its token is refused (:mod:`pypes.access.account`), and so is one that has as many requests
  under way as half of the connections: others must get in, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from pypes.access.account import Account
from pypes.access.client import NOBODY, Client, client_of
from pypes.access.register import Register
from pypes.api import problems
from pypes.api.counting import REASON
from pypes.api.door import room
from pypes.api.origins import (
    Scope,
    Send,
    allow,
    field_of,
    is_by_hand,
    is_navigation,
    is_of_others,
    is_own,
    is_secure,
    shared_with,
)
from pypes.api.permission import check_csrf
from pypes.api.request import CLIENT, CSRF, SESSION, is_free, too_large
from pypes.api.sender import SENDER, Fields, Proxies
from pypes.api.sessions import Session, Sessions
from pypes.core.addresses import is_loopback
from pypes.errors import BadRequest, Draining, Forbidden, OverBudget, PypesError, Unauthorized
from pypes.runtime.worker.config import WorkerConfig

App = Callable[[Any, Any, Any], Awaitable[None]]

LOOPBACK = ("localhost", "127.0.0.1", "::1")
ANYWHERE = ("0.0.0.0", "::")

#: Probes of load balancers, which are answered however crowded the node is.
PROBE_PATHS = frozenset({"/healthz", "/readyz"})
#: Addresses of forms, which are taken from pages of this node only. They look at the CSRF token themselves: it is in the form.
FORM_PATHS = frozenset({"/session", "/session/end"})
#: Addresses that ask browsers for a token themselves.
ASKING_PATHS = FORM_PATHS | {"/", "/plain"}
#: Files of the editor, which tell nothing of the node.
STATIC_PATHS = "/static/"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

#: A client without a token, at an address that was opened.
VISITOR = client_of("", ("read",))

#: Parameter of the page that fetches itself again, and field of requests that the editor makes by itself, as it opens its stream
#: of events. Nobody is there for that, and no session goes on by it.
AGAIN = b"again=1"
AGAIN_FIELD = b"pypes-again"
STREAM_PATH = "/events"

#: Fields of answers to a session, unless they have others: nobody keeps them, reads anything else in them, or puts them on pages
#: of another origin.
PRIVATE = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"same-origin"),
)

#: Spellings of hosts that were found good (names times ports) and are not taken apart again.
MAX_REMEMBERED = 256

#: Bodies of refused requests up to here are thrown away; with longer ones, the connection ends.
THROWN_AWAY_BYTES = 64 << 10

#: A name has at most 253 bytes (RFC 1035), then comes the port.
MAX_HOST_BYTES = 300


class Guard:
    """An ASGI application that lets through to ``app`` what may pass.

    ``state`` gives starting, ready or draining; ``check_room`` raises if documents of so many bytes would not be taken.
    """

    def __init__(
        self,
        app: App,
        config: WorkerConfig,
        register: Register,
        sessions: Sessions,
        state: Callable[[], str],
        check_room: Callable[[int], None] = lambda size: None,
    ) -> None:
        self._app = app
        self._state = state
        self._check_room = check_room
        self._spool_bytes = config.limits.spool_bytes
        self._register = register
        self._sessions = sessions
        self._open_paths = frozenset(f"/{name}" for name in config.open_addresses)
        self._max_bytes = config.limits.body_bytes
        self._most = room(config.limits)
        #: PERF: shorter numbers need not be looked at.
        self._long_digits = len(str(min(config.limits.body_bytes, config.limits.spool_bytes)))
        names = {config.host, *config.hosts} - set(ANYWHERE)
        if is_loopback(config.host) or config.host in ANYWHERE:
            names.update(LOOPBACK)
        self._is_any_host = "*" in names
        self._names = frozenset(_bare(name).lower() for name in names)
        self._origins = frozenset(origin.rstrip("/").lower().encode() for origin in config.origins)
        self._good_hosts: set[bytes] = set()
        #: The proxies before the node.
        self.proxies = Proxies(config.proxies)

    def __call__(self, scope: Scope, receive: Any, send: Send) -> Awaitable[None]:
        if scope["type"] != "http":
            return self._app(scope, receive, send)
        host = origin = token = cookies = length = None
        good, is_chunked, is_repeated = True, False, False
        for name, value in scope["headers"]:
            if name == b"host":
                # a second Host is as bad as a wrong one: proxies and servers differ in which they believe
                good = host is None and (value in self._good_hosts or self._is_good_host(value, scope))
                host = value
            elif name == b"origin":
                origin = value
            elif name == b"authorization":
                # as with Host: a proxy may have looked at the other one
                is_repeated = token is not None
                token = value
            elif name == b"content-length":
                length = value
            elif name == b"cookie":
                cookies = value
            elif name == b"transfer-encoding":
                is_chunked = True
        # HTTP/1.0 has no Host, and no browser speaks it
        if not good or (host is None and scope["http_version"] != "1.0"):
            return problems.send(send, _bad_host(host))
        try:
            sender = self.proxies.sender(scope.get("client"), scope.get("scheme") == "https", host, scope["headers"])
        except PypesError as unreadable:
            return problems.send(send, unreadable)
        if sender.host is not host:
            host = sender.host
            if host not in self._good_hosts and not self._is_good_host(host or b"", scope):
                return problems.send(send, _bad_host(host, "X-Forwarded-Host"))
        if is_repeated:
            return problems.send(send, _repeated())
        scope[SENDER] = sender
        method = scope["method"]
        if origin is not None and origin.lower() in self._origins:
            if method == "OPTIONS" and any(name == b"access-control-request-method" for name, _ in scope["headers"]):
                return allow(send, origin)
            send = shared_with(send, origin)
        if origin is not None and method not in SAFE_METHODS and not self._is_good_origin(origin, host, scope["path"]):
            foreign = Forbidden(
                "pages of this origin may not change anything on this node; add the origin to origins in pypes.ini to allow them",
                code="origin.foreign",
            )
            return problems.send(send, foreign)
        try:
            client = self._client_of(token)
            if client is None and cookies is not None and not _is_bearer(token):
                session = self._session(scope, origin, host, cookies)
                if session is not None:
                    scope[SESSION] = session
                    client = self._sessions.client_of(session)
                    send = self._private(send, session, scope)
        except PypesError as refusal:
            return problems.send(send, refusal)
        if client is None and (client := self._without_token(scope["path"])) is None:
            return problems.send(send, self._bad_token(token, cookies))
        scope[CLIENT] = client
        # a length that is not a number was refused by the HTTP parser
        if length is not None and len(length) >= self._long_digits and (error := self._no_room(int(length), scope)) is not None:
            return self._refuse(error, scope, send, {"connection": "close"})
        if (stopping := self.draining()) is not None:
            if method not in SAFE_METHODS:
                return problems.send(send, stopping)
            send = _closing(send)
        account = client.account
        if (account.is_charged or account.is_one_of_many) and scope["path"] not in PROBE_PATHS:
            # of a body whose length is not known there is a byte at least
            size = int(length) if length is not None else int(is_chunked)
            return self._metered(account, size, scope, receive, send)
        return self._app(scope, receive, send)

    async def _metered(self, account: Account, size: int, scope: Scope, receive: Any, send: Send) -> None:
        """Go on with a request whose client has a budget, or is one of many, if it has not used as much as it may."""
        error: OverBudget | None
        if account.is_crowded(self._most):
            error = account.too_many()
            # once more would only take a connection
            await self._refuse(error, scope, send, {"connection": "close"})
            return
        account.under_way += 1
        try:
            is_charged = account.is_charged and not is_free(scope[CLIENT], scope["path"])
            error = account.charge(size, int(scope["path"].startswith("/docs"))) if is_charged else None
            if error is None:
                await self._app(scope, receive, send)
                return
            await asyncio.sleep(error.hold_s)
            # short ones come in any case
            is_short = size <= THROWN_AWAY_BYTES and not any(name == b"transfer-encoding" for name, _ in scope["headers"])
            await self._refuse(error, scope, send, {} if is_short else {"connection": "close"})
        finally:
            account.under_way -= 1

    async def _refuse(self, error: PypesError, scope: Scope, send: Send, headers: Mapping[str, str]) -> None:
        scope[REASON] = error
        await problems.send(send, error, headers=headers)

    def known(self, host: bytes, token: bytes | None) -> Client | None:
        """The client of a request to this host, which was found good before, with this ``Authorization``; ``None``: unknown."""
        return self._client_of(token) if host in self._good_hosts else None

    def is_forwarded(self, peer: tuple[str, int] | None, host: bytes, fields: Fields) -> bool:
        """True if what a proxy says in these fields, if it is one, can be read and names a host that was found good before."""
        try:
            sender = self.proxies.sender(peer, False, host, fields)
        except PypesError:
            return False
        return sender.host in self._good_hosts

    def _client_of(self, token: bytes | None) -> Client | None:
        """The client with this ``Authorization``. Raises :class:`StoreError` if it cannot be looked up."""
        if token is not None and (client := self._register.bearer(token)) is not None:
            return client
        # asked afterwards: to look up a token is to see that there is one
        return None if self._register.is_asking else self._register.everyone

    def watch(self, on_change: Callable[[], None]) -> None:
        """Have a function called when clients that were known do not pass any more, or not as before."""
        self._register.on_change.append(on_change)

    def draining(self) -> Draining | None:
        """The refusal of what is new if the node is stopping."""
        if self._state() != "draining":
            return None
        return Draining("the node is stopping and accepts nothing new; try another node, or this one later")

    def _no_room(self, length: int, scope: Scope) -> PypesError | None:
        """The refusal of a body of this length that need not even be read, ``None`` if it has to be."""
        if length > self._max_bytes:
            return too_large(self._max_bytes)
        if length > self._spool_bytes and scope["path"].startswith("/docs"):
            # what came before under its key is not taken again, and needs no room
            if any(name == b"idempotency-key" for name, _ in scope["headers"]):
                return None
            try:
                self._check_room(length)
            except PypesError as error:
                return error
        return None

    def _is_good_host(self, value: bytes, scope: Scope) -> bool:
        if len(value) > MAX_HOST_BYTES:
            return False
        host = _bare(value.decode("latin-1")).lower()
        # an address (not a name) at which the connection arrived cannot have been rebound
        server = scope.get("server")
        if not (self._is_any_host or host in self._names or (server is not None and host == server[0])):
            return False
        if len(self._good_hosts) < MAX_REMEMBERED:
            self._good_hosts.add(value)
        return True

    def _is_good_origin(self, origin: bytes, host: bytes | None, path: str) -> bool:
        return is_own(origin, host) or (origin.lower() in self._origins and path not in FORM_PATHS)

    def _session(self, scope: Scope, origin: bytes | None, host: bytes | None, cookies: bytes) -> Session | None:
        """The session of a browser, unless a page of another origin has asked.

        Raises :class:`Forbidden` for what would change something and does not show that an own page has asked, and
        :class:`StoreError` if tokens cannot be looked up.
        """
        session = self._sessions.find(cookies, is_secure=is_secure(scope))
        is_safe = scope["method"] in SAFE_METHODS
        # a link on a page of another port may lead here; of other sites browsers send no cookie at all (SameSite)
        is_foreign = is_of_others(scope) and not (is_safe and is_navigation(scope))
        if session is None or is_foreign or (origin is not None and not is_own(origin, host)):
            return None
        if not is_safe and scope["path"] not in FORM_PATHS:
            check_csrf(session, field_of(scope, CSRF).decode("latin-1"))
        return session

    def _private(self, send: Send, session: Session, scope: Scope) -> Send:
        """Have nobody keep an answer to a session, which goes on for the idle time if its browser has asked for a person."""
        is_form = scope["method"] not in SAFE_METHODS and scope["path"] in FORM_PATHS  # it has a cookie of its own
        says_so = AGAIN in scope.get("query_string", b"").split(b"&") or field_of(scope, AGAIN_FIELD) == b"1"
        by_itself = (says_so or scope["path"] == STREAM_PATH) and not is_by_hand(scope)
        cookie = None if is_form or by_itself else self._sessions.renewed(session)

        async def private(message: Any) -> None:
            if message["type"] == "http.response.start":
                names = {name for name, _ in message["headers"]}
                fields = [field for field in PRIVATE if field[0] not in names]
                if cookie is not None:
                    fields.append((b"set-cookie", cookie.encode()))
                message = {**message, "headers": [*message["headers"], *fields]}
            await send(message)

        return private

    def _without_token(self, path: str) -> Client | None:
        """The client of a request without a good token, if it needs none."""
        if path in PROBE_PATHS & self._open_paths or path in ASKING_PATHS or path.startswith(STATIC_PATHS):
            return NOBODY
        return VISITOR if path in self._open_paths else None

    def _bad_token(self, token: bytes | None, cookies: bytes | None) -> Unauthorized:
        if token is None and cookies is not None and self._sessions.has_cookie(cookies):
            return Unauthorized(
                "the session of this browser is over, or a page of another origin asks; sign in again at /", code="session.ended"
            )
        if token is None:
            return Unauthorized("a bearer token is required: send Authorization: Bearer TOKEN", code="token.missing")
        if state := self._register.ended(token):
            told, code = ("was revoked", "token.revoked") if state == "revoked" else ("has expired", "token.expired")
            return Unauthorized(f"the bearer token {told}; ask who may create tokens for another one", code=code)
        return Unauthorized("the bearer token is wrong: compare it with the one that the server knows", code="token.invalid")


def _is_bearer(token: bytes | None) -> bool:
    """True of ``Authorization`` in the way of this node; a proxy may have asked for another."""
    return token is not None and token[:7].lower() == b"bearer "


def _bare(host: str) -> str:
    """A host without port and brackets; one with anything else about it stays as it is."""
    if host.count(":") > 1 and not host.startswith("["):
        return host
    try:
        parts = urlsplit(f"//{host}")
        is_plain = parts.netloc == host and "@" not in host and (parts.port is None or parts.port > 0)
    except ValueError:  # of what is no address, and no port
        return host
    return parts.hostname or host if is_plain else host


def _bad_host(host: bytes | None, field: str = "Host") -> PypesError:
    if host is None:
        return BadRequest("the request has no Host header", code="host.missing")
    return Forbidden(
        f"the {field} header names a server that this node does not answer for; add the name to hosts in pypes.ini if it should",
        code="host.foreign",
    )


def _repeated() -> BadRequest:
    return BadRequest("the request has more than one Authorization header; send one", code="authorization.repeated")


def _closing(send: Send) -> Send:
    async def closing(message: Any) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
        await send(message)

    return closing
