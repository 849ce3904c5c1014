"""Graphs share the idempotency keys that a shard remembers."""

import asyncio
from pathlib import Path

import pytest

from pypes.core.graph_limits import GraphLimits
from pypes.core.limits import Limits
from pypes.core.nodetime import Clock
from pypes.errors import QueueFull, StoreError
from pypes.ingest.contracts.intake import Key
from pypes.ingest.delivery import Header
from tests.ingest.harness import open_queue, run, sharing


def test_a_graph_at_its_bound_of_keys_is_refused_those_only(tmp_path: Path) -> None:
    async def main() -> None:
        now = [1_700_000_000.0]
        queue = await open_queue(tmp_path, limits=Limits(keys_kept=4), clock=Clock(lambda: now[0]))
        queue.intake.deployed(sharing("a", "b"))

        async def keyed(graph: str, name: str) -> str:
            return await queue.intake.append(Header(graph), b"x", None, Key(f"{graph}\0{name}", b"1"))

        first = await keyed("a", "1")
        await keyed("a", "2")
        with pytest.raises(QueueFull, match=r"graph 'a' fills its share of the idempotency keys \(keys_kept: 2 of 4\)") as caught:
            await keyed("a", "3")
        assert (caught.value.where, caught.value.limit) == ("a", "keys_kept")
        assert await keyed("a", "1") == first, "what is known is answered all the same"
        await queue.intake.append(Header("a"), b"x")
        await keyed("b", "1")
        await queue.close()
        queue = await open_queue(tmp_path, limits=Limits(keys_kept=4), clock=Clock(lambda: now[0]))
        queue.intake.deployed(sharing("a", "b", c=GraphLimits(keys_kept=1)))
        with pytest.raises(QueueFull):
            await keyed("a", "3")
        await keyed("c", "1")
        with pytest.raises(QueueFull, match="its own limit keys_kept"):
            await keyed("c", "2")
        now[0] += 5000.0
        await queue._retention.look()
        await keyed("a", "3")
        await queue.close()

    run(main())


def test_keys_that_come_together_are_no_more_than_the_bound(tmp_path: Path) -> None:
    async def main() -> None:
        queue = await open_queue(tmp_path)
        queue.intake.deployed(sharing("a", c=GraphLimits(keys_kept=3)))
        appends = [queue.intake.append(Header("c"), b"x", None, Key(f"key {n}", b"1")) for n in range(9)]
        found = await asyncio.gather(*appends, return_exceptions=True)
        assert [isinstance(each, QueueFull) for each in found] == [False] * 3 + [True] * 6
        assert queue.uses()["c"].keys == 3
        queue._store._writer.execute("PRAGMA query_only = 1")
        with pytest.raises(StoreError):
            await queue.intake.append(Header("a"), b"x", None, Key("refused", b"1"))
        assert queue.uses()["a"].keys == 0
        await queue.close()

    run(main())
