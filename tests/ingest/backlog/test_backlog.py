"""Streams, key locks and the cache of a backlog, without a queue around it."""

from __future__ import annotations

from typing import Any

from pypes.core.identity import Identity
from pypes.ingest.accounts import Account, Kind
from pypes.ingest.backlog.backlog import Backlog
from pypes.ingest.backlog.deliveries import AHEAD_DELIVERIES, Delivery, Group, Part
from pypes.ingest.contracts.leasing import Lease, Stream
from pypes.ingest.delivery import Header
from pypes.ingest.ordering import EVERY, Overtaken, key_of, pack_keys
from pypes.ingest.protocol import Rerun

MANY = 1 << 30
LIVE, BULK = Stream("g", False), Stream("g", True)
DONE = Account(Kind("g", 1, 1, 1, 0, 0, (), ""), 0, 0, None)


class Kept:
    """A backlog and the store behind it."""

    def __init__(self, max_cached_bytes: int | None = None) -> None:
        self.backlog = Backlog(0, max_cached_bytes)
        self.store: dict[int, list[Header]] = {}
        self.key = 0

    def commit(self, *headers: Header) -> list[str]:
        self.key += 1
        self.store[self.key] = list(headers)
        group = Group(self.key, 0, len(headers), len(headers))
        self.backlog.add(group, list(self._read(group)))
        return [f"{self.key}.{position}" for position in range(len(headers))]

    def _read(self, group: Group) -> list[Delivery]:
        return [
            Delivery(group, position, f"{group.key}.{position}", header, b"x", None)
            for position, header in enumerate(self.store[group.key])
        ]

    def lease(self, stream: Stream = LIVE, n: int = 1000) -> list[str]:
        return [lease.id for lease in self.leases(stream, n)]

    def leases(self, stream: Stream = LIVE, n: int = 1000) -> list[Lease]:
        return self.backlog.lease(stream, n, MANY)

    def fetch(self) -> list[Part]:
        wanted = self.backlog.cache.wanted(MANY, 2)
        for part in wanted:
            read = self._read(part.group)
            self.backlog.cache.fill(part, [d if part.group.account(d.position) is None else None for d in read])
        return wanted

    def finish(self, id: str) -> None:
        delivery = self.delivery(id)
        assert self.backlog.settle(delivery.token) is delivery
        delivery.group.finish(delivery.position, DONE)
        self.backlog.finish(delivery)

    def delivery(self, id: str) -> Delivery:
        key, position = map(int, id.split("."))
        deliveries = self.backlog.groups[key].deliveries
        assert deliveries is not None
        delivery = deliveries[position]
        assert delivery is not None
        return delivery

    def give_back(self, id: str, due: float | None = None) -> None:
        delivery = self.delivery(id)
        assert self.backlog.settle(delivery.token) is delivery
        self.backlog.give_back(delivery, due)


def live(*ids: str, graph: str = "g", **changes: Any) -> Header:
    known = () if changes.get("is_bulk") else tuple(Identity("", id) for id in ids)
    return Header(graph, keys=pack_keys(map(key_of, ids)) if ids else b"", **{"identities": known} | changes)


def bulk(*ids: str) -> Header:
    return live(*ids, is_bulk=True)


def test_streams_are_leased_independently() -> None:
    kept = Kept()
    kept.commit(bulk(), live(), live(graph="h"), live())
    assert set(kept.backlog.streams()) == {LIVE, BULK, Stream("h", False)}
    assert kept.lease(LIVE) == ["1.1", "1.3"]
    kept.commit(live(graph="h"), live())
    kept.give_back("1.3")
    assert kept.lease(LIVE) == ["1.3", "2.1"]
    assert kept.lease(Stream("h", False)) == ["1.2", "2.0"]
    assert kept.lease(BULK) == ["1.0"]
    assert kept.backlog.streams() == []
    assert kept.backlog.bulk == (1, 1)


