"""Draining: the node hands its shards over to another node of its fleet, and ends."""

from __future__ import annotations

import asyncio
import os
import socket
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path

from pypes import logs
from pypes.access.audit import ITSELF, Cause, line_of
from pypes.config import Settings
from pypes.core.paths import STORE
from pypes.core.watched_tasks import WatchedTasks
from pypes.errors import Conflict, InvalidConfig, NotFound, PypesError, Unavailable
from pypes.ingest.store.shards import Shard, Shards
from pypes.runtime.contracts.fleet import Member
from pypes.runtime.contracts.handing import Handing
from pypes.runtime.fleet.addresses import reader_of
from pypes.runtime.fleet.handing import HandedOver, calls_over, have_adopted, read_handed_over, send
from pypes.runtime.fleet.link import connect
from pypes.runtime.fleet.membership import Membership
from pypes.runtime.fleet.secret import FleetAccess
from pypes.runtime.graphs.store import ControlStore
from pypes.runtime.supervisor.arbiter import Arbiter, fleet_access
from pypes.runtime.supervisor.closing import let_in_again, let_in_no_more
from pypes.runtime.supervisor.owners import Owners
from pypes.runtime.supervisor.workers import Workers

#: Time for gunicorn to stop its workers after they have drained, and for the locks of the shards to be free, in seconds.
CLOSE_S = 10.0

#: Files that are named where a node has some.
SHOWN = 5


class Draining:
    """Hands over what a node has, when it is asked to. ``settings()`` are those that hold.

    ``end_instances()`` ends what runs graphs; ``stop()`` ends the node, in order.
    """

    def __init__(
        self,
        settings: Callable[[], Settings],
        store: ControlStore,
        fleet: Membership | None,
        owners: Owners,
        workers: Workers,
        arbiter: Arbiter,
        listener: socket.socket,
        end_instances: Callable[[], Awaitable[None]],
        stop: Callable[[], None],
        tasks: WatchedTasks,
    ) -> None:
        self._settings = settings
        self._store = store
        self._fleet = fleet
        self._owners = owners
        self._workers = workers
        self._arbiter = arbiter
        self._listener = listener
        self._end_instances = end_instances
        self._stop = stop
        self._tasks = tasks
        self._is_begun = False
        self._log = logs.get("pypes.fleet")

    async def begin(self, to: str, leave_files: bool = False, cause: Cause = ITSELF) -> Handing:
        """As ``DrainCalls.begin``."""
        data = self._settings().server.data
        member, own = self._member(to)
        if not leave_files and (files := _left_behind(data)):
            shown = ", ".join(files[:SHOWN]) + (f" and {len(files) - SHOWN} more" if len(files) > SHOWN else "")
            raise Conflict(
                f"graphs have written files into the data directory, which stay behind: {shown}; agree to that, or move them",
                code="drain.files",
            )
        if self._is_begun:
            raise Conflict("the node hands its shards over already", code="drain.begun")
        self._is_begun = True
        try:
            shards = Shards(data)
            graphs = sorted(await self._owners.waiting())
            size = await asyncio.to_thread(_size, shards.path)
            id = uuid.uuid4().hex
            identities = [shards.identity(number, self._store.node) for number in shards.numbers()]
            link = await connect(member.url, self._access())
            try:
                await calls_over(link).offer(self._store.node, id, graphs, size, identities)
            finally:
                await link.close()
            self._store.note(line_of(cause, "node.drain", object=member.name))
            self._log.info("draining", to=member.name, graphs=graphs, bytes=size)
            self._tasks.start(self._run(member, own, id), "draining")
        except BaseException:
            self._is_begun = False
            raise
        return Handing(member.name, graphs, size)

    def _member(self, to: str) -> tuple[Member, str]:
        """The node with a name or a URL, and the name of this one."""
        members = [] if self._fleet is None else self._fleet.members
        own = next((member.name for member in members if member.is_here), None)
        if own is None:
            raise Conflict("the node is in no fleet, or has not found itself in it yet: see [fleet]", code="drain.no_fleet")
        found = next((member for member in members if to in (member.name, member.url)), None)
        if found is None or found.is_here:
            names = ", ".join(member.name for member in members if not member.is_here) or "there is none"
            raise NotFound(f"{to!r} is no other node of the fleet ({names})", code="drain.no_member", where="to")
        if found.state != "ready":
            raise Conflict(f"the node {found.name} is not ready: {found.state}", code="drain.not_ready", where=found.name)
        return found, own

    def _access(self) -> FleetAccess:
        access = fleet_access(self._settings())
        assert access is not None
        return access

    # -- the steps --------------------------------------------------------------------------------------

    async def _run(self, member: Member, own: str, id: str) -> None:
        data = self._settings().server.data
        try:
            handed = await self._hand_over(member, own, id, data)
        except (PypesError, OSError) as error:
            self._log.error("nothing was handed over, the node goes on", to=member.name, reason=str(error))
            self._go_on()
            return
        # the shards are of this node no more: what its instances still do must not be done twice
        await self._end_instances()
        await have_adopted(handed, data, lambda: member.url, self._access())
        self._log.info("handed over", to=member.name, shards=len(handed.shards))
        self._stop()

    async def _hand_over(self, member: Member, own: str, id: str, data: Path) -> HandedOver:
        grace_s, node = self._settings().limits.grace_s, self._store.node
        await self._workers.drain(grace_s)
        await let_in_no_more(self._listener)
        await self._arbiter.stop(grace_s + CLOSE_S)
        locked: list[Shard] = []
        try:
            shards = Shards(data)
            for number in shards.numbers():
                locked.append(await asyncio.to_thread(shards.lock, number, wait_s=CLOSE_S))
            link = await connect(member.url, self._access())
            try:
                await send(calls_over(link), node, own, id, locked)
            except BaseException:
                with suppress(PypesError):
                    await calls_over(link).withdraw(node, id)
                raise
            finally:
                await link.close()
            identities = [shard.identity(node) for shard in locked]
            handed = HandedOver(member.name, member.url, node, id, identities)
            handed.write(data)
            # they stay locked until the end of this process
            locked = []
            return handed
        finally:
            for shard in locked:
                shard.release()

    def _go_on(self) -> None:
        self._workers.resume()
        let_in_again(self._listener)
        self._arbiter.start()
        self._is_begun = False


