"""``/session``: signing in with a token, who is signed in, and signing out."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import falcon.asgi
import msgspec
import orjson

from pypes.access.client import NOBODY, SCOPES, Client
from pypes.api.change import cause_of
from pypes.api.markup import MEDIA_TYPE, answer, document, text
from pypes.api.operation import NAMES, OPEN, TEXT, Answer, Schema, obj, operation
from pypes.api.origins import is_of_others, is_secure
from pypes.api.permission import check_csrf, permit
from pypes.api.request import CSRF, FORM, Request
from pypes.api.sessions import Session, Sessions
from pypes.errors import Forbidden, Unauthorized, Unavailable
from pypes.ingest.receipt import rfc3339
from pypes.observe import picture

if TYPE_CHECKING:
    from pypes.runtime.worker.worker import IngestWorker

#: Longest form: a token fits many times over.
MAX_FORM_BYTES = 16 << 10

HTML = MEDIA_TYPE.partition(";")[0]
#: Address of the page that needs no script.
PLAIN = "plain"
_TO: Schema = {**TEXT, "enum": ["", PLAIN], "description": "The page to be shown then: the editor, or the one without a script."}
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
        body={FORM: obj({"to": _TO}, token=TEXT)},
        scope=OPEN,
        audit="session.begin",
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        given = await _form(req)
        secret = given.get("token", [""])[0].strip().encode()
        # nowhere else: others could send a browser to their own pages with a link
        to = PLAIN if given.get("to") == [PLAIN] else ""
        if self._worker.register.is_asking:
            session = self._sessions.begin(secret, is_secure=is_secure(req.scope))
            if session is None:
                ended = self._worker.register.ended(b"Bearer " + secret)
                told = {"": "is not one of this node", "revoked": "was revoked", "expired": "has expired"}[ended]
                answer(resp, form(f"This token {told}.", to), status=401)
                return
            await self._note(req, session)
            if req.session is not None:
                with suppress(OSError):  # it ends by itself
                    self._sessions.end(req.session)
            resp.append_header("set-cookie", self._sessions.cookie(session))
        _go_on(resp, f"./{to}")

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


def is_turned_away(req: Request, resp: falcon.asgi.Response, sessions: Sessions, to: str = "") -> bool:
    """Answer a browser that may not see a page, and say so; ``to`` is the address to which a form leads back.

    Raises :class:`Forbidden` for a client that is no browser, and has not the scope.
    """
    client, session = req.client, req.session
    if client is NOBODY:
        was_signed_in = sessions.has_cookie(req.header(b"cookie").encode("latin-1"))
        answer(resp, form("The session is over: sign in again." if was_signed_in else "", to), status=401)
        return True
    if session is not None and "read" not in client.scopes:
        answer(resp, document("Pypes", _not_shown(client) + f"<footer>{signed_in(session)}</footer>"), status=403)
        return True
    permit(client, ("read",))
    return False


def form(message: str, to: str = "") -> bytes:
    """The page that asks for a token and then leads ``to`` an address, with a message if there is one."""
    told = f'<p class="bad" role="alert">{text(message)}</p>' if message else ""
    return document(
        "Pypes: sign in",
        f'<main class="login"><h1>Pypes</h1><p>This node shows itself to those who have a token.</p>{told}'
        f'<form method="post" action="session"><input type="hidden" name="to" value="{text(to)}"><label for="token">Token</label>'
        '<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>'
        "<button>Sign in</button></form></main>",
    )


def signed_in(session: Session) -> str:
    """The name and rights of whoever looks, and the button that ends the session."""
    client = session.token
    scopes = ", ".join(scope for scope in SCOPES if scope in client.scopes)
    graphs = f" for {', '.join(client.graphs)}" if client.graphs else ""
    return (
        f'<form class="signed-in" method="post" action="session/end"><input type="hidden" name="csrf" value="{session.csrf}">'
        f"<span>Signed in as <b>{text(client.name)}</b> ({text(scopes + graphs)}), until "
        f"{text(picture.moment(rfc3339(session.ends)))} at the latest.</span><button>Sign out</button></form>"
    )


def _not_shown(client: Client) -> str:
    graphs = f" of {', '.join(client.graphs)}" if client.graphs else ""
    return (
        "<main><h1>Pypes</h1><p>You are signed in, but this token cannot look at the node: it needs the scope <b>read</b>.</p>"
        f"<p>With <b>{text(client.name)}</b> one may hand in and delete documents{text(graphs)} over HTTP, and read their "
        "receipts. Ask who may create tokens for one with more, sign out, and sign in with that.</p></main>"
    )


def _go_on(resp: falcon.asgi.Response, place: str) -> None:
    """Have a browser GET another address, relative to this one: a proxy may have put the node under a path of its own."""
    resp.status = 303
    resp.set_header("location", place)
    resp.set_header("cache-control", "no-store")
