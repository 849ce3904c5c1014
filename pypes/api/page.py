"""``/plain``: the node as a page for browsers that needs no script, as far as whoever looks may see it."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

import falcon.asgi

from pypes.access.client import Client
from pypes.api.guard import AGAIN
from pypes.api.markup import answer, document, state, table, text
from pypes.api.operation import TEXT, Answer, Parameter, operation
from pypes.api.query import number_of
from pypes.api.request import Request
from pypes.api.sessions import Session, Sessions
from pypes.api.signin import HTML, PLAIN, is_turned_away, signed_in
from pypes.api.status import seen_by
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

_PAGE = "The page, which fetches itself again and needs no script."
_FORM = "A form that asks for a token."
_NOT_SHOWN = "What the token may do instead, to a browser; otherwise a problem."


class Page:
    """The page of one ingest worker; any of them shows the whole node."""

    def __init__(self, worker: IngestWorker, sessions: Sessions) -> None:
        self._worker = worker
        self._sessions = sessions
        #: One for all who may see everything, and one for each token that is for some graphs.
        self._views: dict[tuple[str, ...], _View] = {}

    @operation(
        "The node as a page for browsers, without a script",
        {
            200: Answer(_PAGE, TEXT, media=HTML),
            401: Answer(_FORM, TEXT, media=HTML),
            403: Answer(_NOT_SHOWN, TEXT, media=HTML),
            503: Answer(_PAGE, TEXT, media=HTML),
        },
        parameters=(
            Parameter(
                "refresh",
                f"Seconds after which it fetches itself again, {REFRESH_S} unless said otherwise, 0: never.",
                {"type": "integer", "minimum": 0, "maximum": MAX_REFRESH_S},
            ),
            Parameter("again", "1: it fetches itself, and the idle time of the session goes on.", TEXT),
        ),
        scope="read",
        checks_itself=True,
    )
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        refresh_s = number_of(req, "refresh", REFRESH_S, 0, MAX_REFRESH_S)
        if is_turned_away(req, resp, self._sessions, PLAIN):
            return
        session = req.session
        try:
            body = await self._body(req.client)
        except Unavailable as error:
            body = f"<h1>Pypes</h1><p>{text(error.message)}</p>"
            resp.status = 503
        again = "" if session is None else f"?refresh={refresh_s}&{AGAIN.decode()}"
        answer(resp, document("Pypes", body + _foot(refresh_s, session), refresh_s, again))

    on_head = on_get

    async def _body(self, client: Client) -> str:
        """The tables; looked up once in :data:`FRESH_S`, however many look. Who comes meanwhile waits for the same look."""
        self._views = {key: view for key, view in self._views.items() if view.is_fresh}
        key = (client.name, *client.graphs) if client.graphs else ()
        if key not in self._views:
            self._views[key] = _View(self._look(client))
        # a client that hangs up takes it from nobody else
        return await asyncio.shield(self._views[key].body)

    async def _look(self, client: Client) -> str:
        status, causes = await seen_by(self._worker, client)
        logged = await self._worker.control.logs.page(LogQuery(level="warning", among=client.graphs), LINES)
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


class _View:
    """A look for all who may see the same: under way, or done a moment ago."""

    def __init__(self, look: Coroutine[Any, Any, str]) -> None:
        self.body = asyncio.ensure_future(look)
        self._until = math.inf
        self.body.add_done_callback(self._looked)

    @property
    def is_fresh(self) -> bool:
        return time.monotonic() < self._until

    def _looked(self, body: asyncio.Future[str]) -> None:
        has_failed = body.cancelled() or body.exception() is not None
        self._until = -math.inf if has_failed else time.monotonic() + FRESH_S


def _foot(refresh_s: int, session: Session | None) -> str:
    refreshing = (
        f'fetched again every {refresh_s} s (<a href="?refresh=0">stop</a>)'
        if refresh_s
        else f'not fetched again by itself (<a href="?refresh={REFRESH_S}">every {REFRESH_S} s</a>)'
    )
    return (
        f"<footer><span>As of {text(picture.moment(rfc3339(wall())))}, {refreshing}.</span>"
        "<span>Rates are those of the last minute at most.</span>"
        '<a href="./">editor</a>'
        '<a href="status">as JSON</a><a href="deadletters">dead letters</a><a href="openapi.json">HTTP interface</a>'
        f"{'' if session is None else signed_in(session)}</footer>"
    )
