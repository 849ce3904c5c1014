"""Calls from node to node: what one asks another of, over a link that both have proven to be theirs."""

from __future__ import annotations

from typing import Protocol

import msgspec

from pypes.runtime.contracts.records import RecordCalls

#: States of a member, besides those that ``/readyz`` has: it does not answer; another node has its number.
AWAY = "away"
TWIN = "twin"


class Greeting(msgspec.Struct, frozen=True):
    """A node that introduces itself: its number, the start that it lives by, its release, and the state that ``/readyz`` has."""

    node: int
    boot: str
    version: str
    state: str = ""


class Member(msgspec.Struct, frozen=True):
    """A node of the fleet, as another one knows it.

    ``name`` is the same for all nodes: the address that is configured. ``number`` is that in receipts, ``None`` until it has
    answered for the first time. ``state`` is as ``/readyz`` has it, or :data:`AWAY` or :data:`TWIN`, with a ``reason``.
    ``is_here``: it is this node.
    """

    name: str
    url: str
    number: int | None = None
    state: str = AWAY
    reason: str = ""
    version: str = ""
    is_here: bool = False


class MemberCalls(RecordCalls, Protocol):
    """Calls to another node; it answers for what it has itself and asks nobody else, so that a call makes one hop."""

    async def greet(self, greeting: Greeting) -> Greeting:
        """Introduce the node that calls; the answer introduces the one that is called."""
