"""A graph built step by step over HTTP, as clients of the original do, on a real node."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pypes.testing.node import Node, running
from tests.api.asking import GRAPH, Asker


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with running(tmp_path_factory.mktemp("drafts"), GRAPH, workers=1, instances=1) as node:
        yield node


def filter_(ask: Asker, component: str, **params: Any) -> str:
    status, made = ask("POST", "/filters", {"component": component, "params": params})
    assert status == 201
    return str(made["id"])


def wire(ask: Asker, graph: str, source: str, target: str) -> tuple[int, Any]:
    return ask("POST", f"/graphs/{graph}/wires", {"source": source, "target": target}, template="/graphs/{name}/wires")


def test_a_graph_is_built_step_by_step(node: Node, ask: Asker) -> None:
    adapter, one, two = filter_(ask, "JSON"), filter_(ask, "SetField", field="a"), filter_(ask, "SetField", field="b")
    end = filter_(ask, "Null")
    status, draft = wire(ask, "built", f"{adapter}.out", f"{one}.in")
    assert (status, draft["names"]) == (201, {adapter: "json", one: "setfield"})
    assert draft["errors"], "a graph without a publisher is not valid yet"
    assert ask("POST", "/graphs/built/deploy", template="/graphs/{name}/deploy")[0] == 422
    wire(ask, "built", f"{one}.out", f"{two}.in")
    wire(ask, "built", f"{one}.out", f"{end}.in")
    ask("DELETE", "/graphs/built/wires", {"source": f"{one}.out", "target": f"{end}.in"}, template="/graphs/{name}/wires")
    assert wire(ask, "built", f"{two}.out", f"{end}.in")[1]["errors"] == []
    assert ask("GET", "/graphs/built/draft", template="/graphs/{name}/draft")[1]["graph"]["wires"] == [
        ["json.out", "setfield.in"],
        ["setfield.out", "setfield-2.in"],
        ["setfield-2.out", "null.in"],
    ]
    status, deployed = ask("POST", "/graphs/built/deploy?by=ann", template="/graphs/{name}/deploy")
    assert (status, deployed["version"], deployed["state"]) == (200, 1, "live")
    assert set(deployed["graph"]["nodes"]) == {"json", "setfield", "setfield-2", "null"}
    assert ask("GET", "/graphs/built/draft", template="/graphs/{name}/draft")[0] == 404
    assert node.get(f"/filters/{one}").status == 404


def test_a_draft_of_a_deployed_graph_begins_with_it(ask: Asker) -> None:
    more = filter_(ask, "Null")
    status, draft = wire(ask, "base", "set.out", f"{more}.in")
    assert status == 201
    assert draft["names"] == {more: "null-2"}
    assert wire(ask, "base", "base.json.out", f"{more}.in")[1]["graph"]["wires"][-1] == ["json.out", "null-2.in"]
    assert ask("POST", "/graphs/base/deploy", template="/graphs/{name}/deploy")[1]["version"] == 2


def test_a_draft_is_thrown_away_with_its_filters(node: Node, ask: Asker) -> None:
    one, two = filter_(ask, "JSON"), filter_(ask, "Null")
    wire(ask, "gone", f"{one}.out", f"{two}.in")
    assert ask("DELETE", "/graphs/gone/draft", template="/graphs/{name}/draft")[0] == 204
    assert ask("DELETE", "/graphs/gone/draft", template="/graphs/{name}/draft")[0] == 404
    assert node.get(f"/filters/{one}").status == 404


def test_wires_that_cannot_be(ask: Asker) -> None:
    one = filter_(ask, "JSON")
    assert wire(ask, "x", f"{one}.nowhere", f"{one}.in")[0] == 422
    assert wire(ask, "x", f"{one}.out", "nobody.in")[0] == 404
    assert wire(ask, "x", "out", f"{one}.in")[0] == 422
    assert wire(ask, "x y", f"{one}.out", f"{one}.in")[0] in (404, 422)
    assert ask("POST", "/graphs/x/wires", {"source": 1}, template="/graphs/{name}/wires")[0] == 400


def test_a_filter_is_in_the_draft_of_one_graph_only(node: Node, ask: Asker) -> None:
    one, two, other = filter_(ask, "JSON"), filter_(ask, "Null"), filter_(ask, "JSON")
    wire(ask, "first", f"{one}.out", f"{two}.in")
    status, problem = wire(ask, "second", f"{other}.out", f"{two}.in")
    assert (status, problem["code"], problem["where"]) == (409, "filter.wired", f"{two}.in")
    assert "'first'" in problem["detail"]
    assert ask("GET", "/graphs/second/draft", template="/graphs/{name}/draft")[0] == 404
    # once it is out of that one, it may go into another
    unwired = {"source": f"{one}.out", "target": f"{two}.in"}
    status, draft = ask("DELETE", "/graphs/first/wires", unwired, template="/graphs/{name}/wires")
    assert (status, draft["names"]) == (200, {})
    assert wire(ask, "second", f"{other}.out", f"{two}.in")[0] == 201
    assert ask("DELETE", "/graphs/second/draft", template="/graphs/{name}/draft")[0] == 204
    assert [node.get(f"/filters/{id}").status for id in (one, two, other)] == [200, 404, 404]


def test_a_filter_of_a_draft_is_changed_and_deleted_there(node: Node, ask: Asker) -> None:
    one, two, gone = filter_(ask, "JSON"), filter_(ask, "Null"), filter_(ask, "SetField", field="a")
    wire(ask, "lacking", f"{one}.out", f"{two}.in")
    first = wire(ask, "lacking", f"{one}.out", f"{gone}.in")[1]
    changed = ask("PUT", f"/filters/{gone}", {"params": {"field": "b"}}, template="/filters/{id}")[1]
    assert (changed["params"], changed["graph"]) == ({"field": "b"}, "lacking")
    draft = ask("GET", "/graphs/lacking/draft", template="/graphs/{name}/draft")[1]
    assert draft["graph"]["nodes"]["setfield"] == {"component": "SetField", "params": {"field": "b"}, "uid": gone}
    assert draft["counter"] > first["counter"]
    assert ask("DELETE", f"/filters/{gone}", template="/filters/{id}")[0] == 204
    status, draft = ask("GET", "/graphs/lacking/draft", template="/graphs/{name}/draft")
    assert (status, draft["graph"]["wires"], draft["errors"]) == (200, [["json.out", "null.in"]], [])
    unwired = {"source": f"{one}.out", "target": f"{gone}.in"}
    assert ask("DELETE", "/graphs/lacking/wires", unwired, template="/graphs/{name}/wires") == (200, draft)
    assert ask("DELETE", "/graphs/lacking/draft", template="/graphs/{name}/draft")[0] == 204
    assert [node.get(f"/filters/{id}").status for id in (one, two, gone)] == [404, 404, 404]


def test_a_draft_by_wires_begins_with_what_is_live_and_is_outdated_with_it(ask: Asker) -> None:
    two = filter_(ask, "Null")
    graph = {**GRAPH, "name": "shrunk", "routes": ["shrunk"]}
    assert ask("PUT", "/graphs/shrunk", graph, template="/graphs/{name}")[0] == 201
    wire(ask, "shrunk", "set.out", f"{two}.in")
    nodes = {name: node for name, node in GRAPH["nodes"].items() if name != "set"}
    smaller = {**graph, "nodes": nodes, "wires": [["json.out", "null.in"]]}
    assert ask("PUT", "/graphs/shrunk", smaller, template="/graphs/{name}")[0] == 200
    draft = ask("GET", "/graphs/shrunk/draft", template="/graphs/{name}/draft")[1]
    assert (draft["base"], draft["live"], draft["errors"]) == (1, 2, [])
    status, problem = ask("POST", "/graphs/shrunk/deploy", template="/graphs/{name}/deploy")
    assert (status, problem["code"]) == (409, "draft.outdated")
    assert ask("DELETE", "/graphs/shrunk/draft", template="/graphs/{name}/draft")[0] == 204


def test_a_filter_that_is_given_what_it_has_has_no_line(ask: Asker) -> None:
    def lines() -> list[str]:
        listed = ask("GET", "/audit?limit=1000", template="/audit")[1]["audit"]
        return [each["operation"] for each in listed if each["object"] == id]

    id = filter_(ask, "SetField", field="a")
    for params in ({"field": "a"}, {"field": "b"}, {"field": "b"}):
        assert ask("PUT", f"/filters/{id}", {"params": params}, template="/filters/{id}")[0] == 200
    assert lines() == ["filter.change", "filter.create"]