def test_what_nobody_takes_from_makes_place_for_others() -> None:
    """513 bytes each: the cache holds four."""
    kept = Kept(2100)
    for _ in range(6):
        kept.commit(live())
    kept.commit(live(graph="h"))
    kept.commit(live(graph="h"), live(graph="h"), live())
    assert kept.lease(Stream("h", False)) == ["7.0"]
    kept.fetch()
    assert kept.lease(Stream("h", False)) == ["8.0", "8.1"]
    found: list[str] = []
    while kept.fetch() or kept.backlog.is_leasable:
        found += kept.lease(LIVE)
    assert found == ["1.0", "2.0", "3.0", "4.0", "5.0", "6.0", "8.2"]
    for id in ("7.0", "8.0", "8.1", *found):
        kept.finish(id)
    assert kept.backlog.cache.bytes == 0
    assert not kept.backlog.cache.has_cold


def test_the_cache_is_bounded_over_all_streams() -> None:
    kept = Kept(10_000)
    for n in range(100):
        kept.commit(live(graph=f"g{n % 5}"))
    assert kept.backlog.cache.bytes <= 10_000
    found: list[str] = []
    while kept.fetch() or kept.backlog.is_leasable:
        for stream in kept.backlog.streams():
            found += kept.lease(stream)
    assert len(found) == 100
    for graph in range(5):
        own = [id for id in found if (int(id.split(".")[0]) - 1) % 5 == graph]
        assert own == sorted(own, key=lambda id: int(id.split(".")[0]))


def test_documents_of_one_key_wait_for_each_other_through_retries() -> None:
    kept = Kept()
    kept.commit(live("a"), live("b"), live("a", "b"), live("c"), live("b"))
    assert kept.lease() == ["1.0", "1.1", "1.3"]
    assert kept.backlog.is_held("g")
    kept.finish("1.1")
    assert kept.lease() == []
    kept.give_back("1.0", due=5.0)
    assert kept.lease() == []
    kept.backlog.tick(5.0)
    assert kept.lease() == ["1.0"]
    kept.finish("1.0")
    assert kept.lease() == ["1.2"]
    kept.finish("1.2")
    assert kept.lease() == ["1.4"]
    assert not kept.backlog.is_held("g")


def test_a_delivery_in_order_with_everything_runs_with_nothing_beside_it() -> None:
    kept = Kept()
    kept.commit(live("a"), Header("g", keys=EVERY), live("b"), live(graph="h"))
    assert kept.lease() == ["1.0"]
    assert kept.lease(Stream("h", False)) == ["1.3"]
    kept.finish("1.0")
    assert kept.lease() == ["1.1"]
    kept.finish("1.1")
    assert kept.lease() == ["1.2"]


def test_looking_ahead_is_bounded() -> None:
    kept = Kept()
    for _ in range(AHEAD_DELIVERIES + 1):
        kept.commit(live("a"))
    kept.commit(live("b"))
    assert kept.lease() == ["1.0"]
    assert kept.backlog.streams() == []
    kept.finish("1.0")
    assert kept.lease() == ["2.0", f"{AHEAD_DELIVERIES + 2}.0"]


def test_live_passes_bulk_that_was_never_lent_and_supersedes_it() -> None:
    kept = Kept()
    kept.commit(bulk("a", "b"))
    kept.commit(live("a"))
    assert kept.lease(LIVE) == ["2.0"]
    assert kept.lease(BULK) == []
    kept.finish("2.0")
    [lease] = kept.leases(BULK)
    assert (lease.id, lease.rerun) == ("1.0", Rerun(superseded=Overtaken((Identity("", "a"),))))
    # once lent, bulk is in the line
    kept.commit(live("b"))
    assert kept.lease(LIVE) == []
    assert kept.backlog.rerun(kept.delivery("1.0")) == Rerun(superseded=Overtaken((Identity("", "a"), Identity("", "b"))))
    kept.finish("1.0")
    assert kept.lease(LIVE) == ["3.0"]
    assert not kept.backlog.has_bulk("g")
    kept.commit(bulk("a", "b"))
    kept.finish("3.0")
    [lease] = kept.leases(BULK)
    assert lease.rerun is None


