"""Values that destinations do not take, and access lists: alike in every publisher, asked as docs/destinations.md says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
import urllib3

from pypes import Packet
from pypes.component import Component
from pypes.component.searching import SearchQuery
from pypes.testing import run_component
from pypes_basic.values import NOBODY
from pypes_search.opensearch import OpenSearch
from pypes_search.opensearch_client import Client
from pypes_search.postgresql import PostgreSQL
from pypes_search.qdrant import Qdrant
from pypes_search.query import ask
from pypes_search.sqlite_search import SQLiteSearch
from tests.servers.schemas import schema_of

from .test_opensearch_suite import index_of

pytestmark = [pytest.mark.servers, pytest.mark.usefixtures("postgresql", "opensearch", "elasticsearch", "qdrant")]

#: Parameters for a folder, and all that somebody may see: id, text and fields.
Found = list[tuple[str, str, dict[str, Any]]]
Destination = tuple[type[Component], dict[str, Any], Callable[[Sequence[str]], Found]]


def sqlite(folder: Path, request: pytest.FixtureRequest) -> Destination:
    def seen(principals: Sequence[str]) -> Found:
        hits = ask(folder / "search.db", SearchQuery("word", 100, principals=tuple(principals))).hits
        return [(hit.id, hit.text.partition("\n")[0], hit.to_obj()["fields"]) for hit in hits]

    return SQLiteSearch, {"path": str(folder / "search.db")}, seen


def postgresql(folder: Path, request: pytest.FixtureRequest) -> Destination:
    url = request.getfixturevalue("postgresql")
    with psycopg.connect(url, autocommit=True) as db:
        own = schema_of(db, url, str(folder))

    def seen(principals: Sequence[str]) -> Found:
        with psycopg.connect(own) as db:
            asked = "SELECT id, text, fields FROM docs WHERE (acl IS NULL OR acl && %s)"
            return db.execute(asked, (list(principals),)).fetchall()

    return PostgreSQL, {"url": own}, seen


def opensearch(folder: Path, request: pytest.FixtureRequest, server: str = "opensearch") -> Destination:
    url, index = request.getfixturevalue(server), index_of(folder)

    def seen(principals: Sequence[str]) -> Found:
        allowed: list[Any] = [{"bool": {"must_not": {"exists": {"field": "acl"}}}}, {"terms": {"acl": list(principals)}}]
        query = {"bool": {"filter": [{"bool": {"should": allowed}}]}}
        with closing(Client(url)) as client:
            client.ask("POST", f"/{index}/_refresh")
            hits = client.ask("POST", f"/{index}/_search", {"size": 100, "query": query})["hits"]["hits"]
        return [(hit["_source"]["pypes"]["id"], hit["_source"]["text"], hit["_source"]) for hit in hits]

    return OpenSearch, {"url": url, "index": index}, seen


def elasticsearch(folder: Path, request: pytest.FixtureRequest) -> Destination:
    return opensearch(folder, request, "elasticsearch")


def qdrant(folder: Path, request: pytest.FixtureRequest) -> Destination:
    url, name = request.getfixturevalue("qdrant"), index_of(folder)

    def seen(principals: Sequence[str]) -> Found:
        allowed: list[Any] = [{"is_empty": {"key": "acl"}}, {"key": "acl", "match": {"any": list(principals)}}]
        asked = {"limit": 100, "with_payload": True, "filter": {"should": allowed}}
        points = urllib3.request("POST", f"{url}/collections/{name}/points/scroll", json=asked).json()["result"]["points"]
        return [(point["payload"]["id"], point["payload"]["text"], point["payload"]["fields"]) for point in points]

    return Qdrant, {"url": url, "collection": name, "dimensions": 2}, seen


@pytest.fixture(params=[sqlite, postgresql, opensearch, elasticsearch, qdrant], ids=lambda made: made.__name__)
def destination(request: pytest.FixtureRequest, tmp_path: Path) -> Destination:
    made: Destination = request.param(tmp_path, request)
    return made


def publish(destination: Destination, *packets: Packet) -> list[tuple[str, str]]:
    component, params, _ = destination
    return [(letter.code, letter.error) for letter in run_component(component, packets, **params).dead_letters]


def word(id: str, meta: dict[str, Any] | None = None, **fields: Any) -> Packet:
    return Packet({"text": "word", **fields}, {"id": id, **(meta or {})})


def test_a_document_without_an_access_list_is_for_everybody_and_with_an_empty_one_for_nobody(destination: Destination) -> None:
    lists = {"null": None, "empty": [], "empty text": "", "ada": "ada", "two": ["ada", "staff"], "said": [NOBODY]}
    packets = [word("open"), *(word(id, {"acl": acl}) for id, acl in lists.items())]
    assert publish(destination, *packets) == []
    *_, seen = destination
    assert sorted(id for id, *_ in seen([])) == ["open"]
    assert sorted(id for id, *_ in seen(["bob", "None", ""])) == ["open"]
    assert sorted(id for id, *_ in seen(["staff"])) == ["open", "two"]
    assert sorted(id for id, *_ in seen(["ada"])) == ["ada", "open", "two"]


@pytest.mark.parametrize("acl", [7, True, {"read": ["ada"]}, ["ada", None], [["ada"]], ["ada", ""], " ", "a\ud800", "a\x00"])
def test_a_document_whose_access_list_is_none_is_not_published(destination: Destination, acl: Any) -> None:
    ((code, error),) = publish(destination, word("a"), word("b", {"acl": acl}), word("c"))
    assert code == "publisher.acl"
    assert error.startswith(f"metadata 'acl' is {acl!r}".encode("utf-8", "replace").decode()[:20])
    *_, seen = destination
    assert sorted(id for id, *_ in seen(["ada"])) == ["a", "c"]


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 10**5_000], ids=["64 bits", "negative", "5,000 digits"])
@pytest.mark.parametrize("place", ["field", "deep", "meta"])
def test_a_number_that_is_too_long_costs_its_document_alone(destination: Destination, number: int, place: str) -> None:
    places: dict[str, dict[str, Any]] = {
        "field": {"n": number},
        "deep": {"n": [{"m": number}]},
        "meta": {"meta": {"row": number}},
    }
    ((code, error),) = publish(destination, word("a", n=2**63 - 1), word("b", **places[place]), word("c", n=1 - 2**63))
    assert code == "publisher.value"
    assert f"{'row' if place == 'meta' else 'n'!r} holds an integer of {number.bit_length()} bits" in error
    *_, seen = destination
    assert sorted(id for id, *_ in seen([])) == ["a", "c"]


def test_what_is_nested_too_deep_costs_its_document_alone(destination: Destination) -> None:
    deep: Any = "x"
    for _ in range(300):
        deep = [deep]
    ((code, error),) = publish(destination, word("a"), word("b", n=deep), word("c"))
    assert (code, "'n' holds more than 240 levels" in error) == ("publisher.value", True)
    *_, seen = destination
    assert sorted(id for id, *_ in seen([])) == ["a", "c"]


def test_halves_of_surrogate_pairs_are_joined_or_replaced(destination: Destination) -> None:
    halves = word("b", {"filename": "\udce4.txt"}, text="word \ud800!", n={"k\ud800": "\ud83d\ude00"})
    halves.set("t\ud800", "x")
    nameless = Packet({"text": "word \udfff"}, {"route": "r\udc80"})
    assert publish(destination, word("a"), halves, nameless, word("c")) == []
    *_, seen = destination
    found = {id: (text, fields) for id, text, fields in seen([])}
    assert len(found) == 4
    text, fields = found["b"]
    assert text == "word \ufffd!"
    assert (fields["n"], fields["t\ufffd"]) == ({"k\ufffd": "\U0001f600"}, "x")


def test_outside_of_a_node_the_order_says_what_is_newer(destination: Destination) -> None:
    def deletion(id: str) -> Packet:
        return Packet(meta={"id": id, "requestmethod": "DELETE"})

    packets = [word("again", text="word 1"), word("gone"), deletion("again"), deletion("gone"), word("again", text="word 2")]
    assert publish(destination, *packets) == []
    *_, seen = destination
    assert [(id, text) for id, text, _ in seen([])] == [("again", "word 2")]
    assert publish(destination, deletion("again"), word("again", text="word 3"), deletion("never")) == []
    assert [(id, text) for id, text, _ in seen([])] == [("again", "word 3")]
