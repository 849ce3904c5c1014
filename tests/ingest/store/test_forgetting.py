"""Forgetting of blocks with the replays in them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from pypes.ingest.accounts import Account, Kind
from pypes.ingest.store import folding, schema
from pypes.ingest.store.blocks import Block, Entry, pack
from pypes.ingest.store.forgetting import forget


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as made:
        schema.create(made, "", 0)
        yield made


def fold(connection: sqlite3.Connection, graph: str, keys: range) -> None:
    """A block of deliveries that are all replays."""
    account = Account(Kind(graph, 1, 1, 1, 0, 0, (), ""), 0, 1, None)
    packed = [pack(graph, [Entry(key, 0, 7, account) for key in keys], {})]
    folding.write(connection, folding.Fold([], 0, 0, packed, {}, []))
    rows = [(key, 0, f"receipt-{key}", "origin", "letter", None, "[]") for key in keys]
    connection.executemany("INSERT INTO replays VALUES (?, ?, ?, ?, ?, ?, ?)", rows)


def test_what_they_replay_is_forgotten_with_deliveries_reading_a_block_once(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    fold(connection, "gone", range(100, 200, 2))
    fold(connection, "stays", range(101, 201, 2))
    read = []

    class Counted(Block):
        def __init__(self, first: int, keys: bytes, data: bytes) -> None:
            read.append(first)
            super().__init__(first, keys, data)

    monkeypatch.setattr("pypes.ingest.store.forgetting.Block", Counted)
    assert forget(connection, "gone", 1000, 0).receipts == 50
    assert [key for (key,) in connection.execute("SELECT key FROM replays")] == [*range(101, 201, 2)]
    assert read == [100]


def test_what_may_be_in_a_damaged_block_is_forgotten(connection: sqlite3.Connection) -> None:
    fold(connection, "gone", range(100, 110))
    connection.execute("UPDATE blocks SET keys = CAST('torn' AS BLOB)")
    assert forget(connection, "gone", 1000, 0).receipts == 10
    assert connection.execute("SELECT count(*) FROM replays").fetchone() == (0,)
