"""``/session``: signing in with a token, who is signed in, and signing out."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import falcon.asgi
import msgspec
import orjson

from pypes.access.client import NOBODY, SCOPES
from pypes.api.change import cause_of
from pypes.api.markup import MEDIA_TYPE, answer, document, text
from pypes.api.operation import NAMES, OPEN, TEXT, Answer, Schema, obj, operation
from pypes.api.origins import is_of_others, is_secure
from pypes.api.permission import check_csrf
from pypes.api.request import CSRF, FORM, Request
from pypes.api.sessions import Session, Sessions
from pypes.errors import Forbidden, Unauthorized, Unavailable
from pypes.ingest.receipt import rfc3339

if TYPE_CHECKING:
    from pypes.runtime.worker.worker import IngestWorker

#: Longest form: a token fits many times over.
MAX_FORM_BYTES = 16 << 10

HTML = MEDIA_TYPE.partition(";")[0]
_MAYBE: Schema = {"type": ["string", "null"]}
_WHO = obj(
    name={**TEXT, "description": "The name of the token; empty on a node that asks for none."},
    scopes={**NAMES, "description": "All scopes, those that come with others included."},
    graphs={**NAMES, "description": "Graphs that the token is for, names and patterns; none: all graphs."},
    ends={**_MAYBE, "format": "date-time", "description": "The latest end of the session; null without one."},
    idle_s={"type": ["number", "null"], "description": "Seconds without a request after which it ends before; 0: it does not."},
    csrf={**_MAYBE, "description": "What is to be sent as X-CSRF-Token with what changes something."},
)
_ELSEWHERE = "The form comes from a page of another origin (origin.foreign)"


class SignIn:
    """``/session`` and ``/session/end`` of one ingest worker."""

    def __init__(self, worker: IngestWorker, sessions: Sessions) -> None:
        self._worker = worker
        self._sessions = sessions

    @operation(
        "Who is signed in, and may do what",
        {200: Answer("The client of the token or of the session.", _WHO)},
        errors={401: "Nobody is signed in: there is no token and no session."},
        scope=OPEN,
    )
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        client, session = req.client, req.session
        if client is NOBODY:
            raise Unauthorized("nobody is signed in: sign in at /, or send Authorization: Bearer TOKEN", code="token.missing")
        resp.set_header("cache-control", "no-store")
        resp.data = orjson.dumps(
            {
                "name": client.name,
                "scopes": [scope for scope in SCOPES if scope in client.scopes],
                "graphs": client.graphs,
                "ends": None if session is None else rfc3339(session.ends),
                "idle_s": None if session is None else self._sessions.idle_s,
                "csrf": None if session is None else session.csrf,
            }
        )

    on_head = on_get

    @operation(
        "Sign in: begin a session of a browser, which may do what the token may",
        {
            303: Answer("A session began: its cookie is set, and the page is at Location.", None, {"Location": "The page."}),
            401: Answer("The token is wrong, and asked for once more.", TEXT, media=HTML),
        },
        errors={403: f"{_ELSEWHERE}.", 503: "Tokens cannot be looked up."},
        body={FORM: obj(token=TEXT)},
        scope=OPEN,
        audit="session.begin",
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        secret = (await _form(req)).get("token", [""])[0].strip().encode()
        if self._worker.register.is_asking:
            session = self._sessions.begin(secret, is_secure=is_secure(req.scope))
            if session is None:
                ended = self._worker.register.ended(b"Bearer " + secret)
                told = {"": "is not one of this node", "revoked": "was revoked", "expired": "has expired"}[ended]
                answer(resp, form(f"This token {told}."), status=401)
                return
            await self._note(req, session)
            if req.session is not None:
                with suppress(OSError):  # it ends by itself
                    self._sessions.end(req.session)
            resp.append_header("set-cookie", self._sessions.cookie(session))
        _go_on(resp, "./")

    @operation(
        "Sign out: end the session of a browser",
        {303: Answer("The session is over; the page is at Location.", None, {"Location": "The page."})},
        errors={
            403: f"{_ELSEWHERE}, or has not the csrf of the session: as its field, or as X-CSRF-Token (csrf.missing).",
            503: "The session cannot be ended, since the disk is full.",
        },
        body={FORM: obj(csrf=TEXT)},
        scope=OPEN,
        audit="session.end",
    )
    async def on_post_end(self, req: Request, resp: falcon.asgi.Response) -> None:
        given, session = (await _form(req)).get("csrf", [""])[0], req.session
        is_host_only = is_secure(req.scope)
        if session is not None:
            check_csrf(session, given or req.header(CSRF))
            is_host_only = session.is_host_only
            await self._note(req, session)
            try:
                self._sessions.end(session)
            except OSError as error:
                raise Unavailable(
                    f"the session goes on until {rfc3339(session.until)}: {error}; sign out again when there is room on the disk",
                    code="session.not_ended",
                ) from error
        resp.append_header("set-cookie", self._sessions.no_cookie(is_secure=is_host_only))
        _go_on(resp, "../")

    async def _note(self, req: Request, session: Session) -> None:
        """Write the line of a session in the audit log, before it begins or ends."""
        await self._worker.audit.note(msgspec.structs.replace(cause_of(req), by=session.token.name))


async def _form(req: Request) -> dict[str, list[str]]:
    """The fields of a form of a page of this node; the guard has looked at its origin. Raises :class:`Forbidden` for others."""
    fields = parse_qs((await req.read(MAX_FORM_BYTES)).decode("utf-8", "replace"))
    if is_of_others(req.scope):
        raise Forbidden("this form is taken from pages of this node only", code="origin.foreign")
    return fields


def form(message: str) -> bytes:
    """The page that asks for a token, with a message if there is one."""
    told = f'<p class="bad" role="alert">{text(message)}</p>' if message else ""
    return document(
        "Pypes: sign in",
        f'<main class="login"><h1>Pypes</h1><p>This node shows itself to those who have a token.</p>{told}'
        '<form method="post" action="session"><label for="token">Token</label>'
        '<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>'
        "<button>Sign in</button></form></main>",
    )


def _go_on(resp: falcon.asgi.Response, place: str) -> None:
    """Have a browser GET another address, relative to this one: a proxy may have put the node under a path of its own."""
    resp.status = 303
    resp.set_header("location", place)
    resp.set_header("cache-control", "no-store")
