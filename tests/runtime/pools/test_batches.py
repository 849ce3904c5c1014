"""Components with ``process_batch`` in pools: the sizes of their batches, and fates that are those of an instance."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from pypes.core.pools import Pool
from pypes.runtime.making import Site
from pypes.runtime.pools.order import filter_of
from pypes.runtime.pools.proxy import PoolProxy, in_threads
from pypes.runtime.scheduler import Epoch, Feed
from tests.runtime.pools.orders import SPECS, graph
from tests.runtime.pools.test_proxy import fields, ran
from tests.runtime.scheduler.graphs import Keep, packets, running

PROCESSES, THREADS = {"processes": 2, "stride": 4}, {"threads": 2}
WIRES = [("work.out", "end.in"), ("work.more", "end.in")]


@pytest.mark.parametrize(("pool", "most"), [({}, 8), ({"stride": 100}, 8), ({"stride": 4}, 4)])
def test_a_batch_is_a_stride_or_what_the_component_wants(pool: dict[str, int], most: int) -> None:
    found = fields(ran({"processes": 1, **pool}, [{"n": n} for n in range(15)], "Batches"))
    assert [packet["n"] for packet in found] == list(range(15))
    assert max(packet["size"] for packet in found) == most


@pytest.mark.parametrize("pool", [PROCESSES, THREADS])
@pytest.mark.parametrize("does", ["anew", "some", "twice", "keeps", "bad", "late", "odd", "coroutine"])
def test_fates_are_as_in_an_instance(pool: Any, does: str) -> None:
    """As far as they do not depend on the size of the batch."""
    documents = [{"n": n} for n in range(6)]
    report, alone = ran(pool, documents, "Batches", does=does), ran(None, documents, "Batches", does=does)
    told = []
    for each in (report, alone):
        failures = sorted((failure["code"], failure["error"]) for failure in each.failures)
        numbers = Counter(packet["n"] for packet in fields(each))
        told.append((failures, each.published, each.dropped, numbers if does in ("anew", "some", "twice") else None))
    assert told[0] == told[1]


def work(does: str, width: int = 1) -> PoolProxy:
    """The filter in threads, with batches of four."""
    made = filter_of(graph({"threads": width}, "Batches", does=does), "work", SPECS["Batches"])
    return in_threads(SPECS["Batches"], made, Site(), Pool(threads=width, stride=4), width)


def fates_of(epochs: list[Epoch]) -> Counter[str]:
    found = Counter[str]()
    for epoch in epochs:
        fates, runs = epoch.fates()
        for count, place in zip(runs[::2], runs[1::2], strict=True):
            found[fates[place].outcome] += count
    return found


@pytest.mark.parametrize("counts", [(12,), (5, 7), (1,) * 12])
@pytest.mark.parametrize(("does", "published"), [("sums", 12), ("only_sums", 12), ("many", 12), ("some", 6), ("bad", 11)])
def test_deliveries_end_when_what_was_made_of_their_batch_has(counts: tuple[int, ...], does: str, published: int) -> None:
    end, done = Keep(), list[Epoch]()
    with running({"work": work(does), "end": end}, WIRES, on_done=done.append) as scheduler:
        start = 0
        for count in counts:
            scheduler.submit(Feed(iter([("work", packets(count, start), range(count))]), count, [start]))
            start += count
        scheduler.drain()
    roots = [epoch for epoch in done if not epoch.parents]
    assert len(roots) == len(counts)
    others = {"some": {"dropped": 6}, "bad": {"failed": 1}}
    assert fates_of(roots) == {"published": published, **others.get(does, {})}
    if does == "sums":
        assert sum(end.numbers) == 2 * sum(range(12))
    elif does == "only_sums":
        assert sum(end.numbers) == sum(range(12))
        assert len(end.numbers) < 12
    elif does == "many":
        assert end.numbers == [*range(1000)] * (len(end.numbers) // 1000)
    elif does == "bad":
        assert sorted(set(range(12)) - {3}) == sorted({*end.numbers} & {*range(12)} - {3})
