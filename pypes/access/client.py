"""The sender of a request, with its rights: made of its token, handed along with the request."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final

from pypes.access.account import Account

#: The rights of a token: handing in documents, looking, changing graphs, everything.
SCOPES: Final = ("ingest", "read", "edit", "admin")

#: Scopes that come with one.
_WITH: Final = {"edit": ("edit", "read"), "admin": SCOPES}


#: Rights of whoever changes a graph: any filter may be placed; none that runs programs, or reads or writes files of the server;
#: nor one that shares an outbox with another graph.
ALL: Final = "all"
UNPRIVILEGED: Final = "unprivileged"
LIMITED: Final = "limited"


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Client:
    """The sender of a request. ``name`` is that of its token, and of the poster of its documents; empty without one.

    ``scopes`` are all that it has, those that come with others included. ``graphs`` are names, and patterns such as ``team-*``;
    none: all graphs. ``account`` is for its budget. ``ended`` is set once the token does not allow this any more: it was revoked,
    it has expired or was changed.
    """

    name: str
    scopes: frozenset[str]
    graphs: tuple[str, ...] = ()
    account: Account = field(default_factory=Account)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def rights(self) -> str:
        """Rights in changing graphs: :data:`ALL`, :data:`UNPRIVILEGED` or :data:`LIMITED`."""
        return ALL if "admin" in self.scopes else LIMITED if self.graphs else UNPRIVILEGED

    def has(self, graph: str) -> bool:
        """True if it may have to do with a graph, which need not exist."""
        return not self.graphs or is_among(graph, self.graphs)


def client_of(name: str, scopes: Iterable[str], graphs: Iterable[str] = (), account: Account | None = None) -> Client:
    """A client with the scopes that a token names, and those that come with them; without an account, it has no budget."""
    all_scopes = frozenset(each for scope in scopes for each in _WITH.get(scope, (scope,)))
    return Client(name, all_scopes, tuple(graphs), account or Account())


def is_among(graph: str, graphs: Iterable[str]) -> bool:
    """True if a graph has one of these names, or fits one of these patterns."""
    return any(fnmatchcase(graph, pattern) for pattern in graphs)


#: The name of whoever holds the token that the node was configured with.
ADMIN_NAME: Final = "admin"

#: Everybody, on a node that asks for no token.
EVERYONE: Final = client_of("", ("admin",))
#: One without a token, at an address that needs none.
NOBODY: Final = client_of("", ())
