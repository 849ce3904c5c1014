"""The fleet as the supervisor sees to it: its members, told to the workers, and one version of each graph for all of them."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from pypes.config import Settings
from pypes.core.watched_tasks import OnFailed
from pypes.errors import Unavailable
from pypes.runtime.contracts.fleet import AWAY, FleetVersion, GraphHead, GraphState, Greeting, Member
from pypes.runtime.fleet.addresses import enter, reader_of
from pypes.runtime.fleet.agreement import Agreement
from pypes.runtime.fleet.following import Follower
from pypes.runtime.fleet.granting import Grants
from pypes.runtime.fleet.membership import Membership
from pypes.runtime.fleet.secret import FleetAccess
from pypes.runtime.graphs.agreed import Agreed
from pypes.runtime.graphs.deployer import Deployer
from pypes.runtime.graphs.store import ControlStore
from pypes.runtime.supervisor.arbiter import fleet_access

ANYWHERE = ("0.0.0.0", "::")

#: Time for a member to answer, in seconds, beyond what it may take to set a graph up.
ANSWER_S = 10.0


class NodeFleet:
    """The fleet that a node is in. It answers the other members (:class:`pypes.runtime.contracts.fleet.AgreementCalls`).

    ``announce(members)`` is called when one has changed, ``on_caught_up()`` once this node has the graphs of the others.
    ``current()`` are the settings that hold; of those of the fleet, only the secrets change while the node runs.
    Raises :class:`InvalidConfig`.
    """

    def __init__(
        self,
        current: Callable[[], Settings],
        store: ControlStore,
        deployer: Deployer,
        greeting: Callable[[], Greeting],
        announce: Callable[[list[Member]], None],
        is_started: Callable[[], bool],
        on_caught_up: Callable[[], None],
        on_failed: OnFailed,
        url: str,
    ) -> None:
        settings = current()
        read = reader_of(settings.fleet.nodes)
        folder = Path(settings.fleet.nodes)
        if "://" not in settings.fleet.nodes and folder.is_dir():
            enter(folder, store.node, settings.fleet.url or _reachable(url))

        def access() -> FleetAccess:
            found = fleet_access(current())
            assert found is not None
            return found

        self._announce = announce
        self._is_started = is_started
        self.members = Membership(read, access, greeting, store, self._changed, on_failed)
        self._grants = Grants(self._is_away)
        self._deployer = deployer
        self._agreed = Agreed(deployer, store, store.node, self._asked, on_failed)
        self.follower = Follower(self.members, self._agreed, on_caught_up)
        self._agreement = Agreement(
            store.node, self.members, self._grants, store, settings.fleet.require, self._prepare_s, self.follower
        )
        deployer.others = self._agreement

    def _changed(self) -> None:
        self._announce(self.members.members)
        self.follower.wake()

    def _is_away(self, number: int) -> bool:
        return any(member.number == number and member.state == AWAY for member in self.members.members)

    def _prepare_s(self) -> float:
        settings = self._deployer.settings
        return max(settings.server.setup_s, settings.limits.grace_s) + ANSWER_S

    async def _asked(self, name: str, version: FleetVersion) -> str | None:
        return await self._agreement.asked(name, version)

    async def close(self) -> None:
        """Ask and tell the others nothing any more."""
        await self._agreement.close()
        await self._agreed.close()
        await self.members.close()

    # -- what other members ask -------------------------------------------------------------------------

    async def grant(self, name: str, by: int, id: str) -> None:
        await self._grants.grant(name, by, id)

    async def release(self, id: str) -> None:
        self._grants.release(id)

    async def prepare(self, state: GraphState) -> None:
        if not self._is_started():
            raise Unavailable("the node is starting; it takes the graph before it is ready", code="fleet.not_started")
        await self._agreed.prepare(state)

    async def commit(self, name: str, version: FleetVersion) -> bool:
        has_switched = await self._agreed.commit(name, version)
        self.follower.changed(name)
        return has_switched

    async def abort(self, name: str, version: FleetVersion) -> None:
        await self._agreed.abort(name, version)

    async def verdict(self, name: str, version: FleetVersion) -> str:
        return self._agreement.verdict(name, version)

    async def heads(self) -> list[GraphHead]:
        return self._agreed.heads()

    async def state(self, name: str) -> GraphState:
        return self._agreed.state(name)


def _reachable(url: str) -> str:
    """A URL at which others reach a node that serves at ``url``."""
    parts = urlsplit(url)
    if parts.hostname not in ANYWHERE:
        return url
    return f"{parts.scheme}://{socket.gethostname()}:{parts.port}"
