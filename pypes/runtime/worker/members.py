"""The other nodes of the fleet as a worker asks them: over one link to each, made when it is needed first."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from pypes.errors import Unavailable
from pypes.runtime.contracts.fleet import AWAY, TWIN, Member, MemberCalls
from pypes.runtime.fleet.link import AWAY_CODE, away, connect
from pypes.runtime.fleet.owning import ranked
from pypes.runtime.fleet.secret import FleetAccess
from pypes.runtime.rpc import RpcClient
from pypes.runtime.rpc.contract import Method, stub

#: Longest time for a member to answer, in seconds, beyond what it was asked to wait.
ANSWER_S = 5.0


#: Texts whose ranks are remembered.
MAX_RANKS = 1024

#: Seconds between two looks at whether a node is back.
POLL_S = 0.1

#: Code of a call that must not be made again and whose answer was lost.
LOST = "owner.lost"


class Members:
    """The nodes of the fleet besides this one, as the supervisor has told last. Without ``access`` there are none.

    A node that restarts is waited for: what only that one can answer waits up to ``patience_s`` from when it was missed first.
    """

    def __init__(self, access: FleetAccess | None, node: int, patience_s: float) -> None:
        self._access = access
        self.patience_s = patience_s
        #: The time at which each node was missed first, by its name, until it answers again.
        self._missed: dict[str, float] = {}
        self._node = node
        self._members: dict[int, Member] = {}
        self._links: dict[str, asyncio.Future[RpcClient]] = {}
        #: All members, this node and those without a number included.
        self.all: list[Member] = []
        #: PERF: the ranks for texts that were asked for.
        self._ranks: dict[str, list[Member]] = {}
        #: Called when members have come or gone.
        self.on_change: list[Callable[[], None]] = []

    def apply(self, members: list[Member]) -> None:
        """Take what the supervisor has told."""
        has_changed = {member.name for member in members} != {member.name for member in self.all}
        self.all = members
        self._ranks.clear()
        for call in self.on_change if has_changed else ():
            call()
        others = [member for member in members if member.number not in (None, self._node) and member.state != TWIN]
        self._members = {member.number: member for member in others if member.number is not None}

    @property
    def has_found_itself(self) -> bool:
        """True once this node has been reached as a member."""
        return any(member.is_here for member in self.all)

    @property
    def own_name(self) -> str:
        """The name of this node among the members."""
        return next(member.name for member in self.all if member.is_here)

    def ranked(self, text: str) -> list[Member]:
        """The members by their ranks for a text, its owner first; none without a fleet.

        Raises :class:`Unavailable` (``fleet.joining``) until this node has found itself, and knows the names of all.
        """
        if self._access is None:
            return []
        if (known := self._ranks.get(text)) is not None:
            return known
        named = {member.name: member for member in self.all if member.state != TWIN}
        # one whose name is its URL has not told its name yet
        if not self.has_found_itself or any(name == member.url for name, member in named.items()):
            raise Unavailable("the node has not found all members of its fleet yet; try again", code="fleet.joining")
        if len(self._ranks) >= MAX_RANKS:
            self._ranks.clear()
        found = self._ranks[text] = [named[name] for name in ranked(text, named)]
        return found

    @property
    def twin(self) -> Member | None:
        """Another node with the number of this one."""
        return next((member for member in self.all if member.number == self._node and member.state == TWIN), None)

    def find(self, number: int) -> MemberCalls | None:
        """The node with a number, if it is another one of the fleet."""
        member = self._members.get(number)
        return None if member is None else self.calls(member)

    def is_patient(self, name: str) -> bool:
        """True if a node that does not answer now may only be restarting."""
        return time.monotonic() - self._missed.setdefault(name, time.monotonic()) < self.patience_s

    def others(self) -> list[tuple[str, MemberCalls]]:
        """The other nodes, each with its name; one that does not answer is not waited for."""
        return [(member.name, stub(MemberCalls, partial(self._ask, member))) for _, member in sorted(self._members.items())]

    def calls(self, member: Member) -> MemberCalls:
        """The calls of a node, waited for while it restarts."""
        return stub(MemberCalls, partial(self._ask_patiently, member))

    async def _ask_patiently(self, member: Member, name: str, method: Method, params: dict[str, Any]) -> Any:
        """As :meth:`_ask`, again while the node may only be restarting, unless the call may have been carried out."""
        while True:
            try:
                answer = await self._ask(member, name, method, params, is_patient=True)
            except Unavailable as error:
                if error.code != AWAY_CODE or not self.is_patient(member.name):
                    raise
            else:
                self._missed.pop(member.name, None)
                return answer
            await asyncio.sleep(POLL_S)
            member = next((found for found in self.all if found.name == member.name), member)

    async def _ask(self, member: Member, name: str, method: Method, params: dict[str, Any], *, is_patient: bool = False) -> Any:
        """Have a member do a call. Raises :class:`Unavailable`, naming the member, if it does not answer."""
        if member.state == AWAY and not (is_patient and self.is_patient(member.name)):
            raise away(member)
        try:
            link = await self._link(member)
        except Unavailable as error:
            raise _silent(member, error.message) from error
        try:
            return await link.carry(name, method, params, params.get("wait_s", 0.0) + ANSWER_S)
        except Unavailable as error:
            if error.code not in ("control.lost", "control.timeout"):
                raise
            raise (_silent(member, "its answer was lost") if method.is_repeatable else _lost(member)) from error

    async def _link(self, member: Member) -> RpcClient:
        connecting = self._links.get(member.url)
        if connecting is None or (connecting.done() and not _is_open(connecting)):
            assert self._access is not None
            connecting = self._links[member.url] = asyncio.ensure_future(connect(member.url, self._access))
        # shared: one who gives up must not take the others' link along
        return await asyncio.shield(connecting)

    async def close(self) -> None:
        """Close the links."""
        links, self._links = list(self._links.values()), {}
        for connecting in links:
            if not connecting.done():
                connecting.cancel()
            elif _is_open(connecting):
                await connecting.result().close()


def _is_open(connected: asyncio.Future[RpcClient]) -> bool:
    return not connected.cancelled() and connected.exception() is None and connected.result().is_open


def _silent(member: Member, reason: str) -> Unavailable:
    return away(Member(member.name, member.url, reason=reason))


def _lost(member: Member) -> Unavailable:
    return Unavailable(
        f"the node {member.name} did not answer, so the request may have been carried out; check before repeating it",
        code=LOST,
        where=member.name,
    )
