"""Pools of a node: the processes that all of its instances share, owned by the supervisor.

A deployment asks for its pools before its instances are started, and changes nothing if one cannot be set up. A pool that is as
it should be already is used again. One ends when no instance that runs or may be started again names it, and nobody is connected.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pypes import logs
from pypes.core.shown import shown, trace_of
from pypes.core.watched_tasks import OnFailed, WatchedTasks, in_own_thread
from pypes.errors import ComponentError
from pypes.placement.keeper import Connection, LocalKeeper
from pypes.placement.pool_process import Loss
from pypes.runtime.pools.keeper_server import KeeperServer
from pypes.runtime.pools.order import PoolOrder, PoolUse
from pypes.runtime.pools.work import SETUP_FAILED

SOCKET = "pools.sock"


class PoolFailed(ComponentError):
    """Raised for a pool that could not be set up; nothing of it is left."""

    def __init__(self, graph: str, filter: str, message: str, traceback: str = "") -> None:
        super().__init__(message, code=SETUP_FAILED, where=f"{graph}.{filter}")
        self.graph = graph
        self.filter = filter
        self.traceback = traceback


class NodeKeeper(LocalKeeper):
    """The keeper of one pool; it counts the pool workers that were lost."""

    leads_groups = True  # the supervisor adopts orphans

    def __init__(self, order: PoolOrder, on_change: Callable[[], None]) -> None:
        super().__init__(order, order.pool.width, order.bounds, order.name, on_change=on_change)
        #: Numbers of those that were lost; several users tell of each.
        self.deaths: set[int] = set()
        self._log = logs.get("pypes.pools")
        self._about = {"graphs": sorted({f.graph for f in order.filters}), "filters": sorted({f.name for f in order.filters})}

    def state(self) -> dict[str, Any]:
        """Its pool workers, for ``status``."""
        workers = [{"pid": process.pid, "is_busy": process.is_busy} for process in self.workers]
        return {"workers": workers, "deaths": len(self.deaths), "failure": self.failure}

    def lost(self, connection: Connection, fault: str = "") -> Loss:
        loss = super().lost(connection, fault)
        if connection.worker not in self.deaths:
            self.deaths.add(connection.worker)
            self._log.warning("pool worker died", pool=self._name, reason=loss.reason, **self._about)
        return loss


@dataclass(eq=False)
class NodePool:
    """One pool. ``holds`` counts the deployments that wait for it, or for others with it."""

    order: PoolOrder
    keeper: NodeKeeper
    setup: asyncio.Task[None] | None = None
    holds: int = 0
    is_ready: bool = False
    is_ending: bool = False


@dataclass(frozen=True)
class Held:
    """Pools that are kept for a deployment, and the places of its filters in them, by graph and filter."""

    uses: Mapping[str, Mapping[str, PoolUse]] = field(default_factory=dict)
    pools: tuple[NodePool, ...] = ()


class NodePools:
    """The pools of a node. Used in the supervisor's event loop. ``in_use()`` names those that instances need.

    ``on_change()`` is called there when pool workers cannot be set up again, and when they are at last.
    """

    def __init__(
        self,
        runtime_dir: Path,
        in_use: Callable[[], set[str]],
        on_failed: OnFailed,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self.socket = runtime_dir / SOCKET
        self._in_use = in_use
        self._on_change = on_change
        self._pools: dict[str, NodePool] = {}
        #: By name, pool workers that were lost of pools that have ended.
        self._past_deaths: Counter[str] = Counter()
        self._server = KeeperServer(self.socket, self._keeper, self.sweep)
        self._tasks = WatchedTasks(on_failed)
        self._log = logs.get("pypes.pools")

    def start(self) -> None:
        """Let instances connect."""
        self._server.start()

    def _keeper(self, pool: str) -> LocalKeeper | None:
        # asked by threads of the server
        found = self._pools.get(pool)
        return None if found is None or found.is_ending else found.keeper

    # -- for deployments --------------------------------------------------------------------------------

    async def hold(self, orders: Iterable[PoolOrder], timeout_s: float) -> Held:
        """Set up what is not there yet. Call :meth:`release` when the instances are started, or have failed.

        Raises :class:`PoolFailed`; what was begun ends then.
        """
        held: list[NodePool] = []
        uses: dict[str, dict[str, PoolUse]] = {}
        try:
            for order in orders:
                pool = self._fitting(order)
                pool.holds += 1
                held.append(pool)
                for filter in order.filters:
                    use = PoolUse(pool.order.key, pool.order.number_of(filter), pool.order.pool.width)
                    uses.setdefault(filter.graph, {})[filter.name] = use
            await asyncio.gather(*(self._ready(pool, timeout_s) for pool in held))
        except BaseException:
            self._release(held)
            raise
        return Held(uses, tuple(held))

    def release(self, held: Held) -> None:
        """End what no instance has come to need."""
        self._release(held.pools)

    def _release(self, pools: Iterable[NodePool]) -> None:
        for pool in pools:
            pool.holds -= 1
        self.sweep()

    def _fitting(self, order: PoolOrder) -> NodePool:
        """A pool that has what is ordered; a new one, unless there is one already."""
        for pool in self._pools.values():
            if not pool.is_ending and pool.order.holds(order):
                return pool
        keeper = NodeKeeper(order, self._telling())
        pool = self._pools[order.key] = NodePool(order, keeper)
        pool.setup = asyncio.create_task(self._set_up(pool))
        return pool

    def _telling(self) -> Callable[[], None]:
        """Has ``on_change`` called from a thread of a keeper, which ends before the loop does."""
        loop = asyncio.get_running_loop()

        def tell() -> None:
            loop.call_soon_threadsafe(self._on_change)

        return tell

    async def _set_up(self, pool: NodePool) -> None:
        await in_own_thread(pool.keeper.setup, f"pool-{pool.order.name}")
        pool.is_ready = True

    async def _ready(self, pool: NodePool, timeout_s: float) -> None:
        if pool.is_ready:
            return
        assert pool.setup is not None
        order = pool.order
        first = order.filters[0]
        done, _ = await asyncio.wait([pool.setup], timeout=timeout_s)
        if not done:
            self._end(pool)
            raise PoolFailed(first.graph, first.name, f"its pool was not set up after {timeout_s:g} s (setup_s)")
        error = pool.setup.exception()
        if error is not None:
            self._end(pool)
            graph, filter, message = _place_of(error, order)
            raise PoolFailed(graph, filter, message, trace_of(error))

    # -- the end ----------------------------------------------------------------------------------------

    def sweep(self) -> None:
        """End the pools that nobody needs any more."""
        needed = self._in_use()
        for key, pool in list(self._pools.items()):
            if not (pool.holds or key in needed or self._server.users(key)):
                self._end(pool)

    def _end(self, pool: NodePool) -> None:
        if not pool.is_ending:
            pool.is_ending = True
            self._tasks.start(self._close(pool), f"end of pool {pool.order.name}")

    async def _close(self, pool: NodePool) -> None:
        await in_own_thread(pool.keeper.close, f"end-of-pool-{pool.order.name}")
        if pool.setup is not None:
            await asyncio.wait([pool.setup])
            pool.setup.exception()  # whoever waited has been told
            # what its set-up has made after that
            await in_own_thread(pool.keeper.close, f"end-of-pool-{pool.order.name}")
        if self._pools.get(pool.order.key) is pool:
            del self._pools[pool.order.key]
            self._past_deaths[pool.order.name] += len(pool.keeper.deaths)

    async def close(self) -> None:
        """End all pools, the busy ones in the midst of a packet, and wait until nothing of them is left."""
        self._server.close()
        pools = list(self._pools.values())
        for pool in pools:
            pool.is_ending = True
        await asyncio.gather(*(self._close(pool) for pool in pools))
        await self._tasks.close()

    def stalled(self, key: str) -> str:
        """Reason why nothing can work in a pool, though it was set up; empty if something can."""
        pool = self._pools.get(key)
        if pool is None or not pool.is_ready or not pool.keeper.is_stalled:
            return ""
        return f"no process of pool {pool.order.name} can be set up again: {pool.keeper.failure}"

    def deaths(self) -> Counter[str]:
        """Pool workers that were lost since the start of the node, by the name of their pool."""
        found = Counter(self._past_deaths)
        for pool in self._pools.values():
            found[pool.order.name] += len(pool.keeper.deaths)
        return found

    def status(self) -> list[dict[str, Any]]:
        """Every pool there is, for ``status``."""
        return [
            {
                "name": pool.order.name,
                "filters": sorted(f"{filter.graph}.{filter.name}" for filter in pool.order.filters),
                "state": _state(pool),
                **pool.keeper.state(),
            }
            for pool in self._pools.values()
        ]


def _state(pool: NodePool) -> str:
    if pool.is_ending:
        return "ending"
    if not pool.is_ready:
        return "starting"
    return "stalled" if pool.keeper.is_stalled else "ready"


def _place_of(error: BaseException, order: PoolOrder) -> tuple[str, str, str]:
    """Graph and filter that could not be set up, and why; the first of the pool, if nobody knows which it was."""
    if isinstance(error, ComponentError) and error.code == SETUP_FAILED:
        graph, _, filter = error.where.partition(".")
        return graph, filter, error.message
    first = order.filters[0]
    message = error.message if isinstance(error, ComponentError) else shown(error)
    if len(order.filters) > 1:
        message = f"{message} of pool {order.name} ({', '.join(f'{each.graph}.{each.name}' for each in order.filters)})"
    return first.graph, first.name, message
