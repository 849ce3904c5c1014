"""A filter in a pool that makes very many packets of one needs no memory for all of them, neither there nor in the instance."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from pypes.component import Transformer
from pypes.core.limits import MIB
from pypes.packet import Packet
from pypes.pipeline import Pipeline
from tests.runtime.pools.splitting import Count, Split, SplitApart, SplitBatch, forget_peak, memory

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read as on Linux")

#: All packets together have more than 100 MB, and a process may grow by less than half of that.
MOST_GROWN = 48 * MIB


@pytest.mark.parametrize(
    ("component", "pool", "documents", "count", "size"),
    [
        (Split, {"processes": 1}, 1, 200_000, 500),
        (SplitBatch, {"processes": 1}, 3, 25_000, 4_000),
        (Split, {"threads": 1}, 1, 25_000, 4_000),
        (SplitApart, None, 1, 25_000, 4_000),
    ],
)
def test_memory_does_not_follow_the_packets_that_are_sent(
    component: type[Transformer], pool: Any, documents: int, count: int, size: int
) -> None:
    split, end = component(), Count()
    split.configure({"count": count, "size": size})
    pools = {} if pool is None else {"split": pool}
    with Pipeline(nodes={"split": split, "count": end}, wires=[("split.out", "count.in")], pools=pools) as pipeline:
        before = forget_peak()
        pipeline.push([Packet({"id": str(n)}) for n in range(documents)])
        grown = memory("VmHWM") - before
        assert not pipeline.dead_letters
    assert (end.numbers, end.is_in_order) == (count, True)
    assert len(end.grown) == 1
    assert end.grown[0] < MOST_GROWN, "in the pool worker"
    assert grown < MOST_GROWN, "in the instance"
