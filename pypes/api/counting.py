"""Counting of requests: by route, method and status, and how long they took."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from pypes.api.methods import METHODS
from pypes.errors import OverBudget, PypesError
from pypes.observe.metrics import HTTP_REQUESTS, HTTP_SECONDS, OVER_BUDGET, POSTS_REFUSED
from pypes.observe.tallies import Tallies, Timed

#: Route of requests that lead nowhere or were refused before, and method of those that no address knows.
UNKNOWN: Final = "unknown"

#: The key of the ASGI scope under which the router leaves the template of an address.
ROUTE: Final = "pypes.route"

#: The key under which the error is left because of which a request is refused.
REASON: Final = "pypes.reason"

#: Routes and tokens that are named in counts of what was refused, the longest name, and what stands for all others.
MOST_NAMED: Final = 20
NAME_CHARS: Final = 64
OTHERS: Final = "others"

#: Addresses to which documents are posted, and statuses of those that are not taken for want of room or of a graph.
_POSTS: Final = frozenset({"/docs", "/docs/{route}"})
_REFUSALS: Final = frozenset({429, 503, 507})

_METHODS: Final = frozenset((*METHODS, "HEAD", "OPTIONS"))


class _Names:
    """The first few of many names."""

    def __init__(self) -> None:
        self._known: set[str] = {""}

    def named(self, name: str) -> str:
        """The name if it is one of them, else :data:`OTHERS`."""
        if name not in self._known:
            if len(self._known) > MOST_NAMED or len(name) > NAME_CHARS:
                return OTHERS
            self._known.add(name)
        return name


class RequestTallies:
    """Requests of one ingest worker, counted in its event loop."""

    def __init__(self, tallies: Tallies) -> None:
        self._tallies = tallies
        self._routes = _Names()
        self._tokens = _Names()
        self._known: dict[tuple[str, str, int], Timed] = {}
        #: Counts a request whose documents were accepted on the short path, by the seconds that it took.
        self.posted = self._of("/docs", "POST", 202).observe

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request that is answered."""
        self._of(route, method if method in _METHODS else UNKNOWN, status).observe(seconds)

    def not_taken(self, status: int, code: str, route: str = "") -> None:
        """Count a POST of documents to a route that was answered with a problem."""
        if status in _REFUSALS:
            # anybody may make up routes
            self._tallies.counter(POSTS_REFUSED, str(status), code, self._routes.named(route)).add()

    def over_budget(self, error: OverBudget) -> None:
        """Count a request of a client that has used as much as it may."""
        self._tallies.counter(OVER_BUDGET, self._tokens.named(error.where), error.limit).add()

    def refused(self, status: int) -> None:
        """A request was refused before it was read."""
        self._tallies.counter(HTTP_REQUESTS, UNKNOWN, UNKNOWN, str(status)).add()

    def _of(self, route: str, method: str, status: int) -> Timed:
        known = self._known.get((route, method, status))
        if known is None:
            known = self._known[route, method, status] = Timed(
                self._tallies.counter(HTTP_REQUESTS, route, method, str(status)),
                self._tallies.histogram(HTTP_SECONDS, route, method),
            )
        return known


class Counting:
    """An ASGI application around ``app`` that counts what is answered, when the answer begins.

    It counts before the answer leaves: whoever got one finds it counted, even if this process is killed then.
    """

    def __init__(self, app: Callable[..., Awaitable[None]], requests: RequestTallies) -> None:
        self._app = app
        self._requests = requests

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()

        async def counted(message: Any) -> None:
            if message["type"] == "http.response.start":
                seconds = time.perf_counter() - began
                route = scope.get(ROUTE, UNKNOWN)
                self._requests.answered(route, scope["method"], message["status"], seconds)
                if (error := scope.get(REASON)) is not None:
                    self._refused(scope, route, message["status"], error)
            await send(message)

        await self._app(scope, receive, counted)

    def _refused(self, scope: Any, route: str, status: int, error: PypesError) -> None:
        if isinstance(error, OverBudget):
            self._requests.over_budget(error)
        to = scope["path"].removeprefix("/docs").strip("/")
        # refused by the guard, before it had a route
        is_early = route == UNKNOWN and "/" not in to and scope["path"] in ("/docs", f"/docs/{to}", f"/docs/{to}/")
        if scope["method"] == "POST" and (route in _POSTS or is_early):
            self._requests.not_taken(status, error.code, to)