async def refuse_handed_over(data: Path, settings: Settings) -> None:
    """Finish what a node began that had handed its shards over, and raise :class:`InvalidConfig`: it must not serve again."""
    handed = read_handed_over(data)
    if handed is None:
        return
    if not handed.is_done:
        access = fleet_access(settings)
        if access is None:
            raise InvalidConfig(
                f"the shards of this node were handed over to {handed.to}, which may not have opened them yet: "
                "start it once with its settings of [fleet]",
                code="config.data_handed_over",
                where=str(data),
            )
        read = reader_of(settings.fleet.nodes)

        def url() -> str:
            with suppress(Unavailable):
                return next((address.url for address in read() if address.name == handed.to), handed.url)
            return handed.url

        await have_adopted(handed, data, url, access)
    raise InvalidConfig(
        f"the shards of this node were handed over to {handed.to}, which answers for them; a new node needs a data directory "
        "of its own, new or empty",
        code="config.data_handed_over",
        where=str(data),
    )


def _left_behind(data: Path) -> Sequence[str]:
    """Names of the files that graphs have written into a data directory."""
    files = sorted(path.name for path in data.iterdir() if path.name not in (*STORE, "lost+found"))
    outbox = data / "outbox"
    return [*files, *(f"outbox/{path.name}" for path in sorted(outbox.glob("*")))] if outbox.is_dir() else files


def _size(folder: Path) -> int:
    """Bytes of all files below a folder."""
    found = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                found += Path(place, name).stat().st_size
    return found
