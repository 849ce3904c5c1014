"""``/``: the node as a page for browsers, and ``/session``, by which a browser may look where a token is set."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import falcon.asgi

from pypes.access.client import EVERYONE, NOBODY
from pypes.api.look import look
from pypes.api.markup import HEADERS, MEDIA_TYPE, document, state, table, text
from pypes.api.operation import OPEN, TEXT, Answer, Parameter, Schema, obj, operation
from pypes.api.permission import permit, permit_everything
from pypes.api.query import number_of
from pypes.api.request import FORM, Request
from pypes.api.sessions import Sessions
from pypes.core.clock import wall
from pypes.core.secrets import masked
from pypes.errors import Unavailable
from pypes.ingest.receipt import rfc3339
from pypes.observe import picture
from pypes.runtime.contracts.control import LogQuery

if TYPE_CHECKING:
    from pypes.runtime.worker.worker import IngestWorker

#: Seconds after which a browser fetches the page again, unless it is asked for otherwise.
REFRESH_S = 5
MAX_REFRESH_S = 3600

#: Seconds for which what was found out is shown to all who look.
FRESH_S = 1.0

#: Causes of dead letters that are listed.
CAUSES = 20

#: Last warnings of the log that are looked at, and kinds of them that are listed.
LINES = 200
KINDS = 10

#: Longest form: a token fits many times over.
MAX_FORM_BYTES = 16 << 10

_HTML = "text/html"
_PAGE = "The page, which fetches itself again and needs no script."
_FORM = "A form that asks for the token."
_SESSION: Schema = obj(token=TEXT)


class Page:
    """The page of one ingest worker; any of them shows the whole node."""

    def __init__(self, worker: IngestWorker, sessions: Sessions) -> None:
        self._worker = worker
        self._sessions = sessions
        self._looked_at = -FRESH_S
        self._shown = ""
        self._looking: asyncio.Task[str] | None = None

    @operation(
        "The node as a page for browsers",
        {200: Answer(_PAGE, TEXT, media=_HTML), 401: Answer(_FORM, TEXT, media=_HTML), 503: Answer(_PAGE, TEXT, media=_HTML)},
        parameters=(
            Parameter(
                "refresh",
                f"Seconds after which it fetches itself again, {REFRESH_S} unless said otherwise, 0: never.",
                {"type": "integer", "minimum": 0, "maximum": MAX_REFRESH_S},
            ),
        ),
        scope="read",
        checks_itself=True,
    )
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        refresh_s = number_of(req, "refresh", REFRESH_S, 0, MAX_REFRESH_S)
        if req.client is NOBODY:
            _answer(resp, _login(""), status=401)
            return
        permit(req.client, ("read",))
        permit_everything(req.client)
        try:
            body = await self._body()
        except Unavailable as error:
            body = f"<h1>Pypes</h1><p>{text(error.message)}</p>"
            resp.status = 503
        _answer(resp, document("Pypes", body + self._foot(refresh_s, may_leave=req.client is not EVERYONE), refresh_s))

    on_head = on_get

    @operation(
        "Begin a session of a browser, which may then look without the token",
        {
            303: Answer("A session began: its cookie is set, and the page is at Location.", None, {"Location": "The page."}),
            401: Answer("The token is wrong, and asked for once more.", TEXT, media=_HTML),
        },
        body={FORM: _SESSION},
        scope=OPEN,
    )
    async def on_post_session(self, req: Request, resp: falcon.asgi.Response) -> None:
        form = parse_qs((await req.read(MAX_FORM_BYTES)).decode("utf-8", "replace"))
        if not self._sessions.has_token:
            _go_on(resp, "./")
        elif self._sessions.is_token(form.get("token", [""])[0].encode()):
            resp.append_header("set-cookie", self._sessions.cookie(is_secure=_is_secure(req)))
            _go_on(resp, "./")
        else:
            _answer(resp, _login("This is not the token of this node."), status=401)

    @operation(
        "End the session of a browser",
        {303: Answer("The session is over; the page is at Location.", None, {"Location": "The page."})},
        errors={503: "The session cannot be ended, since the disk is full."},
        scope=OPEN,
    )
    async def on_post_session_end(self, req: Request, resp: falcon.asgi.Response) -> None:
        await req.discard()
        try:
            self._sessions.end(req.header(b"cookie").encode("latin-1"))
        except OSError as error:
            raise Unavailable(
                f"the session goes on until its twelve hours are over: {error}; log out again when there is room on the disk",
                code="session.not_ended",
            ) from error
        resp.append_header("set-cookie", self._sessions.no_cookie(is_secure=_is_secure(req)))
        _go_on(resp, "../")

    async def _body(self) -> str:
        """The tables; looked up once in :data:`FRESH_S`, however many look. Who comes meanwhile waits for the same look."""
        if self._looking is None and time.monotonic() - self._looked_at >= FRESH_S:
            self._looking = asyncio.ensure_future(self._look())
            self._looking.add_done_callback(self._looked)
        # a client that hangs up takes it from nobody else
        return self._shown if self._looking is None else await asyncio.shield(self._looking)

    def _looked(self, looking: asyncio.Task[str]) -> None:
        self._looking = None
        if not looking.cancelled() and looking.exception() is None:
            self._shown, self._looked_at = looking.result(), time.monotonic()

    async def _look(self) -> str:
        status, causes = await look(self._worker)
        logged = await self._worker.control.logs.page(LogQuery(level="warning"), LINES)
        tables = picture.tables(status, causes, CAUSES)
        tables.append(picture.logged(masked(logged.logs), KINDS))
        concerns = "".join(f"<li>{text(each['text'])}</li>" for each in status["concerns"])
        return "".join(
            (
                f"<header><h1>Pypes {state(picture.state_of(status))}</h1><p>{text(picture.headline(status))}</p></header><main>",
                f"<p>{text(picture.waiting(status))}</p>",
                f'<section class="warnings"><h2>What needs a look</h2><ul>{concerns}</ul></section>'
                if concerns
                else f"<p>{text(picture.NO_CONCERN)}</p>",
                *map(table, tables),
                "</main>",
            )
        )

    def _foot(self, refresh_s: int, *, may_leave: bool) -> str:
        refreshing = (
            f'fetched again every {refresh_s} s (<a href="?refresh=0">stop</a>)'
            if refresh_s
            else f'not fetched again by itself (<a href="?refresh={REFRESH_S}">every {REFRESH_S} s</a>)'
        )
        leave = '<form method="post" action="session/end"><button>Log out</button></form>' if may_leave else ""
        return (
            f"<footer><span>As of {text(picture.moment(rfc3339(wall())))}, {refreshing}.</span>"
            "<span>Rates are those of the last minute at most.</span>"
            '<a href="status">as JSON</a><a href="deadletters">dead letters</a><a href="openapi.json">HTTP interface</a>'
            f"{leave}</footer>"
        )


def _login(message: str) -> bytes:
    told = f'<p class="bad" role="alert">{text(message)}</p>' if message else ""
    return document(
        "Pypes: token",
        f'<main class="login"><h1>Pypes</h1><p>This node shows itself to those who know its token.</p>{told}'
        '<form method="post" action="session"><label for="token">Token</label>'
        '<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>'
        "<button>Look at the node</button></form></main>",
    )


def _answer(resp: falcon.asgi.Response, page: bytes, status: int | None = None) -> None:
    if status is not None:
        resp.status = status
    if status == 401:
        resp.set_header("www-authenticate", 'Bearer realm="pypes"')
    resp.set_headers(dict(HEADERS))
    resp.content_type = MEDIA_TYPE
    resp.data = page


def _go_on(resp: falcon.asgi.Response, place: str) -> None:
    """Have a browser GET another address, relative to this one: a proxy may have put the node under a path of its own."""
    resp.status = 303
    resp.set_header("location", place)
    resp.set_header("cache-control", "no-store")


def _is_secure(req: Request) -> bool:
    """True if the browser reached the node, or a proxy before it, over TLS.

    Browsers send the origin with every form, so a proxy need not be one that the node was told.
    """
    return req.is_secure or req.header(b"origin").startswith("https://")
