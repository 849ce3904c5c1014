"""RedisStream on a real server: whole documents, each message once, older versions, and what the server refuses."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from pypes import Packet, Unreachable
from pypes.core.identity import Version
from pypes.testing import ComponentSuite, PublisherSuite, run_component
from pypes.testing.node import free_port
from pypes_basic.log_lines import fold
from pypes_basic.records import Record, Shape, Told, record_of
from pypes_stores.redis_stream import RedisStream
from tests.needed import library
from tests.servers.redis_server import redis_server

redis = library("redis", "pypes-stores[redis]")

pytestmark = pytest.mark.servers


@pytest.fixture
def client(redis_url: str) -> Iterator[Any]:
    with redis.Redis.from_url(redis_url, protocol=2) as made:
        yield made


class TestRedisStream(ComponentSuite, PublisherSuite):
    component = RedisStream
    counts_removed = False

    @pytest.fixture(autouse=True)
    def _server(self, redis_url: str, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.url, self.client = redis_url, client
        monkeypatch.setattr(type(self), "environ", {"REDIS": redis_url})

    def make(self) -> RedisStream:
        made = RedisStream()
        made.configure({"url": self.url, "stream": "made"})
        return made

    def parameters(self, folder: Path) -> Mapping[str, Any]:
        return {"url": self.url, "stream": _stream(folder)}

    def seen(self, folder: Path) -> Iterable[tuple[str, str | None, str, str]]:
        return told(messages(self.client, _stream(folder)))


def _stream(folder: Path) -> str:
    return hashlib.sha256(str(folder).encode()).hexdigest()


def messages(client: Any, stream: str) -> list[dict[str, Any]]:
    return [json.loads(fields[b"message"]) for _, fields in client.xrange(stream)]


def told(found: Iterable[dict[str, Any]]) -> list[tuple[str, str | None, str, str]]:
    """What messages come to, by the rules of a log."""
    lines: list[dict[str, Any]] = []
    for message in found:
        of = {
            "document": message["id"] and message["id"].replace("\\u0000", "\x00"),
            "route": message["route"],
            "version": message["version"],
        }
        lines += [{**of, **part} for part in message["parts"]]
        lines += [{**of, "complete": True}] if message["whole"] else []
    folded = fold(json.dumps(line).encode() + b"\n" for line in lines)
    return [(line["route"], line["document"], line["part"], line["fields"]["text"]) for line in folded]


@pytest.fixture
def publisher(redis_url: str, request: pytest.FixtureRequest) -> Iterator[RedisStream]:
    made = made_with(redis_url, stream=request.node.nodeid)
    yield made
    made.teardown()


def made_with(url: str, **params: Any) -> RedisStream:
    made = RedisStream()
    made.configure({"url": url, "stream": "s", **params})
    made.setup()
    return made


def record(version: str, text: str, id: str = "a") -> Record:
    receipt, _, run = version.partition("/")
    packet = Packet({"text": text}, {"id": id, "route": "docs", "receipt": receipt, "run": int(run)})
    made = record_of(packet, Shape("", "", "", 0, ""), Counter())
    assert isinstance(made, Record)
    return made


def end(version: str, id: str = "a", *, is_whole: bool = True) -> Told:
    of = record(version, "", id)
    return Told(of.document, "docs", id, of.version_text, is_whole, False)


def short(message: dict[str, Any]) -> str:
    """The version of a message as these tests write it."""
    version = Version.parse(message["version"])
    return f"{version.receipt}/{version.run}"


def test_what_comes_again_is_appended_once(publisher: RedisStream, client: Any) -> None:
    stream = publisher.params.stream
    for run in ("r1/1", "r1/1", "r1/2"):
        publisher.write([record(run, "one")], [end(run)])
    assert [short(message) for message in messages(client, stream)] == ["r1/1"]
    publisher.write([record("r2/1", "two")], [end("r2/1")])
    # the first one again, as by an instance that was held up
    publisher.write([record("r1/3", "one")], [end("r1/3")])
    assert [short(message) for message in messages(client, stream)] == ["r1/1", "r2/1"]


def test_a_newer_version_that_failed_in_part_holds_up_no_older_one(publisher: RedisStream, client: Any) -> None:
    publisher.write([record("r2/1", "half")], [end("r2/1", is_whole=False)])
    publisher.write([record("r1/1", "one")], [end("r1/1")])
    publisher.write([record("r2/1", "half")], [end("r2/1", is_whole=False)])
    found = [(short(each), each["whole"]) for each in messages(client, publisher.params.stream)]
    assert found == [("r2/1", False), ("r1/1", True)]


def test_what_is_remembered_ends(publisher: RedisStream, client: Any) -> None:
    publisher.write([record("r1/1", "one")], [end("r1/1")])
    (key,) = client.keys("{" + publisher.params.stream.replace("[", "?").replace("]", "?") + "}:of:*")
    assert 0 < client.ttl(key) <= publisher.params.remember_s
    for number in range(2, 12):
        publisher.write([record(f"r{number:02}/1", "more")], [end(f"r{number:02}/1")])
    assert client.hlen(key) == 2


def test_old_entries_go(redis_url: str, client: Any) -> None:
    made = made_with(redis_url, stream="short", maxlen=100)
    made.write([record("r/1", "x", id=str(n)) for n in range(1_000)], [end("r/1", id=str(n)) for n in range(1_000)])
    assert 100 <= client.xlen("short") < 300
    made.teardown()


def test_a_server_that_is_away_or_full_lets_the_filter_rest(tmp_path: Path) -> None:
    made = made_with(f"redis://127.0.0.1:{free_port()}", timeout_s=1)
    with pytest.raises(Unreachable, match="Redis"):
        made.write([record("r/1", "x")], [end("r/1")])
    made.teardown()
    with redis_server(tmp_path, "--maxmemory", "1") as url:
        made = made_with(url)
        with pytest.raises(Unreachable, match="command not allowed when used memory"):
            made.write([record("r/1", "x")], [end("r/1")])
        made.teardown()


def test_what_is_refused_is_a_dead_letter(redis_url: str, client: Any) -> None:
    client.set("text", "no stream")
    made = RedisStream()
    made.configure({"url": redis_url, "stream": "text"})
    (letter,) = run_component(made, [Packet({"text": "x"}, {"id": "a"})]).dead_letters
    assert letter.code == "redis.refused"
    assert "WRONGTYPE" in letter.error
