"""Pools of a node, with real processes, and users over the socket: who gets which, what ends when, what failures cost."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pypes.core.pools import Pool
from pypes.errors import ComponentError, Unreachable
from pypes.packet import Packet
from pypes.placement.executor import Outcome
from pypes.placement.process_executor import ProcessExecutor
from pypes.runtime.pools.node_pools import NodePools, PoolFailed
from pypes.runtime.pools.remote_keeper import RemoteKeeper
from pypes.testing.node import until
from tests.runtime.pools.orders import order

PATIENCE_S = 20.0


@asynccontextmanager
async def node_pools(folder: Path, needed: set[str]) -> AsyncIterator[NodePools]:
    failed: list[str] = []
    pools = NodePools(folder, lambda: needed, failed.append)
    pools.start()
    try:
        yield pools
    finally:
        await pools.close()
        assert failed == []


def play(part: Callable[[NodePools, set[str]], Coroutine[Any, Any, None]], folder: Path) -> None:
    async def whole() -> None:
        needed: set[str] = set()
        async with node_pools(folder, needed) as pools:
            await part(pools, needed)

    asyncio.run(whole())


async def eventually(check: Callable[[], Any], what: str) -> None:
    await asyncio.to_thread(until, check, PATIENCE_S, what)


async def user(pools: NodePools, key: str, width: int = 1) -> ProcessExecutor:
    executor = ProcessExecutor(RemoteKeeper(str(pools.socket), key, width))
    await asyncio.to_thread(executor.setup)  # the loop is that of the node
    return executor


async def results(executor: ProcessExecutor, *numbers: int, do: str = "") -> list[Outcome]:
    future = executor.submit([(0, Packet({"n": n, "do": do})) for n in numbers])
    return await asyncio.wait_for(asyncio.wrap_future(future), PATIENCE_S)


def pid_of(outcome: Outcome) -> int:
    assert outcome.error is None, outcome.error
    return int(outcome.value.own.get("pid"))


def test_users_share_the_pool_workers(tmp_path: Path) -> None:
    async def part(pools: NodePools, needed: set[str]) -> None:
        held = await pools.hold([order()], PATIENCE_S)
        [use] = held.uses["g"].values()
        one, other = await user(pools, use.pool), await user(pools, use.pool)
        found = await results(one, 1, 2) + await results(other, 3)
        assert [outcome.value.own.get("n") for outcome in found] == [1, 2, 3]
        [worker] = pools.status()[0]["workers"]
        assert {pid_of(outcome) for outcome in found} == {worker["pid"]}
        pools.release(held)
        assert pools.status()[0]["state"] == "ready", "it is in use"
        one.close()
        other.close()
        await eventually(lambda: not pools.status(), "nobody needs it")

    play(part, tmp_path)


def test_a_pool_worker_that_is_killed_is_replaced_and_all_users_are_told(tmp_path: Path) -> None:
    async def part(pools: NodePools, needed: set[str]) -> None:
        held = await pools.hold([order()], PATIENCE_S)
        [use] = held.uses["g"].values()
        users = [await user(pools, use.pool) for _ in range(2)]
        [pid] = {pid_of(outcome) for each in users for outcome in await results(each, 1)}
        os.kill(pid, signal.SIGKILL)
        again = {pid_of(outcome) for each in users for outcome in await results(each, 1)}
        assert len(again) == 1
        assert pid not in again
        assert pools.status()[0]["deaths"] == 1
        for each in users:
            each.close()
        pools.release(held)

    play(part, tmp_path)


def test_a_pool_is_used_again_if_it_has_what_is_ordered(tmp_path: Path) -> None:
    async def part(pools: NodePools, needed: set[str]) -> None:
        wide = replace(order(), filters=(*order().filters, *order(name="g.work", secret="x").filters))
        held = await pools.hold([wide], PATIENCE_S)
        needed |= {use.pool for use in held.uses["g"].values()}
        again = await pools.hold([order()], PATIENCE_S)
        assert again.uses["g"]["work"].pool in needed
        assert again.uses["g"]["work"].number == 0
        other = await pools.hold([order(Pool(processes=1, memory=1 << 33)), order(secret="y")], PATIENCE_S)
        assert len(pools.status()) == 3
        for each in (held, again, other):
            pools.release(each)
        await eventually(lambda: len(pools.status()) == 1, "the others are not needed")
        needed.clear()
        pools.sweep()
        await eventually(lambda: not pools.status(), "nor is that one")

    play(part, tmp_path)


def test_a_set_up_that_fails_or_hangs_leaves_nothing(tmp_path: Path) -> None:
    async def part(pools: NodePools, needed: set[str]) -> None:
        with pytest.raises(PoolFailed, match="no set-up") as caught:
            await pools.hold([order(), order(do="raise")], PATIENCE_S)
        assert (caught.value.graph, caught.value.filter) == ("g", "work")
        assert "RuntimeError" in caught.value.traceback
        await eventually(lambda: not pools.status(), "all have ended")
        with pytest.raises(PoolFailed, match="not set up after 1 s"):
            await pools.hold([order(do="hang")], 1.0)
        await eventually(lambda: not pools.status(), "the one that hangs is killed")

    play(part, tmp_path)


def test_a_pool_worker_that_dies_at_set_up_names_filters_of_the_graph(tmp_path: Path) -> None:
    """Neither the pool nor the place of the pool worker in it is taken for a filter, whatever they are called."""

    async def part(pools: NodePools, needed: set[str]) -> None:
        alone = order(Pool(processes=2), "g.work", do="die")
        with pytest.raises(PoolFailed, match=r"^g\.work: exited with status 3 at set-up$") as caught:
            await pools.hold([alone], PATIENCE_S)
        assert caught.value.where == "g.work"
        [one] = order(do="die").filters
        both = replace(alone, name="my.models", filters=(one, replace(one, name="other")))
        with pytest.raises(PoolFailed, match=r"at set-up of pool my.models \(g.work, g.other\)$") as caught:
            await pools.hold([both], PATIENCE_S)
        assert caught.value.where == "g.work"

    play(part, tmp_path)


def test_a_pool_that_is_gone(tmp_path: Path) -> None:
    async def part(pools: NodePools, needed: set[str]) -> None:
        with pytest.raises(ComponentError, match="no such pool"):
            await asyncio.to_thread(RemoteKeeper(str(pools.socket), "nowhere", 1).setup)
        held = await pools.hold([order()], PATIENCE_S)
        [use] = held.uses["g"].values()
        keeper = RemoteKeeper(str(pools.socket), use.pool, 2)
        await asyncio.to_thread(keeper.setup)
        with pytest.raises(Unreachable):
            await asyncio.to_thread(keeper.connect, 1)  # the pool has one seat
        keeper.close()
        with pytest.raises(Unreachable, match="has ended"):
            keeper.connect(0)
        pools.release(held)

    play(part, tmp_path)


def test_a_closed_node_leaves_no_process(tmp_path: Path) -> None:
    pids: list[int] = []

    async def part(pools: NodePools, needed: set[str]) -> None:
        held = await pools.hold([order(Pool(processes=2))], PATIENCE_S)
        pids.extend(worker["pid"] for worker in pools.status()[0]["workers"])
        assert [*held.uses] == ["g"]

    play(part, tmp_path)
    assert len(pids) == 2
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert not (tmp_path / "pools.sock").exists()


def test_a_pool_that_has_lost_all_processes_says_why(tmp_path: Path) -> None:
    told: list[list[str]] = []

    async def whole() -> None:
        pools = NodePools(tmp_path, set, lambda _: None, lambda: told.append([pool["state"] for pool in pools.status()]))
        pools.start()
        held = await pools.hold([order(do="file", secret=str(tmp_path / "away"))], PATIENCE_S)
        [use] = held.uses["g"].values()
        assert pools.stalled(use.pool) == ""
        (tmp_path / "away").touch()
        one = await user(pools, use.pool)
        [pid] = {pid_of(outcome) for outcome in await results(one, 1)}
        os.kill(pid, signal.SIGKILL)
        result = asyncio.ensure_future(results(one, 2))
        await eventually(lambda: pools.stalled(use.pool), "it cannot be set up again")
        assert (
            pools.stalled(use.pool)
            == "no process of pool g.work can be set up again: ComponentError: g.work: set-up failed: RuntimeError: not now"
        )
        (tmp_path / "away").unlink()
        [outcome] = await result
        assert pid_of(outcome) != pid
        await eventually(lambda: not pools.stalled(use.pool), "it is set up again")
        one.close()
        pools.release(held)
        await pools.close()

    asyncio.run(whole())
    assert told == [["stalled"], ["ready"]]
