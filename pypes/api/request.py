"""A request whose body can be taken whole, streamed, or thrown away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import falcon.asgi
import orjson

from pypes.access.client import NOBODY, Client
from pypes.api import former
from pypes.api.memory import Memory
from pypes.api.sender import SENDER, UNKNOWN, Sender
from pypes.api.sessions import Session
from pypes.core import numbers
from pypes.errors import BadRequest, InvalidInput, TooLarge
from pypes.ingest.codecs.json import is_deeper, may_be_deeper

#: Bytes of a refused body that are read and thrown away, and the time for that, before the connection is closed:
#: clients that send before they read would otherwise see a reset instead of the answer.
DISCARD_BYTES = 64 << 20
DISCARD_S = 2.0

#: Nesting of objects and arrays in a request. What is stored is copied, compared and encoded by functions that call themselves.
MAX_DEPTH = 256

#: The keys of the ASGI scope under which the guard leaves the client, and the session by which it is known.
CLIENT = "pypes.client"
SESSION = "pypes.session"

#: The field in which scripts show the CSRF token of their session.
CSRF = b"x-csrf-token"

FORM = "application/x-www-form-urlencoded"

#: Longer requests are parsed in a thread.
INLINE_JSON_BYTES = 16 << 10


#: Beginnings of the addresses about tokens and about signing in.
_KEYS = ("/tokens", "/session")


class Disconnected(Exception):
    """The client went away in the middle of its body: nothing of it may be used."""


class Request(falcon.asgi.Request):
    """Falcon's own stream ends alike when the body does and when the client goes away; here the two differ."""

    #: The memory that all bodies being received share; ``None``: each has as much as it may be long.
    memory: ClassVar[Memory | None] = None

    #: The name of what it does in the audit log, given by its responder.
    operation = ""

    _is_begun = False
    _is_complete = False
    _charged = 0

    @property
    def client(self) -> Client:
        """Its sender, as the guard has found out."""
        return self.scope.get(CLIENT, NOBODY)  # type: ignore[no-any-return]

    @property
    def client_address(self) -> str:
        """The address of its sender; proxies that the node was told are believed. Empty if it is not known."""
        sender: Sender = self.scope.get(SENDER, UNKNOWN)
        return sender.address

    @property
    def session(self) -> Session | None:
        """The session of the browser by which its sender is known, if it is one."""
        return self.scope.get(SESSION)

    def header(self, name: bytes) -> str:
        """Value of a header field by its lower-case name, ``""`` if it was not sent."""
        value = self._asgi_headers.get(name)
        return "" if value is None else value.decode("latin-1")

    def fields(self, prefix: bytes) -> list[tuple[str, str]]:
        """All header fields whose lower-case names begin with ``prefix``, repeated ones included."""
        return [
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in self.scope["headers"] if name.startswith(prefix)
        ]

    def has_header(self, name: bytes) -> bool:
        """True if a header field of this lower-case name was sent, even an empty one."""
        return name in self._asgi_headers

    @property
    def is_read(self) -> bool:
        """True if nothing of the body is to come."""
        event: Any = self._first_event
        return self._is_complete or not (self._is_begun or event.get("more_body"))

    def whole(self) -> bytes | None:
        """The body if all of it arrived with the head, as small bodies do; otherwise ``None``, and nothing is taken.

        Raises :class:`OverBudget` for a body whose length was not announced.
        """
        event: Any = self._first_event
        if event.get("more_body"):
            return None
        body: bytes = event.get("body", b"")
        self._charge(len(body))
        return body

    async def chunks(self) -> AsyncIterator[bytes]:
        """The unread rest of the body, as it arrives; raises :class:`Disconnected`.

        Of a body whose length was not announced, each piece is taken from the client's budget: raises :class:`OverBudget`.
        """
        while not self._is_complete:
            event: Any = await self._receive() if self._is_begun else self._first_event
            self._is_begun = True
            if event["type"] != "http.request":
                self._is_complete = True
                raise Disconnected
            self._is_complete = not event.get("more_body")
            if body := event.get("body"):
                self._charge(len(body))
                yield body

    def _charge(self, size: int) -> None:
        account = self.client.account
        # the guard has charged what was announced
        if account.is_charged and size and not self.has_header(b"content-length") and not is_free(self.client, self.path):
            if (over := account.charge_more(size, self._charged)) is not None:
                raise over
            self._charged += size

    async def read(self, max_bytes: int) -> bytes:
        """The whole body; raises :class:`TooLarge` as soon as it is known to exceed ``max_bytes``."""
        if (self.content_length or 0) > max_bytes:
            raise too_large(max_bytes)
        whole = self.whole()
        if whole is None:
            parts, size = [], 0
            with (self.memory or Memory(max_bytes)).share(self.client.account) as share:
                async for chunk in self.chunks():
                    parts.append(chunk)
                    size += len(chunk)
                    if size > max_bytes:
                        raise too_large(max_bytes)
                    if size > INLINE_JSON_BYTES:
                        await share.hold(size)
                return b"".join(parts)
        if len(whole) > max_bytes:
            raise too_large(max_bytes)
        return whole

    async def until_gone(self) -> None:
        """Return when the client has hung up. To be called once its body is complete; nobody else may receive meanwhile."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def json(self, max_bytes: int) -> Any:
        """The body as a JSON value; raises :class:`BadRequest` naming line and column."""
        body = await self.read(max_bytes)
        try:
            if len(body) <= INLINE_JSON_BYTES:
                return parse_json(body)
            return await asyncio.get_running_loop().run_in_executor(None, parse_json, body)
        except BadRequest as error:
            # curl calls everything a form that is not called otherwise: only what is no JSON can be one
            if error.code == "request.malformed" and self.header(b"content-type").startswith(FORM):
                instead = former.instead_of_form(self.method, self.path)
                raise BadRequest(f"this address reads no forms; send {instead}", code="request.form") from error
            raise

    async def discard(self) -> bool:
        """Read and discard the rest of the body; False if it was too long for that."""
        if self.is_read:
            return True
        if self.header(b"expect"):
            return False
        size = 0
        try:
            async with asyncio.timeout(DISCARD_S):
                while size <= DISCARD_BYTES:
                    event = await self._receive()
                    size += len(event.get("body", b""))
                    if not event.get("more_body"):
                        return True
        except TimeoutError:
            return False
        return False


def is_free(client: Client, path: str) -> bool:
    """True of what no budget is charged for: whoever may change budgets must not be locked out by one.

    These are requests about tokens, and sessions, with a token with the scope ``admin``. Where no token is needed, everybody may
    do everything, and the budget is that of the settings.
    """
    return path.startswith(_KEYS) and "admin" in client.scopes and client.name != ""


def too_large(max_bytes: int) -> TooLarge:
    return TooLarge(f"the body is longer than the {max_bytes} bytes that this address accepts; send less at a time")


def too_deep() -> InvalidInput:
    return InvalidInput(f"JSON is nested deeper than {MAX_DEPTH} levels; flatten it", code="request.too_deep")


def parse_json(body: bytes) -> Any:
    """A JSON value; raises :class:`BadRequest` naming line and column."""
    if not body.strip():
        raise BadRequest("the body is empty; send a JSON object", code="request.empty")
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if "ecursion" in error.msg:
            raise too_deep() from error
        place = f"line {error.lineno} column {error.colno}"
        raise BadRequest(f"malformed JSON: {error.msg} at {place}", code="request.malformed", where=place) from error
    if may_be_deeper(body, MAX_DEPTH) and is_deeper([value], MAX_DEPTH):
        raise too_deep()
    numbers.check(body)
    return value
