"""SQLQuery with PostgreSQL: types, transactions that end late, and what the server refuses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from pypes.errors import ComponentError
from pypes.testing.node import free_port
from pypes_stores.sql_query import SQLQuery
from tests.servers.schemas import schema_of

pytestmark = pytest.mark.servers


@pytest.fixture
def db(postgresql: str) -> Iterator[Any]:
    with psycopg.connect(postgresql, autocommit=True) as db:
        yield db


@pytest.fixture
def url(db: Any, postgresql: str, request: pytest.FixtureRequest) -> str:
    url = schema_of(db, postgresql, request.node.nodeid)
    db.execute("CREATE TABLE people (number serial PRIMARY KEY, name text, changed timestamptz DEFAULT clock_timestamp())")
    return url


def source(url: str, **params: Any) -> SQLQuery:
    made = SQLQuery()
    made.configure({"url": url, "query": "SELECT * FROM people", "key": "number", "rising": "changed", **params})
    made.setup()
    return made


def names(made: SQLQuery, cursor: Any = None) -> tuple[list[Any], Any]:
    pairs = list(made.fetch(cursor))
    return [packet.get("name") for packets, _ in pairs for packet in packets], pairs[-1][1] if pairs else cursor


def test_a_transaction_that_ends_late_is_not_missed(db: Any, url: str) -> None:
    made = source(url)
    with psycopg.connect(url) as slow:
        slow.execute("INSERT INTO people (name) VALUES ('slow')")
        db.execute("INSERT INTO people (name) VALUES ('quick')")
        found, cursor = names(made)
        assert found == ["quick"]
    found, cursor = names(made, cursor)
    assert found == ["slow"]
    assert names(made, cursor) == ([], cursor)


def test_columns_become_fields(db: Any, url: str) -> None:
    query = (
        "SELECT 1 AS number, 1.50::numeric AS changed, 'a%' AS name, ARRAY['x', 'y'] AS tags, '{\"a\": 1}'::jsonb AS more, "
        "'\\x00ff'::bytea AS raw, '2026-11-29T10:00:00Z'::timestamptz AS at, NULL AS nothing, "
        "'00000000-0000-0000-0000-000000000001'::uuid AS uuid WHERE 'a' LIKE 'a%'"
    )
    made = source(url + "%20-ctimezone%3DUTC", query=query)
    ((packets, cursor),) = made.fetch(None)
    (packet,) = packets
    assert {name: packet.get(name) for name in packet.get_attribute_names()} == {
        **{"number": 1, "changed": "1.50", "name": "a%", "tags": ["x", "y"], "more": {"a": 1}, "raw": b"\x00\xff"},
        **{"at": "2026-11-29T10:00:00+00:00", "uuid": "00000000-0000-0000-0000-000000000001"},
    }
    assert list(made.fetch(cursor)) == []


def test_what_the_server_refuses_is_told_without_the_password(url: str) -> None:
    with pytest.raises(ComponentError, match=r'relation "nothing" does not exist'):
        source(url, query="SELECT * FROM nothing")
    with pytest.raises(ComponentError, match="does not exist"):
        source(url.replace("/postgres?", "/nothing?"))


def test_a_server_that_is_not_there_lets_the_run_fail_and_the_graph_live(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING"):
        made = source(f"postgresql://x:secret@127.0.0.1:{free_port()}/x")
    assert "cannot be reached yet" in caplog.text
    with pytest.raises(ComponentError) as raised:
        list(made.fetch(None))
    assert raised.value.code == "sql.unreachable"
