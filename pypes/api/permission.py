"""Refusals of what a client may not do."""

from __future__ import annotations

from collections.abc import Collection

from pypes.access.client import NOBODY, Client, is_among
from pypes.errors import Forbidden, Unauthorized


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
    if client.graphs and not is_among(graph, client.graphs):
        raise Forbidden(
            f"the token {client.name!r} is for other graphs: {', '.join(client.graphs)}", code="graph.forbidden", where=graph
        )


def check_current(client: Client) -> None:
    """Raise :class:`Unauthorized` if the token of a client does not allow any more what it did when the request began."""
    if client.ended.is_set():
        raise Unauthorized(
            f"the token {client.name!r} was revoked, changed or has expired while the request came in; nothing was accepted",
            code="token.ended",
        )
