"""A search server as a destination: indexes and fields, what is refused, what is waited for, what a crash may leave."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import urllib3

from pypes import Packet, Pipeline, Unreachable
from pypes.core.identity import Completed, Identity, Version
from pypes.errors import ComponentError, InvalidInput
from pypes.testing import run_component
from pypes.testing.node import free_port
from pypes_search.opensearch import OpenSearch
from pypes_search.opensearch_client import Client
from pypes_search.versioned_writing import versions_of
from tests.servers.between import Between, between

from .test_opensearch_suite import index_of, seen_of

pytestmark = pytest.mark.servers

Publish = Callable[..., list[tuple[str, str]]]


@pytest.fixture(params=["opensearch", "elasticsearch"])
def server(request: pytest.FixtureRequest, opensearch: str, elasticsearch: str) -> str:
    return {"opensearch": opensearch, "elasticsearch": elasticsearch}[request.param]


@pytest.fixture
def client(server: str) -> Iterator[Client]:
    client = Client(server)
    yield client
    client.close()


@pytest.fixture
def index(tmp_path: Any) -> str:
    return index_of(tmp_path)


@pytest.fixture
def publish(server: str, index: str) -> Publish:
    def run(*packets: Packet, **params: Any) -> list[tuple[str, str]]:
        result = run_component(OpenSearch, packets, **{"url": server, "index": index, "refresh": "true", **params})
        return [(letter.code, letter.error) for letter in result.dead_letters]

    return run


def found(client: Client, index: str, query: Any = None) -> list[dict[str, Any]]:
    client.ask("POST", f"/{index}/_refresh")
    hits = client.ask("POST", f"/{index}/_search", {"size": 100, **({"query": query} if query else {})})["hits"]["hits"]
    return [hit["_source"] for hit in hits]


def versioned(receipt: str, fields: dict[str, Any] | None = None, run: int = 1, **meta: Any) -> Packet:
    return Packet(fields, {"id": "a", "route": "docs", "receipt": receipt, "run": run, **meta})


def push(publisher: OpenSearch, packets: Sequence[Packet], receipt: str, run: int = 1, *, is_whole: bool = True) -> None:
    """One turn of a publisher, without a runtime that would wait."""
    publisher.process_batch(list(packets))
    publisher.complete([Completed(Identity("docs", "a"), Version(receipt, 0, run), is_whole)])
    publisher.commit()


class Alone(OpenSearch):
    """A publisher that no runtime calls."""

    def offload(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return fn(*args, **kwargs)


def made(url: str, index: str, **params: Any) -> OpenSearch:
    publisher = Alone()
    publisher.configure({"url": url, "index": index, **params})
    publisher.setup()
    return publisher


def test_words_and_who_may_see_them(client: Client, index: str, publish: Publish) -> None:
    looms = Packet(
        {"id": "looms", "title": "Looms", "text": "Cards choose the threads."}, {"acl": ["staff"], "filename": "l.txt"}
    )
    assert publish(looms, Packet({"id": "mills", "text": "Water."}), alias=f"{index}-alias") == []
    query = {"bool": {"must": [{"match": {"text": "threads"}}], "filter": [{"terms": {"acl": ["staff", "ada"]}}]}}
    (hit,) = found(client, f"{index}-alias", query)
    assert (hit["pypes"]["id"], hit["title"], hit["acl"], hit["meta"]["filename"]) == ("looms", "Looms", ["staff"], "l.txt")


def test_vectors_are_stored(client: Client, index: str, publish: Publish) -> None:
    letters = publish(Packet({"id": "a", "vector": [1, 2]}), Packet({"id": "b", "vector": [1, 2, 3]}), dimensions=3)
    assert [code for code, _ in letters] == ["search.dimensions"]
    assert [hit["vector"] for hit in found(client, index)] == [[1.0, 2.0, 3.0]]
    known = client.ask("GET", f"/{index}/_mapping")[index]["mappings"]["properties"]["vector"]
    assert 3 in (known.get("dims"), known.get("dimension"))


def test_an_index_that_does_not_fit_is_refused(publish: Publish) -> None:
    publish(dimensions=3)
    with pytest.raises(ComponentError, match=r"field vector has (dims|dimension) 3 instead of 4"):
        publish(dimensions=4)
    with pytest.raises(ComponentError, match="field text has type text instead of keyword"):
        publish(dimensions=3, mappings={"text": {"type": "keyword"}})


def test_an_index_that_is_there_gets_what_it_lacks(client: Client, index: str, publish: Publish) -> None:
    client.ask("PUT", f"/{index}", {"mappings": {"properties": {"n": {"type": "long"}}}})
    assert publish(Packet({"id": "a", "n": 1})) == []
    assert client.ask("GET", f"/{index}/_mapping")[index]["mappings"]["properties"]["pypes"]["properties"]["version"] == {
        "type": "keyword"
    }


def test_a_document_that_is_refused_fails_alone(client: Client, index: str, publish: Publish) -> None:
    packets = [Packet({"id": n, "n": n if n != 1 else "no number"}) for n in range(3)]
    letters = publish(*packets, mappings={"n": {"type": "long"}})
    assert [code for code, _ in letters] == ["opensearch.refused_document"]
    assert letters[0][1].startswith("400 ")
    assert "n" in letters[0][1]
    assert sorted(hit["n"] for hit in found(client, index)) == [0, 2]


def test_a_field_of_a_name_that_is_taken_is_refused(publish: Publish) -> None:
    ((code, reason),) = publish(Packet({"id": "a", "meta": "x"}))
    assert (code, "'meta'" in reason) == ("opensearch.field", True)


@pytest.mark.parametrize(("status", "after", "delay_s"), [(429, "7", 7.0), (503, None, 1.0), (502, None, 1.0)])
def test_a_server_that_is_busy_is_waited_for(server: str, index: str, status: int, after: str | None, delay_s: float) -> None:
    with between(server) as proxy:
        publisher = made(proxy.url, index)
        proxy.answers.append((status, {"retry-after": after} if after else {}))
        with pytest.raises(Unreachable) as caught:
            push(publisher, [versioned("1", {"text": "x"})], "1")
        assert caught.value.delay_s == delay_s
        publisher.teardown()


def test_an_item_that_the_server_has_no_room_for_is_waited_for(monkeypatch: pytest.MonkeyPatch, server: str, index: str) -> None:
    publisher = made(server, index)
    rejected = {"status": 429, "error": {"type": "es_rejected_execution_exception", "reason": "queue is full"}}
    monkeypatch.setattr(publisher._client, "_bulk", lambda data, refresh: [rejected] * (data.count(b"\n") // 2))
    with pytest.raises(Unreachable, match="queue is full"):
        push(publisher, [versioned("1", {"text": "x"})], "1")
    publisher.teardown()


def test_who_is_refused_hears_it_at_set_up(server: str) -> None:
    with between(server) as proxy:
        proxy.answers.append((401, {}))
        with pytest.raises(ComponentError, match="the server refuses: 401"):
            run_component(OpenSearch, [], url=proxy.url)


def test_another_server_is_refused(server: str) -> None:
    with between(server) as proxy:
        proxy.answers.append((200, {}))
        with pytest.raises(ComponentError, match="neither OpenSearch nor Elasticsearch"):
            run_component(OpenSearch, [], url=proxy.url)


def test_a_server_that_is_not_there_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        publisher = made(f"http://127.0.0.1:{free_port()}", "docs")
    assert "cannot be reached yet" in caplog.text
    with pytest.raises(Exception, match="refused") as caught:
        push(publisher, [versioned("1", {"text": "x"})], "1")
    assert type(caught.value).__name__ == "NewConnectionError"  # over which the runtime rests
    publisher.teardown()


def test_an_index_that_was_removed_is_made_again(client: Client, server: str, index: str) -> None:
    with between(server) as proxy:
        publisher = made(proxy.url, index)
        push(publisher, [versioned("1", {"text": "x"})], "1")
        client.ask("DELETE", f"/{index}")
        client.ask("DELETE", f"/versions-of-{index}")
        proxy.answers.append((404, {}))  # as a server that makes no index by itself
        with pytest.raises(Unreachable, match="404"):
            push(publisher, [versioned("2", {"text": "y"})], "2")
        proxy.requests.clear()
        push(publisher, [versioned("2", {"text": "y"})], "2")
        assert f"PUT /{index}" in proxy.requests
        publisher.teardown()
    assert [hit["text"] for hit in found(client, index)] == ["y"]


def test_a_document_that_moves_to_another_index_leaves_the_first(client: Client, server: str, index: str) -> None:
    publisher = made(server, f"{index}-{{language}}")
    push(publisher, [versioned("1", {"text": "1", "language": "de"})], "1")
    push(publisher, [versioned("2", {"text": "2", "language": "fr-CA"})], "2")
    assert [hit["text"] for hit in found(client, f"{index}-fr_ca")] == ["2"]
    assert found(client, f"{index}-de") == []
    publisher.teardown()


def test_what_is_gone_is_forgotten_in_the_end(client: Client, server: str, index: str) -> None:
    publisher = OpenSearch()
    publisher.configure({"url": server, "index": index, "tombstone_s": 0})
    with Pipeline(publisher) as pipeline:
        pipeline.push([versioned("1", {"text": "x"}), versioned("1", {"text": "x"}, id="b")])
        pipeline.push([versioned("2", requestmethod="DELETE")])
        publisher._forgot_s = -1e9
        pipeline.push([versioned("3", {"text": "x"}, id="c")])
        assert not pipeline.dead_letters
    assert sorted(hit["id"] for hit in found(client, f"versions-of-{index}")) == ["b", "c"]


@pytest.mark.parametrize("is_performed", [False, True])
@pytest.mark.parametrize(
    ("other", "has_older"), [(False, True), (True, True), (True, False)], ids=["the same parts", "other parts", "a first version"]
)
def test_a_crash_between_any_two_requests(
    server: str, client: Client, index: str, is_performed: bool, other: bool, has_older: bool
) -> None:
    """A crash at each request of a new version: the older one or the newer is there, and the next run leaves the newer alone."""
    number, is_dead = 0, True
    with between(server) as proxy:
        while is_dead:
            number += 1
            name = f"{index}-{number}"
            first, second = [rows("1", 3), rows("2", 1)]
            publisher = made(proxy.url, name)
            if has_older:
                push(publisher, first, "1")
            is_dead = _dies(proxy, publisher, second, number, is_performed)
            seen = {seen_of(hit)[3] for hit in found(client, name)}
            assert seen >= {"1.1", "1.2", "1.3"} or not has_older or seen >= {"2.1"}, (
                f"after request {number}, a reader sees {seen}"
            )
            again = made(server, name)
            push(again, rows("2", 2, "chunk", run=2) if other else rows("2", 1, run=2), "2", run=2)
            left = sorted(seen_of(hit)[2] for hit in found(client, name))
            assert left == (["chunk=1", "chunk=2"] if other else ["row=1"]), f"after request {number}"
            push(again, first, "1", is_whole=False)  # late
            assert sorted(seen_of(hit)[2] for hit in found(client, name)) == left
            again.teardown()
    assert number > (5 if has_older else 3)


def rows(receipt: str, count: int, kind: str = "row", run: int = 1) -> list[Packet]:
    return [versioned(receipt, run=run).derive(kind, n, {"text": f"{receipt}.{n}"}) for n in range(1, count + 1)]


def _dies(proxy: Between, publisher: OpenSearch, packets: Sequence[Packet], number: int, is_performed: bool) -> bool:
    """True if a turn has more requests than that; the one of this number, and those behind it, are not answered."""
    proxy.requests.clear()
    proxy.most, proxy.is_performed = number - 1, is_performed
    try:
        push(publisher, packets, "2")
    except urllib3.exceptions.ProtocolError:
        return True
    finally:
        proxy.most = None
        publisher.teardown()
    return False


@pytest.mark.parametrize("index", ["versions-of-docs", "versions-of-{language}", "v{language}", "versions-{language}-of"])
def test_indexes_that_may_be_those_of_versions_are_refused(index: str) -> None:
    with pytest.raises(InvalidInput, match="where versions are kept"):
        OpenSearch().configure({"url": "http://127.0.0.1", "index": index})


def test_other_indexes_have_versions_beside_them() -> None:
    for index in ("versions", "vehicles-{language}", "docs-{kind}-{language}"):
        OpenSearch().configure({"url": "http://127.0.0.1", "index": index})
    assert versions_of("docs-{kind}-{language}.x") == "versions-of-docs-any-any.x"
