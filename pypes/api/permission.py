"""Refusals of what a client may not do."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Collection

from pypes.access.client import NOBODY, Client
from pypes.api.sessions import Session
from pypes.errors import Forbidden, NotFound, Unauthorized


def permit(client: Client, scopes: Collection[str], graph: str | None = None) -> None:
    """Raise :class:`Forbidden` unless a client has one of these scopes, and may have to do with the graph."""
    if client.scopes.isdisjoint(scopes):
        needed = " or ".join(scopes)
        if client is NOBODY:
            raise Forbidden(f"this needs a token with the scope {needed}", code="scope.missing")
        raise Forbidden(
            f"this needs the scope {needed}, which the token {client.name!r} does not have; ask who may create tokens",
            code="scope.missing",
            where=client.name,
        )
    if graph is not None:
        permit_graph(client, graph)


def permit_graph(client: Client, graph: str) -> None:
    """Raise :class:`Forbidden` unless a client may have to do with a graph, which need not exist."""
    if not client.has(graph):
        raise Forbidden(
            f"the token {client.name!r} is for other graphs: {', '.join(client.graphs)}", code="graph.forbidden", where=graph
        )


def permitted(client: Client, resolve: Callable[[str | None], str], route: str | None) -> str:
    """The graph of a route, if it is one of the client's. Names no other graph: raises :class:`Forbidden`, or as ``resolve``."""
    try:
        graph = resolve(route)
    except NotFound as error:
        raise NotFound(f"no graph has the route {route!r}", code=error.code, where=error.where) from error
    if not client.has(graph):
        what = "without a route" if route is None else f"of the route {route!r}"
        raise Forbidden(
            f"documents {what} go to a graph that the token {client.name!r} is not for; it is for {', '.join(client.graphs)}",
            code="graph.forbidden",
        )
    return graph


def permit_everything(client: Client) -> None:
    """Raise :class:`Forbidden` if a client is for some graphs only: of what is asked, nobody knows whose it is."""
    if client.graphs:
        raise Forbidden(
            f"this is about the whole node, and the token {client.name!r} is for some graphs only", code="graph.forbidden"
        )


def check_csrf(session: Session | None, given: str) -> None:
    """Raise :class:`Forbidden` if a request came by a session, and does not show its CSRF token."""
    if session is not None and not hmac.compare_digest(given.encode(), session.csrf.encode()):
        raise Forbidden(
            "by a session, what changes something needs its CSRF token: send X-CSRF-Token with the csrf of GET /session, "
            "or a bearer token instead of the cookie",
            code="csrf.missing",
        )


def check_current(client: Client) -> None:
    """Raise :class:`Unauthorized` if the token of a client does not allow any more what it did when the request began."""
    if client.ended.is_set():
        raise Unauthorized(
            f"the token {client.name!r} was revoked, changed or has expired, or the session is over, since the request began; "
            "nothing was accepted",
            code="token.ended",
        )
