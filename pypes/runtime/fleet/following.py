"""Following: a member takes the versions of graphs that the others have and it has not, as it was away when they were decided."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from pypes import logs
from pypes.errors import PypesError
from pypes.runtime.contracts.fleet import AWAY, DRAINED, TWIN, FleetVersion, GraphHead, GraphState, Member
from pypes.runtime.fleet.membership import Membership

#: Seconds between two looks, and until this node has the versions of the fleet.
PERIOD_S = 5.0
SOON_S = 0.2

#: Time for a member to tell of its graphs, in seconds.
TELL_S = 5.0


class OwnGraphs(Protocol):
    """The graphs of this node."""

    def heads(self) -> list[GraphHead]:
        """All of them."""

    def digest(self, name: str) -> str:
        """The digest of a graph, empty if it is not deployed."""

    async def take(self, state: GraphState) -> None:
        """Make one of them what it is on another member. Raises what a deployment raises."""


class Follower:
    """Compares the graphs of this node with those of the others. ``on_caught_up()`` is called once it has the same."""

    def __init__(self, members: Membership, own: OwnGraphs, on_caught_up: Callable[[], None]) -> None:
        self._members = members
        self._own = own
        self._on_caught_up = on_caught_up
        self._has_news = asyncio.Event()
        #: The graphs of the other members that answered last, by the name of the member and of the graph.
        self.seen: dict[str, dict[str, GraphHead]] = {}
        #: True once this node had the versions of all members that answered.
        self.has_caught_up = False
        #: Graphs that were changed since the look that goes on began: it has old news of them.
        self._moved: set[str] = set()
        self._said: set[tuple[str, str]] = set()
        self._log = logs.get("pypes.fleet")

    def wake(self) -> None:
        """Look now: something may have changed."""
        self._has_news.set()

    def changed(self, name: str) -> None:
        """A graph has just been changed: what was seen of it elsewhere holds no longer."""
        self._moved.add(name)
        for heads in self.seen.values():
            heads.pop(name, None)
        self.wake()

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            self._has_news.clear()
            # asked first: a member that comes meanwhile may have something newer
            is_all = self._members.has_asked_all
            is_behind = await self._look()
            if is_all and not is_behind and not self.has_caught_up:
                self.has_caught_up = True
                self._on_caught_up()
            try:
                async with asyncio.timeout(PERIOD_S if self.has_caught_up else SOON_S):
                    await self._has_news.wait()
            except TimeoutError:
                pass

    async def _look(self) -> bool:
        """Take what is newer elsewhere; True if something could not be taken."""
        answering = [
            m for m in self._members.members if not m.is_here and m.state not in (AWAY, TWIN, DRAINED) and m.number is not None
        ]
        self._moved.clear()
        found = await asyncio.gather(*(self._heads(member) for member in answering))
        self.seen = {m.name: {h.name: h for h in heads} for m, heads in zip(answering, found, strict=True) if heads is not None}
        own = {head.name: head for head in self._own.heads()}
        is_behind = False
        names = {name for heads in self.seen.values() for name in heads} - self._moved
        for heads in self.seen.values():
            heads |= {name: GraphHead(name, FleetVersion(), "") for name in own.keys() - heads.keys()}
            for name in self._moved:
                heads.pop(name, None)
        for name in sorted(names):
            best, member = max(
                ((self.seen[m.name][name], m) for m in answering if name in self.seen.get(m.name, ())),
                key=lambda each: each[0].version,
            )
            mine = own.get(name)
            if mine is None or best.version.replaces(mine.version):
                is_behind |= not await self._take(name, mine, best, member)
            elif mine.version.counter == best.version.counter == 0 and mine.digest != best.digest:
                self._say(name, best.digest, "members have different graphs of one name: deploy one of them", member=member.name)
        return is_behind

    async def _heads(self, member: Member) -> list[GraphHead] | None:
        try:
            return await self._members.agreement(member.number, TELL_S).heads()
        except PypesError:
            return None

    async def _take(self, name: str, mine: GraphHead | None, best: GraphHead, member: Member) -> bool:
        try:
            await self._own.take(await self._members.agreement(member.number, TELL_S).state(name))
        except PypesError as error:
            self._say(name, str(best.version), "the version of the fleet cannot be taken", reason=str(error), member=member.name)
            return False
        if mine is not None and mine.version.counter == best.version.counter and mine.digest != best.digest:
            self._log.warning(
                "a version of this node gave way: nodes that did not reach each other have both deployed one",
                graph=name,
                version=str(mine.version),
                by=str(best.version),
                member=member.name,
            )
        return True

    def _say(self, name: str, about: str, sentence: str, **more: object) -> None:
        """Log something of a graph once."""
        if (name, about) not in self._said:
            self._said.add((name, about))
            self._log.warning(sentence, graph=name, **more)

    def told(self, name: str) -> Mapping[str, Any]:
        """``members_differ``: names of members that have another definition of a graph than this node, if there are any."""
        own = self._own.digest(name)
        seen = ((member, heads.get(name)) for member, heads in self.seen.items())
        differ = sorted(member for member, head in seen if head is not None and head.digest != own)
        return {"members_differ": differ} if differ else {}
