"""``GET /search`` on a real node: the index of a graph, in pages, with filters and principals; errors are told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from pypes.testing.node import Node, running
from tests.api.asking import Asker

OWN = """
import os
from pypes import Publisher
from pypes.errors import StoreError


class Odd(Publisher):
    def process(self, packet):
        pass

    def search(self, query):
        if query.text == "end":
            os._exit(3)
        if query.text == "fail":
            raise StoreError("its disk is gone", code="odd.gone")
        return {"hits": [], "next": None, "notes": [f"{query.text} {query.route} {os.getpid()}"]}
"""


def graph(name: str, **publishers: dict[str, Any]) -> dict[str, Any]:
    nodes = {"json": {"component": "JSON"}, **publishers}
    return {
        **{"pypes": 1, "name": name, "routes": [name], "nodes": nodes},
        "wires": [["json.out", f"{publisher}.in"] for publisher in publishers],
    }


SEARCH = {"component": "SQLiteSearch", "params": {"path": "shop.db"}}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    folder = tmp_path_factory.mktemp("search")
    (folder / "own.py").write_text(OWN)
    with running(folder, graph("shop", index=SEARCH), "--load", str(folder / "own.py"), workers=1, instances=1) as node:
        documents: list[dict[str, Any]] = [
            *({"id": str(n), "text": f"loom {n}", "n": n, "vector": [1.0, n / 10]} for n in range(25)),
            {"id": "of ada", "text": "secret loom"},
        ]
        for document in documents:
            headers = {"Pypes-Meta-acl": "ada"} if document["id"] == "of ada" else {}
            answer = node.post(json.dumps(document).encode(), **headers)
            assert answer.status == 202, answer.data
            found = node.get(f"/receipts/{answer.json()['receipt']}?wait=30").json()
            assert (found["state"], found["failed"]) == ("done", 0), found
        yield node


@pytest.fixture(scope="module")
def ask(node: Node) -> Asker:
    return Asker(node, node.get("/openapi.json").json())


def search(ask: Asker, *more: tuple[str, Any], **parameters: Any) -> tuple[int, Any]:
    return ask("GET", f"/search?{urlencode([*parameters.items(), *more])}")


def test_the_index_of_the_default_graph_is_searched_page_by_page(ask: Asker) -> None:
    seen: list[str] = []
    after: str | None = "0"
    while after is not None:
        status, found = search(ask, q="loom", limit=10, after=after)
        assert status == 200, found
        assert found["graph"] == "shop"
        seen += [hit["id"] for hit in found["hits"]]
        after = found["next"]
    assert sorted(seen, key=int) == [str(n) for n in range(25)]
    # the vectors are there, and nobody knows their model
    assert found["notes"] == ["found by words alone: the index does not say which model made its vectors"]


def test_graphs_say_what_of_them_can_be_searched(ask: Asker) -> None:
    status, graphs = ask("GET", "/graphs")
    assert (status, [graph["indexes"] for graph in graphs]) == (200, [["index"]])


def test_filters_and_principals_narrow_it_down(ask: Asker) -> None:
    _, found = search(ask, ("filter", "n>=3"), ("filter", "n<=4"), q="loom")
    assert sorted(hit["id"] for hit in found["hits"]) == ["3", "4"]
    assert search(ask, q="secret")[1]["hits"] == search(ask, q="secret", principal="bob")[1]["hits"] == []
    _, found = search(ask, ("principal", "bob"), ("principal", "ada"), q="secret")
    assert [hit["id"] for hit in found["hits"]] == ["of ada"]
    assert search(ask, q="loom", route="none")[1]["hits"] == []
    assert search(ask, q="a secret of somebody", any="true", principal="ada", group="true")[1]["hits"] != []


@pytest.mark.parametrize(
    ("parameters", "status", "code"),
    [
        ({}, 400, "request.invalid"),
        ({"q": " "}, 400, "request.invalid"),
        ({"q": "x" * 4001}, 400, "request.invalid"),
        ({"q": "loom", "limit": 101}, 400, "request.invalid"),
        ({"q": "loom", "after": -1}, 400, "request.invalid"),
        ({"q": "loom", "group": "yes"}, 400, "request.invalid"),
        ({"q": "loom", "principle": "ada"}, 400, None),
        ({"q": "loom", "filter": "n"}, 422, "search.bad_filter"),
        ({"q": "loom", "graph": "none"}, 404, None),
        ({"q": "loom", "index": "json"}, 404, "search.no_index"),
        *(({"q": "loom", name: b"n=\xed\xa0\x80"}, 400, "request.invalid") for name in ("q", "filter", "principal", "route")),
    ],
)
def test_what_is_wrong_is_told(parameters: dict[str, Any], status: int, code: str | None, ask: Asker) -> None:
    answered, problem = search(ask, **parameters)
    assert answered == status, problem
    assert code is None or problem["code"] == code


def test_other_graphs_and_publishers_are_named(ask: Asker, node: Node) -> None:
    odd = {"component": "Odd"}
    for each in (graph("odd", odd=odd), graph("both", odd=odd, index=SEARCH), graph("nothing", null={"component": "Null"})):
        assert ask("PUT", f"/graphs/{each['name']}", each, template="/graphs/{name}")[0] == 201
    assert search(ask, q="loom", graph="nothing")[1]["code"] == "search.no_index"
    status, problem = search(ask, q="loom", graph="both")
    assert (status, problem["code"]) == (409, "search.several")
    assert "index, odd" in problem["detail"]
    assert search(ask, q="loom", graph="both", index="index")[1]["hits"]
    _, found = search(ask, q="a b", graph="odd", route="r")
    assert found["notes"][0].startswith("a b r ")
    assert search(ask, q="fail", graph="odd")[1]["code"] == "odd.gone"
    # one that ends its process costs nobody else's search
    status, problem = search(ask, q="end", graph="odd")
    assert (status, problem["code"]) == (503, "search.lost")
    assert search(ask, q="loom")[0] == 200
    for name in ("odd", "both", "nothing"):
        assert ask("DELETE", f"/graphs/{name}", template="/graphs/{name}")[0] == 204


def test_an_index_that_is_not_there_is_told(ask: Asker, node: Node) -> None:
    data = Path(node.base, "data")
    (data / "shop.db").rename(data / "away.db")
    try:
        status, problem = search(ask, q="loom")
        assert (status, problem["code"]) == (404, "search.no_index")
        assert "publish something there" in problem["detail"]
    finally:
        (data / "away.db").rename(data / "shop.db")
    assert search(ask, q="loom")[0] == 200
