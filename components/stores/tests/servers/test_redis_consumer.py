"""RedisConsumer on a real server: entries that are new, handed out, held by others, acknowledged, and crashes in between."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pypes import Packet
from pypes.errors import ComponentError, InvalidInput
from pypes.testing import ComponentSuite, run_component
from pypes.testing.node import free_port, running, until
from pypes_stores import redis_consumer
from pypes_stores.redis_consumer import RedisConsumer
from tests.needed import library

redis = library("redis", "pypes-stores[redis]")

pytestmark = pytest.mark.servers

Pairs = list[tuple[list[Packet], Any]]


class Stream:
    """A stream of a test."""

    def __init__(self, url: str, name: str) -> None:
        self.url, self.name = url, name
        self.client: Any = redis.Redis.from_url(url, protocol=2)

    def put(self, *names: str, **fields: Any) -> None:
        for name in names:
            self.client.xadd(self.name, {"name": name, **fields})

    @property
    def pending(self) -> int:
        return int(self.client.xpending(self.name, "pypes")["pending"])


@pytest.fixture
def stream(redis_url: str, request: pytest.FixtureRequest) -> Iterator[Stream]:
    made = Stream(redis_url, request.node.nodeid)
    yield made
    made.client.close()


class TestRedisConsumer(ComponentSuite):
    component = RedisConsumer

    @pytest.fixture(autouse=True)
    def _stream(self, stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
        stream.client.delete("people")
        stream.client.xadd("people", {"name": "Ada"}, id="1-1")
        monkeypatch.setattr(type(self), "environ", {"REDIS": stream.url})
        self.stream = stream

    def make(self) -> RedisConsumer:
        return source(self.stream)


def source(stream: Stream, **params: Any) -> RedisConsumer:
    made = RedisConsumer()
    made.configure({"url": stream.url, "stream": stream.name, **params})
    return made


def begun(made: RedisConsumer, cursor: Any = None) -> Iterator[tuple[list[Packet], Any]]:
    made.setup()
    return made.fetch(cursor)


def told(pairs: Pairs) -> list[str]:
    return [packet.get("name") for packets, _ in pairs for packet in packets]


def test_entries_are_fetched_once_and_acknowledged(stream: Stream) -> None:
    assert list(begun(source(stream))) == []
    stream.put("a", "b", note="größe", raw=b"\xff")
    pairs = list(begun(source(stream)))
    packet = pairs[0][0][0]
    assert (packet.get("note"), packet.get("raw"), packet.get_meta("stream")) == ("größe", b"\xff", stream.name)
    assert packet.id == f"{stream.name}/{packet.get_meta('entry')}"
    assert (told(pairs), stream.pending) == (["a", "b"], 0)
    stream.put("c")
    assert told(list(begun(source(stream), pairs[-1][1]))) == ["c"]


def test_a_group_may_begin_with_what_is_to_come(stream: Stream) -> None:
    stream.put("a")
    assert list(begun(source(stream, begin="new"))) == []
    stream.put("b")
    assert told(list(begun(source(stream, begin="new")))) == ["b"]


@pytest.mark.parametrize("is_stored", [False, True])
def test_a_crash_anywhere_loses_and_doubles_nothing(stream: Stream, monkeypatch: pytest.MonkeyPatch, is_stored: bool) -> None:
    monkeypatch.setattr(redis_consumer, "FIRST_ENTRIES", 2)
    monkeypatch.setattr(redis_consumer, "MOST_ENTRIES", 2)
    names = list("abcdefg")
    for survives in range(5):
        stream.client.delete(stream.name)
        stream.put(*names)
        cursor, stored = None, []
        run = begun(source(stream))
        for _ in range(survives):
            packets, cursor = next(run)
            stored += [packet.get("name") for packet in packets]
        # killed while a pair is under way, or when it is stored and not acknowledged
        if (pair := next(run, None)) is not None and is_stored:
            stored += [packet.get("name") for packet in pair[0]]
            cursor = pair[1]
        run.close()  # type: ignore[attr-defined]
        stored += told(list(begun(source(stream), cursor)))
        assert (stored, stream.pending) == (names, 0)


def test_entries_that_others_hold_are_taken_over_in_time(stream: Stream) -> None:
    stream.put("a", "b")
    other = begun(source(stream, consumer="other"))
    next(other)
    other.close()  # type: ignore[attr-defined]
    assert (told(list(begun(source(stream)))), stream.pending) == ([], 2)
    assert (told(list(begun(source(stream, claim_s=0.001)))), stream.pending) == (["a", "b"], 0)


@pytest.mark.parametrize("comes_back", [False, True])
def test_an_entry_that_comes_late_does_not_replace_a_later_one(
    stream: Stream, monkeypatch: pytest.MonkeyPatch, comes_back: bool
) -> None:
    monkeypatch.setattr(redis_consumer, "FIRST_ENTRIES", 3)
    of_key: dict[str, Any] = {"id": "people/{key}", "key": "of"}
    stream.put("old", of="a")
    stream.put("alone", of="b")
    stream.put("before a faulty one", of="c")
    other = begun(source(stream, consumer="other", **of_key))
    next(other)
    other.close()  # type: ignore[attr-defined]
    stream.put("1", "2", of="a")
    stream.put("3", of="d")
    stream.put("faulty", of="c", text="x" * 20_000)
    made = source(stream, **of_key)
    made.fetched_bytes = 10_000
    assert told(list(begun(made))) == ["1", "2", "3", None]
    stream.put("not handed out", of="b")
    late = source(stream, **(of_key | ({"consumer": "other"} if comes_back else {"claim_s": 0.001})))
    late.fetched_bytes = 10_000
    assert told(list(begun(late))) == ["alone", "before a faulty one", "not handed out"]
    assert stream.pending == 0


def test_entries_with_ids_of_their_own_are_not_replaced(stream: Stream) -> None:
    stream.put("old", of="a")
    params: dict[str, Any] = {"id": "{key}/{entry}", "key": "of"}
    other = begun(source(stream, consumer="other", **params))
    next(other)
    other.close()  # type: ignore[attr-defined]
    stream.put("new", of="a")
    assert told(list(begun(source(stream, claim_s=0.001, **params)))) == ["old", "new"]


def test_entries_that_were_deleted_are_passed_over(stream: Stream) -> None:
    stream.put("a", "b")
    run = begun(source(stream))
    next(run)
    run.close()  # type: ignore[attr-defined]
    stream.client.xdel(stream.name, stream.client.xrange(stream.name)[0][0])
    assert (told(list(begun(source(stream)))), stream.pending) == (["b"], 0)


def test_large_entries_come_in_batches(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_consumer, "BATCH_BYTES", 10_000)
    stream.put("a", "b", "c", "d", "e", text="x" * 2_000)
    assert [told([pair]) for pair in begun(source(stream))] == [["a", "b"], ["c", "d"], ["e"], []]


def test_a_key_and_a_file_in_a_field(stream: Stream) -> None:
    stream.put("a", "", body=b'{"n": 1}')
    made = source(stream, id="people/{key}", key="name", data="body")
    packets = [packet for pair, _ in begun(made) for packet in pair]
    result = run_component(source(stream, id="people/{key}", key="name", data="body"), packets)
    (packet,) = result.packets
    assert (packet.id, packet.get("data"), packet.get_meta("mimetype")) == ("people/a", b'{"n": 1}', "application/json")
    (letter,) = result.dead_letters
    assert letter.code == "redis.entry"
    assert letter.error.endswith("has no text in field 'name', of which its id is made")
    with pytest.raises(InvalidInput, match="give both, or none"):
        source(stream, id="{key}")


def test_what_cannot_be_read_is_a_dead_letter(stream: Stream) -> None:
    stream.put("a", text="x" * 5_000)
    stream.put("b")
    made = source(stream)
    made.fetched_bytes = 4_000
    packets = [packet for pair, _ in begun(made) for packet in pair]
    result = run_component(source(stream), packets)
    assert ([letter.code for letter in result.dead_letters], [packet.get("name") for packet in result.packets]) == (
        ["redis.entry"],
        ["b"],
    )
    stream.put("c")
    (letter,) = run_component(source(stream), [p for pair, _ in begun(source(stream, data="body")) for p in pair]).dead_letters
    assert letter.error.endswith("has no field 'body'; it has name")


def test_a_server_that_is_away_ends_the_run(stream: Stream) -> None:
    with pytest.raises(ComponentError, match="Redis: ") as raised:
        list(begun(source(stream, url=f"redis://127.0.0.1:{free_port()}", timeout_s=1)))
    assert raised.value.code == "redis.unreachable"
    stream.client.set(stream.name, "no stream")
    with pytest.raises(ComponentError, match="WRONGTYPE") as raised:
        list(begun(source(stream)))
    assert raised.value.code == "redis.failed"


def test_a_node_reads_and_writes_streams_over_a_kill(stream: Stream, tmp_path: Path) -> None:
    graph = {
        "pypes": 1,
        "name": "streams",
        "nodes": {
            "entries": {"component": "RedisConsumer", "params": {"url": "${REDIS}", "stream": "node-in"}},
            "out": {"component": "RedisStream", "params": {"url": "${REDIS}", "stream": "node-out"}},
        },
        "wires": [["entries.out", "out.in"]],
    }
    client = stream.client
    for n in range(200):
        client.xadd("node-in", {"name": str(n)})
    with running(tmp_path, graph, workers=1, instances=1, environ={"REDIS": stream.url}) as node:
        assert node.post(b"", "/graphs/streams/trigger").status == 202
        until(lambda: client.xlen("node-out"), 30, "something is published")
        node.kill()
        until(lambda: not node.leftovers(), 10, "the node is gone")
        node.start()
        node.wait_ready()
        node.post(b"", "/graphs/streams/trigger")
        until(lambda: client.xlen("node-out") >= 200, 30, "all is published")
        until(lambda: client.xpending("node-in", "pypes")["pending"] == 0, 30, "all is acknowledged")
        assert client.xlen("node-out") == 200