def test_what_shares_only_a_key_waits_and_is_told_apart() -> None:
    """Two ids of one hash, and one id under two routes."""
    one, other = "doc-29685295", "doc-32060020"
    assert key_of(one) == key_of(other)
    kept = Kept()
    kept.commit(bulk(one))
    kept.commit(live(other, identities=(Identity("", other), Identity("r", one))))
    assert kept.lease(LIVE) == ["2.0"]
    kept.finish("2.0")
    [lease] = kept.leases(BULK)
    assert lease.rerun == Rerun(superseded=Overtaken((Identity("", other), Identity("r", one))))


def test_what_an_earlier_release_took_supersedes_by_its_key() -> None:
    kept = Kept()
    kept.commit(bulk("a", "b"))
    kept.commit(live("a", identities=()))
    assert kept.lease(LIVE) == ["2.0"]
    kept.finish("2.0")
    [lease] = kept.leases(BULK)
    assert lease.rerun == Rerun(superseded=Overtaken((), (key_of("a"),)))


def test_bulk_waits_for_older_live_documents_even_if_nobody_looked_at_them() -> None:
    kept = Kept()
    kept.commit(live("a"))
    kept.commit(bulk("a"), bulk("b"))
    assert kept.lease(BULK) == []
    assert kept.lease(LIVE) == ["1.0"]
    assert kept.lease(BULK) == ["2.1"]
    kept.finish("1.0")
    assert kept.lease(BULK) == ["2.0"]


def test_live_in_order_with_everything_waits_for_older_bulk() -> None:
    """It names no key that bulk could be told to leave alone."""
    kept = Kept()
    kept.commit(bulk("a"))
    kept.commit(Header("g", keys=EVERY))
    kept.commit(bulk("b"))
    assert kept.lease(LIVE) == []
    assert kept.lease(BULK) == ["1.0"]
    assert kept.lease(LIVE) == []
    kept.finish("1.0")
    assert kept.lease(LIVE) == ["2.0"]
    assert kept.lease(BULK) == []
    kept.finish("2.0")
    assert kept.lease(BULK) == ["3.0"]


def test_what_is_withdrawn_releases_nothing_that_it_never_locked() -> None:
    kept = Kept(1)
    kept.commit(live("a"))
    kept.commit(live("a"), live("a"))
    kept.fetch()
    held = kept.delivery("2.0")  # brought, and not looked at
    kept.backlog.withdraw(held)
    held.group.finish(0, DONE)
    kept.backlog.finish(held)
    assert kept.lease() == ["1.0"]
    waiting = kept.delivery("2.1")  # stands in line behind the one that is out
    assert waiting.is_in_line
    kept.backlog.withdraw(waiting)
    waiting.group.finish(1, DONE)
    kept.backlog.finish(waiting)
    kept.commit(live("a"))
    kept.fetch()
    assert kept.lease() == []
    kept.finish("1.0")
    assert kept.lease() == ["3.0"]
    kept.finish("3.0")
    assert kept.backlog.cache.bytes == 0


def test_what_is_not_lent_waits_in_memory_or_in_the_store() -> None:
    kept = Kept(max_cached_bytes=600)
    assert kept.backlog.waiting(LIVE) == 0
    kept.commit(live())
    in_memory = kept.backlog.waiting(LIVE)
    assert in_memory > 500, "with what a delivery takes besides its body"
    kept.commit(live(), live())
    assert kept.backlog.waiting(LIVE) == in_memory, "those are in the store only, and small"
    assert kept.lease() == ["1.0"]
    assert kept.backlog.waiting(LIVE) == 2
    kept.finish("1.0")
    assert kept.backlog.waiting(LIVE) == 2
    assert kept.backlog.waiting(BULK) == 0
