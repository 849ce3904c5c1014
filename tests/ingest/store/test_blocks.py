"""Blocks of receipts: everything that went in comes out, whole or by one delivery; damage is told."""

from __future__ import annotations

import random

import msgspec
import pytest

from pypes.errors import StoreError
from pypes.ingest.accounts import Account, Kind
from pypes.ingest.outcome import Details, Fate
from pypes.ingest.store.blocks import EMPTY, MOST, Block, Entry, Packed, pack

ALL = 1 << 62
PUBLISHED = Kind("g", 1, 1, 1, 0, 0, ("index",), "")
FAILED = Kind("g", 1, 1, 0, 0, 1, (), "f")
REMOVED = Kind("g", 2, 3, 1, 2, 0, ("index",), "f", (("index", 4),))


def some_entries(rng: random.Random, number: int, *, kinds: int = 3, most: int = 4, has_ids: bool = True) -> list[Entry]:
    """Entries of commits of up to ``most`` deliveries, some of which belong to other graphs."""
    entries: list[Entry] = []
    key = rng.randrange(1 << 50)
    while len(entries) < number:
        key += rng.choice((1, 64, 64, 640, 100_000))
        salt = rng.getrandbits(14)
        for position in sorted(rng.sample(range(most), rng.randint(1, most))):
            kind = rng.choice((PUBLISHED, FAILED, REMOVED)[:kinds])
            started = rng.choice((-1, 0, 3, 70_000))
            id = rng.choice((None, "a", f"id-{rng.random()}")) if has_ids else None
            entries.append(Entry(key, position, salt, Account(kind, started, max(started, 0) + rng.choice((0, 5, 1 << 33)), id)))
    return entries[:number]


def stored(packed: Packed) -> Block:
    return Block(packed.first, packed.keys, packed.data, packed.details)


@pytest.mark.parametrize("seed", range(20))
def test_what_went_in_comes_out(seed: int) -> None:
    rng = random.Random(seed)
    entries = some_entries(rng, rng.randint(1, 60), kinds=rng.randint(1, 3), most=rng.choice((1, 4)), has_ids=rng.random() < 0.5)
    packed = pack("g", entries, {})
    assert (packed.graph, packed.first, packed.last, packed.entries) == ("g", entries[0].key, entries[-1].key, len(entries))
    assert packed.failed == sum(1 for entry in entries if entry.account.kind.failed)
    block = stored(packed)
    assert list(block.entries(0, ALL)) == entries
    assert block.check() == len(entries)
    for ordinal, (key, position, salt, account) in enumerate(entries):
        assert block.ordinal(key, position) == ordinal
        assert block.account(ordinal) == account
        assert block.salt(key) == salt
    failed = [entry for entry in entries if entry.account.kind.failed]
    assert list(block.entries(0, ALL, only_failed=True)) == failed
    first, last = sorted(rng.choice(entries).key for _ in range(2))
    assert list(block.entries(first, last)) == [entry for entry in entries if first <= entry.key <= last]


def test_others_are_not_in_it() -> None:
    block = stored(
        pack("g", [Entry(64, 1, 5, Account(PUBLISHED, 0, 1, None)), Entry(192, 0, 5, Account(PUBLISHED, 0, 1, None))], {})
    )
    for key, position in ((64, 0), (64, 2), (128, 0), (0, 0), (193, 0)):
        assert block.ordinal(key, position) is None
    assert block.ordinals(128) is None
    assert EMPTY.ordinals(64) is None
    assert list(EMPTY.entries(0, ALL)) == []


def test_a_thousand_documents_a_second_take_few_bytes() -> None:
    rng = random.Random(1)
    entries = [
        Entry((1_700_000_000_000 + n) << 6, 0, rng.getrandbits(14), Account(PUBLISHED, 1, rng.choice((2, 3, 5)), f"doc-{n:08d}"))
        for n in range(MOST)
    ]
    without_ids = [entry._replace(account=entry.account._replace(id=None)) for entry in entries]
    assert pack("g", entries, {}).size < 19 * MOST
    assert pack("g", without_ids, {}).size < 4 * MOST


def test_details_belong_to_their_delivery() -> None:
    entries = some_entries(random.Random(1), 5)
    details = {n: Details((Fate("published"),), (n + 1, 0), {0: f"id-{n}"}) for n in (0, 3)}
    block = stored(pack("g", entries, {n: msgspec.msgpack.encode(each) for n, each in details.items()}))
    assert [block.details(n) for n in range(5)] == [details.get(n) for n in range(5)]
    assert block.check() == 5


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_damaged_part_says_so(part: int) -> None:
    entries = some_entries(random.Random(2), 40)
    packed = pack("g", entries, {0: msgspec.msgpack.encode(Details((Fate("published"),), (1, 0)))})
    parts = [packed.keys, packed.data, packed.details or b""]
    whole = parts[part]
    for parts[part] in (whole[:-5], b"", whole[:10] + bytes(5) + whole[15:]):
        block = Block(packed.first, *parts)
        with pytest.raises(StoreError, match="a block of receipts is damaged") as caught:
            block.check()
        assert caught.value.code == "store.damaged"
