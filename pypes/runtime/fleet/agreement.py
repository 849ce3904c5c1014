"""Agreement about one version of each graph: a change is prepared on all members, and then takes effect on all, or on none.

Whoever receives a change coordinates it. It is decided when the coordinator has stored it; who has not heard of that takes it
as a member that was away does (:mod:`pypes.runtime.fleet.following`).
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol

from pypes import logs
from pypes.core.watched_tasks import WatchedTasks
from pypes.errors import PypesError, Unavailable
from pypes.runtime.contracts.fleet import (
    AWAY,
    DRAINED,
    DROPPED,
    PENDING,
    SWITCHED,
    TWIN,
    FleetVersion,
    GraphState,
    Mark,
    Member,
)
from pypes.runtime.fleet.following import Follower
from pypes.runtime.fleet.granting import Grants
from pypes.runtime.fleet.membership import Membership

#: Time for a member to switch, or to give the turn, in seconds.
TELL_S = 10.0

#: Settings of ``require``.
ALL, MAJORITY, REACHABLE, AUTO = "all", "majority", "reachable", "auto"

#: A member that answers like this was not there when it was asked.
_ABSENT = frozenset({"control.lost", "control.timeout", "fleet.member_away", "fleet.unreachable", "fleet.not_started"})


class Marks(Protocol):
    """The versions that the graphs of this node have."""

    def mark(self, name: str) -> Mark | None:
        """The version of a graph, ``None`` if nobody has agreed to one."""


class Agreement:
    """The coordinator of the changes that this node, with the number ``node``, receives.

    ``require`` says how many members have to prepare a change, ``prepare_s()`` how long they may take for it, in seconds.
    """

    def __init__(
        self,
        node: int,
        members: Membership,
        grants: Grants,
        marks: Marks,
        require: str,
        prepare_s: Callable[[], float],
        follower: Follower,
    ) -> None:
        self._node = node
        self._members = members
        self._grants = grants
        self._marks = marks
        self._require = require
        self._prepare_s = prepare_s
        self._follower = follower
        #: Members that have prepared a change, by graph and version, while that is not decided.
        self._pending: dict[tuple[str, FleetVersion], list[str]] = {}
        # whoever is not told finds out
        self._tasks = WatchedTasks(lambda name: None)
        self._log = logs.get("pypes.fleet")

    @property
    def is_alone(self) -> bool:
        return not self._others()

    def _others(self) -> list[Member]:
        return [
            member
            for member in self._members.members
            if not member.is_here and member.number != self._node and member.state != DRAINED
        ]

    def _answering(self) -> list[Member]:
        return [member for member in self._others() if member.state not in (AWAY, TWIN)]

    # -- the turn ---------------------------------------------------------------------------------------

    @asynccontextmanager
    async def turn(self, name: str) -> AsyncIterator[None]:
        id = secrets.token_hex(8)
        granter = None if self.is_alone else await self._grant(name, id)
        try:
            yield
        finally:
            if granter == self._node:
                self._grants.release(id)
            elif granter is not None:
                # whoever deployed this may deploy the next at once
                await self._release(name, granter, id)

    async def _grant(self, name: str, id: str) -> int:
        """Have the turn given by the reachable member with the lowest number, which is returned."""
        numbers = [member.number for member in self._answering() if member.number is not None and member.number < self._node]
        for number in sorted(numbers):
            try:
                await self._members.agreement(number, self._prepare_s()).grant(name, self._node, id)
                return number
            except Unavailable as error:
                if error.code not in _ABSENT:
                    raise
        await self._grants.grant(name, self._node, id)
        return self._node

    async def _release(self, name: str, granter: int, id: str) -> None:
        try:
            await self._members.agreement(granter, TELL_S).release(id)
        except PypesError as error:  # it sees that nobody holds the turn any more, or is gone
            self._log.debug("the turn was not given back", graph=name, reason=str(error))

    # -- a change ---------------------------------------------------------------------------------------

    def next(self, name: str) -> FleetVersion | None:
        mark = self._marks.mark(name)
        return FleetVersion(1 if mark is None else mark.version.counter + 1, self._node)

    async def prepare(self, state: GraphState) -> None:
        others = self._others()
        prepared = self._pending[state.name, state.version] = []
        asking = [asyncio.ensure_future(self._prepare(member, state, prepared)) for member in self._answering()]
        try:
            await asyncio.gather(*asking)
        except BaseException:
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
            raise
        self._check(len(prepared), sorted({member.name for member in others} - {*prepared}), state.name)

    async def _prepare(self, member: Member, state: GraphState, prepared: list[str]) -> None:
        try:
            await self._members.agreement(member.number, self._prepare_s()).prepare(state)
        except PypesError as error:
            if error.code in _ABSENT:
                self._log.warning("member does not prepare", graph=state.name, member=member.name, reason=str(error))
                return
            error.message = f"on the node {member.name}: {error.message}"
            error.args = (error.message,)
            raise
        prepared.append(member.name)

    def _check(self, prepared: int, absent: list[str], name: str) -> None:
        """Raise :class:`Unavailable` if too few have prepared a change."""
        count = prepared + 1 + len(absent)
        require = (REACHABLE if count <= 2 else MAJORITY) if self._require == AUTO else self._require
        if (require == ALL and absent) or (require == MAJORITY and 2 * (prepared + 1) <= count):
            raise Unavailable(
                f"too few nodes of the fleet answer to change a graph ({require} must): {', '.join(absent)} do not; "
                "deploy again when they are back, or see require of [fleet]",
                code="fleet.too_few",
                where=name,
            )

    async def commit(self, state: GraphState) -> Mapping[str, Any]:
        if self._pending.pop((state.name, state.version), None) is None:
            return {}
        others = self._others()
        self._follower.changed(state.name)
        told = await asyncio.gather(*(self._commit(member, state) for member in self._answering()))
        self._follower.changed(state.name)
        switched = sorted(name for name in told if name)
        absent = sorted({member.name for member in others} - {*switched})
        if absent:
            self._log.warning("members take the graph when they are back", graph=state.name, members=absent)
        return {"fleet": {"version": str(state.version), "switched": switched, "away": absent}} if others else {}

    async def _commit(self, member: Member, state: GraphState) -> str:
        try:
            has_switched = await self._members.agreement(member.number, TELL_S).commit(state.name, state.version)
        except PypesError as error:
            self._log.warning("member was not told of a version", graph=state.name, member=member.name, reason=str(error))
            return ""
        return member.name if has_switched else ""

    def told(self, name: str) -> Mapping[str, Any]:
        return self._follower.told(name)

    def abort(self, state: GraphState) -> None:
        if self._pending.pop((state.name, state.version), None) is not None:
            for member in self._answering():
                self._tasks.start(self._abort(member, state), f"dropping on {member.name}")

    async def _abort(self, member: Member, state: GraphState) -> None:
        try:
            await self._members.agreement(member.number, TELL_S).abort(state.name, state.version)
        except PypesError as error:  # it asks
            self._log.debug("member was not told to drop a version", graph=state.name, member=member.name, reason=str(error))

    # -- what became of it ------------------------------------------------------------------------------

    def verdict(self, name: str, version: FleetVersion) -> str:
        """The word of this node about a version."""
        if (name, version) in self._pending:
            return PENDING
        mark = self._marks.mark(name)
        return SWITCHED if mark is not None and mark.version == version else DROPPED

    async def asked(self, name: str, version: FleetVersion) -> str | None:
        """The coordinator's word about a version that is prepared here; while it is away, that of a member that has switched.

        ``None`` if nobody knows.
        """
        try:
            return await self._members.agreement(version.node, TELL_S).verdict(name, version)
        except PypesError:
            pass
        for member in self._answering():
            try:
                if await self._members.agreement(member.number, TELL_S).verdict(name, version) == SWITCHED:
                    return SWITCHED
            except PypesError:
                continue
        return None

    async def close(self) -> None:
        """Tell nobody anything any more."""
        await self._tasks.close()
