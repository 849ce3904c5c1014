"""Membership: the nodes of the fleet as this one knows them. It greets each again and again, and says when something has changed.

Members are those that are configured; whether one answers moves nothing but its state. The number of each is learned when it
answers, and remembered for good: receipts of a node that is away lead to it, and not to nowhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

import msgspec

from pypes import logs
from pypes.core.watched_tasks import WatchedTasks, in_own_thread
from pypes.errors import PypesError
from pypes.runtime.contracts.fleet import AWAY, DRAINED, TWIN, AgreementCalls, Greeting, Member, MemberCalls
from pypes.runtime.contracts.handing import Adopted
from pypes.runtime.fleet.addresses import Address
from pypes.runtime.fleet.link import away, connect
from pypes.runtime.fleet.secret import FleetAccess
from pypes.runtime.rpc import RpcClient
from pypes.runtime.rpc.contract import Method, stub

#: Least time between two greetings of a member, in seconds; with many members, they are greeted at this rate together.
PERIOD_S = 1.0
GREETINGS_PER_S = 5

#: Seconds until a member that is coming up is greeted again, and its states.
SOON_S = 0.25
COMING = frozenset({"starting", "joining"})

#: Time for a member to answer a greeting, in seconds, before it counts as away.
ANSWER_S = 3.0


class Memory(Protocol):
    """Keeps the numbers of members, durably."""

    def members(self) -> Mapping[str, int]:
        """The numbers by name, as far as they were ever learned."""

    def remember_member(self, name: str, number: int) -> None:
        """Keep the number of a member, durably on return."""

    def adopted(self, name: str) -> tuple[Adopted, ...]:
        """The nodes whose shards a member has, as far as that was ever learned."""

    def remember_adopted(self, name: str, adopted: tuple[Adopted, ...]) -> None:
        """Keep the nodes whose shards a member has, durably on return."""


class Membership:
    """The nodes of the fleet; made and used within one event loop.

    ``read`` reads the addresses, and may block; ``greeting`` is what this node says of itself; ``on_change()`` is called when
    what :attr:`members` has is not what it was.
    """

    def __init__(
        self,
        read: Callable[[], list[Address]],
        access: Callable[[], FleetAccess],
        greeting: Callable[[], Greeting],
        memory: Memory,
        on_change: Callable[[], None],
        on_failed: Callable[[str], None],
    ) -> None:
        self._read = read
        self._access = access
        self._greeting = greeting
        self._memory = memory
        self._on_change = on_change
        self._tasks = WatchedTasks(on_failed)
        self._log = logs.get("pypes.fleet")
        self._members: dict[str, Member] = {}
        #: The links over which members are greeted, and called, by URL.
        self._links: dict[str, RpcClient] = {}
        #: URLs whose greeting was answered, or was not in time, at least once.
        self._asked: set[str] = set()
        self._has_read = False
        #: Those who greet, by the URL that they greet.
        self._greeters: dict[str, asyncio.Task[None]] = {}
        self._said = ""

    @property
    def members(self) -> list[Member]:
        """All members, by name; this node is among them once it has found itself.

        One whose number another member has adopted is drained: it owns nothing, though it is listed.
        """
        found = [self._members[name] for name in sorted(self._members)]
        holders = {adopted.node: member.name for member in found for adopted in member.adopted}
        return [_drained(member, holders[member.number]) if member.number in holders else member for member in found]

    @property
    def period_s(self) -> float:
        """Time between two greetings of one member."""
        return max(PERIOD_S, len(self._members) / GREETINGS_PER_S)

    @property
    def has_asked_all(self) -> bool:
        """True once all that are configured have been asked for the first time."""
        return self._has_read and self._greeters.keys() <= self._asked

    def agreement(self, number: int | None, answer_s: float) -> AgreementCalls:
        """Calls about versions of graphs to the member with a number; they raise :class:`Unavailable` if it does not answer."""
        return stub(AgreementCalls, partial(self._carry, number, answer_s), "agreement.")

    async def _carry(self, number: int | None, answer_s: float, name: str, method: Method, params: dict[str, Any]) -> Any:
        found = [member for member in self._members.values() if member.number == number and member.state not in (AWAY, TWIN)]
        link = self._links.get(found[0].url) if found else None
        if link is None or not link.is_open:
            raise away(found[0] if found else Member(f"node-{number}", ""))
        return await link.carry(name, method, params, answer_s)

    async def run(self) -> None:
        """Keep the members known until cancelled."""
        for name, number in self._memory.members().items():
            self._members[name] = Member(name, "", number, adopted=self._memory.adopted(name))
        while True:
            try:
                self._apply(await in_own_thread(self._read, "addresses of the fleet"))
                self._has_read = True
                self._say("")
            except PypesError as error:
                self._say(str(error))
            await asyncio.sleep(self.period_s)

    async def close(self) -> None:
        """Greet no more."""
        await self._tasks.close()

    def _say(self, trouble: str) -> None:
        """Log a trouble once."""
        if trouble != self._said:
            self._said = trouble
            if trouble:
                self._log.warning("the members are as they were known last", reason=trouble)

    def _apply(self, addresses: list[Address]) -> None:
        """Have each address greeted, and those no more that are gone."""
        urls = {address.url for address in addresses}
        known, numbers = dict(self._members), self._memory.members()
        for url in self._greeters.keys() - urls:
            self._greeters.pop(url).cancel()
            self._members.pop(url, None)
        if named := {address.name: address.url for address in addresses if address.name}:
            # who is not configured any more is no member
            self._members = {name: member for name, member in self._members.items() if name in named}
            for name, url in named.items():
                before = self._members.get(name) or Member(name, url, numbers.get(name), adopted=self._memory.adopted(name))
                self._members[name] = before if before.url == url else msgspec.structs.replace(before, url=url)
        for address in addresses:
            if not address.name and not any(member.url == address.url for member in self._members.values()):
                # only the node itself can tell its name, and until then nobody knows what it owns
                self._members[address.url] = Member(address.url, address.url)
            if address.url not in self._greeters:
                self._greeters[address.url] = self._tasks.start(self._greet(address), f"greeting {address.url}")
        if self._members != known:
            self._on_change()

    # -- one address -------------------------------------------------------------------------------------

    async def _greet(self, address: Address) -> None:
        """Greet one address again and again."""
        link: RpcClient | None = None
        try:
            while True:
                was_linked = link is not None
                try:
                    if link is None or not link.is_open:
                        link = self._links[address.url] = await connect(address.url, self._access())
                    async with asyncio.timeout(ANSWER_S):
                        self._heard(address, await stub(MemberCalls, link.carry).greet(self._greeting()))
                except (PypesError, TimeoutError) as error:
                    if link is not None:
                        await link.close()
                        link = None
                    if was_linked and not isinstance(error, TimeoutError):
                        continue  # the process at the other end may have been replaced
                    self._missed(address, error)
                self._asked.add(address.url)
                is_coming = any(member.url == address.url and member.state in COMING for member in self._members.values())
                await asyncio.sleep(SOON_S if is_coming else self.period_s)
        finally:
            if link is not None:
                await link.close()

    def _heard(self, address: Address, greeting: Greeting) -> None:
        own, name = self._greeting(), address.name or f"node-{greeting.node}"
        is_here = (greeting.node, greeting.boot) == (own.node, own.boot)
        if (greeting.node == own.node and not is_here) or self._is_taken(greeting.node, name):
            twin = Member(name if address.name else address.url, address.url, greeting.node, TWIN, _twin(greeting.node))
            self._set(twin)
            return
        if not address.name:
            self._members.pop(address.url, None)
        if self._memory.members().get(name) != greeting.node:
            self._memory.remember_member(name, greeting.node)
        if {adopted.node for adopted in self._memory.adopted(name)} != {adopted.node for adopted in greeting.adopted}:
            self._memory.remember_adopted(name, greeting.adopted)
        about = (greeting.node, greeting.state, "", greeting.version, is_here, greeting.is_new, greeting.adopted)
        self._set(Member(name, address.url, *about))

    def _is_taken(self, number: int, name: str) -> bool:
        """True if a member of another name has the number, and answers."""
        others = (member for member in self._members.values() if member.name != name)
        return any(member.number == number and member.state not in (AWAY, TWIN) for member in others)

    def _missed(self, address: Address, error: Exception) -> None:
        reason = error.message if isinstance(error, PypesError) else f"no answer within {ANSWER_S:g} s"
        for member in list(self._members.values()):
            if member.url == address.url:
                self._set(msgspec.structs.replace(member, state=AWAY, reason=reason))

    def _set(self, member: Member) -> None:
        before = self._members.get(member.name)
        if before == member:
            return
        self._members[member.name] = member
        if before is None or before.state != member.state:
            if member.state in (AWAY, TWIN):
                self._log.warning("member of the fleet", member=member.name, state=member.state, reason=member.reason)
            else:
                self._log.info("member of the fleet", member=member.name, state=member.state)
        self._on_change()


def _drained(member: Member, holder: str) -> Member:
    return msgspec.structs.replace(member, state=DRAINED, reason=f"its shards went to {holder}")


def _twin(number: int) -> str:
    return (
        f"two nodes have the number {number}: the data directory of one is a copy of the other's, or one node is named "
        "twice. Stop one of them, and give it a data directory of its own"
    )
