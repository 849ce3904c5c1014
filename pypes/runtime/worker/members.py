"""The other nodes of the fleet as a worker asks them: over one link to each, made when it is needed first."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from pypes.errors import NotFound, Unavailable
from pypes.runtime.contracts.fleet import AWAY, DRAINED, TWIN, AgreementCalls, Member, MemberCalls
from pypes.runtime.contracts.handing import PREFIX, Adopted, HandingCalls
from pypes.runtime.fleet.link import AWAY_CODE, away, connect
from pypes.runtime.fleet.owning import ranked
from pypes.runtime.fleet.secret import FleetAccess
from pypes.runtime.rpc import RpcClient
from pypes.runtime.rpc.contract import Method, stub

#: Longest time for a member to answer, in seconds, beyond what it was asked to wait.
ANSWER_S = 5.0


#: Texts whose ranks are remembered.
MAX_RANKS = 1024

#: Longest time until every member knows one that has joined, in seconds.
JOIN_S = 3.0

#: Seconds between two looks at whether a node is back.
POLL_S = 0.1

#: Code of a call that must not be made again and whose answer was lost.
LOST = "owner.lost"


class Former(NamedTuple):
    """A member that may have what another one owns now; ``node``: in the shards that it has from the node with this number."""

    member: Member
    node: int | None = None


class Members:
    """The nodes of the fleet besides this one, as the supervisor has told last. Without ``access`` there are none.

    A node that restarts is waited for: what only that one can answer waits up to ``patience_s`` from when it was missed first.
    """

    def __init__(self, access: FleetAccess | None, node: int, patience_s: float) -> None:
        self._access = access
        self.patience_s = patience_s
        #: The time at which each node was missed first, by its name, until it answers again.
        self._missed: dict[str, float] = {}
        self.node = node
        self._members: dict[int, Member] = {}
        #: Nodes that handed their shards over, each with the one that has them.
        self._adopted: list[tuple[Adopted, Member]] = []
        self._links: dict[str, asyncio.Future[RpcClient]] = {}
        #: All members, this node and those without a number included.
        self.all: list[Member] = []
        #: PERF: the ranks for texts that were asked for.
        self._ranks: dict[str, list[Member]] = {}
        self._formers: dict[str, list[Former]] = {}
        #: Called when members have come or gone.
        self.on_change: list[Callable[[], None]] = []

    def apply(self, members: list[Member]) -> None:
        """Take what the supervisor has told."""
        has_changed = {(m.name, m.state == DRAINED) for m in members} != {(m.name, m.state == DRAINED) for m in self.all}
        has_changed |= {m.adopted for m in members} != {m.adopted for m in self.all}
        self.all = members
        for member in members:
            if member.state != AWAY:
                self._missed.pop(member.name, None)
        self._ranks.clear()
        self._formers.clear()
        others = [member for member in members if member.number != self.node and member.state not in (TWIN, DRAINED)]
        self._members = {member.number: member for member in others if member.number is not None}
        holders = [member for member in members if member.state not in (TWIN, DRAINED)]
        self._adopted = [(adopted, member) for member in holders for adopted in member.adopted]
        for call in self.on_change if has_changed else ():
            call()

    @property
    def has_found_itself(self) -> bool:
        """True once this node has been reached as a member, and each other one that has an address was heard or missed.

        Until then, nobody knows which shards of others one of them has.
        """
        is_unasked = any(member.url and member.state == AWAY and not member.reason for member in self.all)
        return not is_unasked and any(member.is_here for member in self.all)

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
        named = self._named()
        if len(self._ranks) >= MAX_RANKS:
            self._ranks.clear()
        found = self._ranks[text] = [named[name] for name in ranked(text, named)]
        return found

    def former(self, text: str) -> list[Former]:
        """The members that may have what the owner of a text owns now, as they joined or adopted shards lately.

        By their ranks: nodes that are drained, and those that owned it before one that joined lately. Raises as :meth:`ranked`.
        """
        if self._access is None:
            return []
        if (known := self._formers.get(text)) is not None:
            return known
        named = self._named()
        drained: dict[str, list[Former]] = {}
        for adopted, holder in self._adopted:
            if adopted.is_new:
                drained.setdefault(adopted.name, []).append(Former(holder, adopted.node))
        found: list[Former] = []
        has_owner = False
        for name in ranked(text, named.keys() | drained.keys()):
            found += drained.get(name, ())
            if (member := named.get(name)) is not None:
                if has_owner:
                    found.append(Former(member))
                if not member.is_new:
                    break
                has_owner = True
        if len(self._formers) >= MAX_RANKS:
            self._formers.clear()
        self._formers[text] = found
        return found

    def _named(self) -> dict[str, Member]:
        """The members that own something, by name."""
        named = {member.name: member for member in self.all if member.state not in (TWIN, DRAINED)}
        # one whose name is its URL has not told its name yet
        if not self.has_found_itself or any(name == member.url for name, member in named.items()):
            raise Unavailable("the node has not found all members of its fleet yet; try again", code="fleet.joining")
        return named

    @property
    def twin(self) -> Member | None:
        """Another node with the number of this one, or with its shards."""
        adopting = next((holder for adopted, holder in self._adopted if adopted.node == self.node), None)
        return adopting or next((member for member in self.all if member.number == self.node and member.state == TWIN), None)

    def find(self, number: int) -> MemberCalls | None:
        """The node with a number, or with the shards of that node, if it is another one of the fleet."""
        holder = next((holder for adopted, holder in self._adopted if adopted.node == number), None)
        member = holder or self._members.get(number)
        return None if member is None or member.is_here else self.calls(member)

    def awaited(self, number: int, unknown: NotFound) -> MemberCalls:
        """The calls of a node that is not known yet; they fail with ``unknown`` if it is not within :data:`JOIN_S`."""
        return stub(MemberCalls, partial(self._ask_unknown, number, unknown))

    async def _ask_unknown(self, number: int, unknown: NotFound, name: str, method: Method, params: dict[str, Any]) -> Any:
        deadline = time.monotonic() + JOIN_S
        while (member := self._members.get(number)) is None:
            if time.monotonic() >= deadline:
                raise unknown
            await asyncio.sleep(POLL_S)
        return await self._ask_patiently(member, name, method, params)

    def is_patient(self, name: str) -> bool:
        """True if a node that does not answer now may only be restarting."""
        return time.monotonic() - self._missed.setdefault(name, time.monotonic()) < self.patience_s

    @property
    def given_up(self) -> frozenset[str]:
        """The names of nodes that are away, and were missed for longer than they are waited for."""
        before = time.monotonic() - self.patience_s
        names = (member.name for member in self.all if member.state == AWAY)
        return frozenset(name for name in names if self._missed.get(name, math.inf) <= before)

    def others(self) -> list[tuple[str, MemberCalls]]:
        """The other nodes, each with its name; one that does not answer is not waited for."""
        return [(member.name, stub(MemberCalls, partial(self._ask, member))) for _, member in sorted(self._members.items())]

    def handing(self, member: Member) -> HandingCalls:
        """Calls to a node about shards that it has from others."""
        return stub(HandingCalls, partial(self._ask, member), PREFIX)

    def graphs(self) -> list[tuple[str, AgreementCalls]]:
        """The other nodes, each with its name, as they are asked about graphs."""
        others = sorted(self._members.items())
        return [(m.name, stub(AgreementCalls, partial(self._ask, m), "agreement.")) for _, m in others]

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
