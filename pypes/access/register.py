"""The clients that a process knows by their tokens.

No secret is compared byte by byte with what a client sends. A secret is found by its SHA-256 digest, and what was found good by
the bytes that the client sent, both in dictionaries: these compare only what has the same hash, which is keyed anew in each
process. So the time of an answer tells nothing about a secret, and ten thousand tokens take no longer than one.
"""

from __future__ import annotations

import asyncio
import hmac
import math
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from pypes.access.account import Account
from pypes.access.budget import Budget
from pypes.access.client import ADMIN_NAME, EVERYONE, Client, client_of
from pypes.access.spending import EVERYBODY, Spending
from pypes.access.store import TokenStore
from pypes.access.token import Token, digest_of
from pypes.core.clock import wall

#: Seconds between two looks for tokens that were made, changed or revoked, or have expired.
LOOK_S: Final = 0.5

#: Fields ``Authorization`` that are remembered, and the longest of them, in bytes.
MAX_REMEMBERED: Final = 16_384
MAX_FIELD_BYTES: Final = 512

_SCHEME: Final = b"bearer "


class Register:
    """Finds clients by their tokens: the one that the node was configured with, and those in the file at ``path``.

    Without that file there are no others. ``spending`` is what is used of their budgets, ``usual`` is the budget of those that
    have none: tokens, or all clients together on a node that asks for no token. Raises :class:`StoreError` if the file cannot be
    read.
    """

    def __init__(
        self,
        path: Path,
        configured: str | None = None,
        clock: Callable[[], float] = wall,
        spending: Spending | None = None,
        usual: Budget | None = None,
    ) -> None:
        self._clock = clock
        self._spending = spending or Spending()
        self._usual = usual or Budget()
        #: Everybody, on a node that asks for no token.
        self.everyone = EVERYONE
        if self._usual.given():
            self.everyone = client_of("", ("admin",), account=Account("", self._spending, EVERYBODY, self._usual))
        self._store = TokenStore(path, is_reader=True) if path.exists() else None
        self._tokens: dict[str, Token] = {}
        self._names: dict[bytes, str] = {}
        self._clients: dict[str, Client] = {}
        self._next_end = math.inf
        #: PERF: a digest costs as much as all else in here.
        self._remembered: dict[bytes, Client] = {}
        #: Called when a client does not pass any more, or not as before.
        self.on_change: list[Callable[[], None]] = []
        #: Called after each look of :meth:`watch`.
        self.on_look: list[Callable[[], None]] = []
        self._configured: Client | None = None
        self._configured_digest = b""
        if configured:
            self._configured = client_of(ADMIN_NAME, ("admin",))
            self._configured_digest = digest_of(configured.encode())
        self.look()

    @property
    def is_asking(self) -> bool:
        """True if clients need a token: there is one, or there was one."""
        return self._configured is not None or bool(self._tokens)

    def bearer(self, authorization: bytes) -> Client | None:
        """The client that has sent this field ``Authorization``; ``None`` if nobody has its token."""
        client = self._remembered.get(authorization)
        if client is not None:
            return client
        secret = _secret_of(authorization)
        client = None if secret is None else self.holder(secret)
        if client is not None and len(authorization) <= MAX_FIELD_BYTES:
            if len(self._remembered) >= MAX_REMEMBERED:
                self._remembered.clear()
            self._remembered[authorization] = client
        return client

    def holder(self, secret: bytes) -> Client | None:
        """The client that has this token; ``None`` if nobody has. One that was made a moment ago is known."""
        digest = digest_of(secret)
        if hmac.compare_digest(digest, self._configured_digest):
            return self._configured
        found = self._clients.get(self._names.get(digest, ""))
        if found is None and self.look():
            found = self._clients.get(self._names.get(digest, ""))
        return found

    def live(self, name: str) -> tuple[Client, bytes] | None:
        """The client whose token has this name, with the digest of its secret; ``None`` if there is none, or it has ended."""
        if name == ADMIN_NAME:
            return None if self._configured is None else (self._configured, self._configured_digest)
        client = self._clients.get(name)
        return None if client is None else (client, self._tokens[name].digest)

    def ended(self, authorization: bytes) -> str:
        """``revoked`` or ``expired``, of a token that was good once; empty for others. Only who has had it is told."""
        secret = _secret_of(authorization)
        token = None if secret is None else self._tokens.get(self._names.get(digest_of(secret), ""))
        state = "" if token is None else token.state(self._clock())
        return "" if state == "live" else state

    def look(self) -> bool:
        """Take notice of what has changed; True if anything has. Costs microseconds if nothing has."""
        if self._store is None:
            return False
        changed, now = self._store.changed(), self._clock()
        if not changed and now < self._next_end:
            return False
        others = []
        for token in changed:
            before = self._tokens.get(token.name)
            if before is not None:
                self._names.pop(before.digest, None)
            self._tokens[token.name] = token
            self._names[token.digest] = token.name
            client = self._clients.get(token.name)
            if before is not None and client is not None and _is_same(before, token):
                client.account.change(token.budget.over(self._usual))
            else:
                others.append(token)
        ended = [name for name in self._clients if self._tokens[name].state(now) != "live"]
        for name in {*ended, *(token.name for token in others)}:
            if (client := self._clients.pop(name, None)) is not None:
                client.ended.set()
        for token in others:
            if token.state(now) == "live":
                self._clients[token.name] = self._client(token)
        self._next_end = min((end for name in self._clients if (end := self._tokens[name].expires) is not None), default=math.inf)
        self._remembered.clear()
        for tell in self.on_change:
            tell()
        return True

    def _client(self, token: Token) -> Client:
        account = Account(token.name, self._spending, token.place, token.budget.over(self._usual), is_one_of_many=True)
        return client_of(token.name, token.scopes, token.graphs, account)

    async def watch(self) -> None:
        """Look again and again; never returns."""
        while True:
            await asyncio.sleep(LOOK_S)
            self.look()
            for tell in self.on_look:
                tell()

    def close(self) -> None:
        """Let go of the file."""
        if self._store is not None:
            self._store.close()


def _is_same(before: Token, after: Token) -> bool:
    """True if a token is as it was, but for its budget."""
    return before == msgspec.structs.replace(after, budget=before.budget)


def _secret_of(authorization: bytes) -> bytes | None:
    return authorization[len(_SCHEME) :].strip() if authorization[: len(_SCHEME)].lower() == _SCHEME else None
