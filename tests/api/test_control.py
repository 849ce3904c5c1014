"""Resources over HTTP, on a real node: answers are as /openapi.json describes them, refusals say what there is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from pypes.testing.node import Node, running
from tests.api.asking import GRAPH, Asker


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with running(tmp_path_factory.mktemp("control"), GRAPH, workers=1, instances=1) as node:
        yield node


def test_components(ask: Asker) -> None:
    status, everything = ask("GET", "/components")
    assert status == 200
    names = [each["name"] for each in everything]
    assert names == sorted(names)
    assert {"JSON", "SetField", "Null", "HTML", "SQLiteSearch"} <= set(names)
    status, one = ask("GET", "/components/SetField", template="/components/{name}")
    assert status == 200
    assert one["kind"] == "TRANSFORMER"
    assert one["distribution"] == "pypes-basic"
    assert "in" in one["inputs"]
    assert "field" in one["schema"]["properties"]
    assert (one["icon"], one["tags"], one["needs"], one["missing"]) == ("pencil", ["fields"], {}, [])
    assert one["example"]["gives"]["out"][0]["fields"] == {"title": "Ada", "kind": "person"}
    status, problem = ask("GET", "/components/SetFeild", template="/components/{name}")
    assert status == 404
    assert problem["code"] == "component.not_found"


def test_status_shows_the_whole_node(ask: Asker, node: Node) -> None:
    assert node.post(b'{"title": "one"}').status == 202
    status, found = ask("GET", "/status")
    assert status == 200
    assert (found["node"], found["state"], found["default"]) == (node.get("/healthz").json()["node"], "ready", "base")
    assert [worker["slot"] for worker in found["workers"]] == [0]
    [shard] = found["shards"]
    assert (shard["shard"], shard["reason"]) == (0, "")
    assert shard["queue"]["appended"] >= 1
    assert shard["graphs"]["base"]["limits"]["queue_max_deliveries"] <= 1_000_000
    [instance] = [each for each in found["instances"] if each["state"] == "ready"]
    assert "base" in instance["graphs"]
    assert {"generation": instance["generation"], "instances": 1, "ready": 1} in found["generations"]
    assert found["graphs"] == ask("GET", "/graphs")[1]
    assert {process["name"] for process in found["processes"]} >= {"supervisor", "arbiter", "worker-0"}
    assert all(process["memory_bytes"] > 1 << 20 for process in found["processes"])
    assert found["restarts"] == {}
    graph = ask("GET", "/graphs/base", template="/graphs/{name}")[1]["graph"]
    assert found["work"]["base"]["filters"].keys() == graph["nodes"].keys()
    assert found["work"]["base"]["wires"].keys() == {f"{source}-{target}" for source, target in graph["wires"]}


def test_kinds(ask: Asker) -> None:
    status, names = ask("GET", "/filters?node=Publishers")
    assert status == 200
    assert {"Debug", "JSONLines", "Null", "SQLiteSearch"} <= {*names}
    assert "CSV" not in names
    for kind in ("Adapters", "Filters", "Transformers", "Extractors", "Operators"):
        assert ask("GET", f"/filters?node={kind}")[0] == 200


def test_life_of_a_filter(ask: Asker) -> None:
    status, made = ask("POST", "/filters", {"component": "SetField", "params": {"field": "a", "value": "1"}})
    assert status == 201
    assert made["inputs"] == ["in"]
    assert made["outputs"] == ["out", "error"]
    assert made["params"] == {"field": "a", "value": "1"}
    path = f"/filters/{made['id']}"
    assert ask("GET", path, template="/filters/{id}") == (200, made)
    status, changed = ask("PUT", path, {"params": {"field": "b", "value": "2"}}, template="/filters/{id}")
    assert status == 200
    assert changed["params"] == {"field": "b", "value": "2"}
    status, problem = ask("PUT", path, {"params": {"feild": "b"}}, template="/filters/{id}")
    assert status == 422
    assert "feild" in json.dumps(problem["errors"])
    assert ask("PUT", path, {"field": "b"}, template="/filters/{id}")[0] == 400
    assert ask("DELETE", path, template="/filters/{id}") == (204, None)
    assert ask("GET", path, template="/filters/{id}")[0] == 404


def test_lists_come_in_pages(ask: Asker, node: Node) -> None:
    for path, field, most in (("/filters", "id", 2), ("/components", "name", 10), ("/graphs/base/versions", "version", 1)):
        whole = node.get(path)
        assert "link" not in whole.headers
        entries, following = [], f"{path}?limit={most}"
        while following:
            answer = node.get(following)
            assert 0 < len(answer.json()) <= most
            entries += answer.json()
            following = answer.headers.get("link", "").removeprefix("<").partition('>; rel="next"')[0]
        assert [entry[field] for entry in entries] == [entry[field] for entry in whole.json()]
        assert len(entries) > 1 or path.endswith("versions")
    assert node.get("/filters?limit=0").status == 400
    assert node.get("/graphs/base/versions?after=x").status == 400


def test_a_filter_of_a_deployed_graph_is_changed_there(ask: Asker) -> None:
    _, everything = ask("GET", "/filters")
    (found,) = [each for each in everything if each["component"] == "SetField" and each["params"].get("field") == "seen"]
    status, changed = ask(
        "PUT", f"/filters/{found['id']}", {"params": {"field": "seen", "value": "no"}}, template="/filters/{id}"
    )
    assert status == 200
    assert changed["params"]["value"] == "no"
    _, graph = ask("GET", "/graphs/base", template="/graphs/{name}")
    assert graph["graph"]["nodes"]["set"]["params"]["value"] == "no"
    assert graph["version"] == 2


def test_a_filter_of_nothing_is_refused(ask: Asker) -> None:
    status, problem = ask("POST", "/filters", {"component": "SetFeild"})
    assert (status, problem["code"]) == (422, "component.unknown")
    (error,) = problem["errors"]
    assert (error["path"], error["code"]) == ("component", "component.unknown")
    assert "did you mean 'SetField'?" in error["message"]
    assert ask("POST", "/filters", {"params": {}})[0] == 400
    assert ask("POST", "/filters", {"component": "SetField", "params": {"feild": 1}})[0] == 422


def test_life_of_a_graph(ask: Asker) -> None:
    graph = {**GRAPH, "name": "news", "routes": ["news"]}
    status, deployed = ask("PUT", "/graphs/news", graph, template="/graphs/{name}")
    assert status == 201
    assert deployed["name"] == "news"
    assert deployed["version"] == 1
    assert ask("GET", "/graphs/news", template="/graphs/{name}") == (200, deployed)
    assert ask("PUT", "/graphs/news", {**graph, "description": "x"}, template="/graphs/{name}")[0] == 200
    _, everything = ask("GET", "/graphs")
    (summary,) = [each for each in everything if each["name"] == "news"]
    assert summary["routes"] == ["news"]
    assert summary["version"] == 2
    assert ask("POST", "/docs/news", {"a": 1}, template="/docs/{route}")[0] == 202
    assert ask("DELETE", "/graphs/news", template="/graphs/{name}") == (204, None)
    assert ask("GET", "/graphs/news", template="/graphs/{name}")[0] == 404


def test_a_new_graph_is_posted_under_its_own_name(ask: Asker) -> None:
    graph = {**GRAPH, "name": "posted", "routes": ["posted"]}
    status, made = ask("POST", "/graphs", graph)
    assert (status, made["name"], made["version"], made["report"]) == (201, "posted", 1, [])
    status, problem = ask("POST", "/graphs", {**graph, "description": "x"})
    assert (status, problem["code"]) == (409, "graph.exists")
    assert ask("GET", "/graphs/posted", template="/graphs/{name}")[1]["version"] == 1
    status, problem = ask("POST", "/graphs", {**graph, "name": None})
    assert (status, problem["code"]) == (422, "graph.invalid")
    assert ask("POST", "/graphs?format=xml", graph)[1]["code"] == "request.invalid"
    assert ask("DELETE", "/graphs/posted", template="/graphs/{name}") == (204, None)


#: What the original's editor saved.
PROJECT: dict[str, Any] = {
    "containers": [
        {"filterName": "JSON", "type": "Adapters", "cid": "a", "params": {}, "name": "JSON", "config": {"position": [10, 20]}},
        {
            "filterName": "SetField",
            "type": "Transformers",
            "cid": "b",
            "params": {"field": ["x", []], "old": [1, []]},
            "name": "Set",
        },
        {"filterName": "Null", "type": "Publishers", "cid": "c", "params": {}, "name": "End"},
    ],
    "wires": [
        {"src": {"moduleId": 0, "termid": "out"}, "tgt": {"moduleId": 1, "termid": "in"}},
        {"src": {"moduleId": "b", "termid": "out"}, "tgt": {"moduleId": "c", "termid": "in"}},
    ],
}


def test_a_project_of_the_original_is_posted(ask: Asker) -> None:
    status, made = ask("POST", "/graphs?format=pypes1&name=old", PROJECT)
    assert status == 201
    assert made["graph"]["nodes"]["set"] == {"component": "SetField", "params": {"field": "x"}}
    assert made["graph"]["layout"] == {"json": [10, 20]}
    assert [(each["path"], each["code"]) for each in made["report"]] == [("nodes.set.params.old", "pypes1.unknown_parameter")]
    assert ask("POST", "/graphs?format=pypes1&name=old", PROJECT)[1]["code"] == "graph.exists"
    assert ask("DELETE", "/graphs/old", template="/graphs/{name}") == (204, None)


def test_a_project_that_makes_no_valid_graph_is_told_with_the_graph(ask: Asker) -> None:
    solr = {"filterName": "Solr", "type": "Publishers", "cid": "c", "params": {"url": "x"}, "name": "Solr"}
    project = {**PROJECT, "containers": [*PROJECT["containers"][:2], solr]}
    status, problem = ask("POST", "/graphs?format=pypes1&name=old", project)
    assert (status, problem["code"]) == (422, "graph.invalid")
    assert [each["path"] for each in problem["errors"]] == ["nodes.solr.component"]
    assert {each["code"] for each in problem["report"]} == {"pypes1.unknown_component", "pypes1.unknown_parameter"}
    # mended, it can be deployed
    problem["graph"]["nodes"]["solr"] = {"component": "Null"}
    assert ask("POST", "/graphs", problem["graph"])[0] == 201
    assert ask("DELETE", "/graphs/old", template="/graphs/{name}") == (204, None)
    assert ask("POST", "/graphs?format=pypes1", project)[0] == 400
    assert ask("POST", "/graphs?format=pypes1&name=old", GRAPH)[1]["code"] == "graph.malformed"


def test_an_invalid_graph_is_told_with_all_its_problems(ask: Asker) -> None:
    graph = {
        "pypes": 1,
        "name": "bad",
        "nodes": {
            "json": {"component": "JSON"},
            "set": {"component": "SetFeild"},
            "null": {"component": "Null", "params": {"x": 1}},
        },
        "wires": [["json.out", "set.in"], ["set.nowhere", "null.in"], ["json.nope", "null.in"]],
    }
    status, problem = ask("PUT", "/graphs/bad", graph, template="/graphs/{name}")
    assert status == 422
    assert len(problem["errors"]) >= 3
    assert all(each["path"] and each["message"] for each in problem["errors"])
    assert "SetField" in json.dumps(problem["errors"])
    assert ask("GET", "/graphs/bad", template="/graphs/{name}")[0] == 404


def test_what_is_not_a_graph_is_refused(node: Node, ask: Asker) -> None:
    answer = node.http.request("PUT", f"{node.url}/graphs/x", body=b'{"pypes": 1,\n "name" }')
    assert answer.status == 400
    assert "line 2" in answer.json()["detail"]
    assert ask("PUT", "/graphs/x", [1], template="/graphs/{name}")[0] == 400
    assert ask("PUT", "/graphs/x", {}, template="/graphs/{name}")[0] == 422


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("POST", "/nowhere", 404),
        ("POST", "/", 405),
        ("GET", "/receipts/nonsense", 404),
        ("GET", "/receipts/019a0000-0000-7000-8000-000000000000", 404),
        ("GET", "/graphs/none", 404),
        ("DELETE", "/graphs/none", 404),
        ("GET", "/filters/none", 404),
        ("GET", "/components/None", 404),
        ("GET", "/docs", 405),
        ("PUT", "/docs", 405),
        ("DELETE", "/docs/news", 405),
        ("PATCH", "/graphs/forms", 405),
        ("POST", "/healthz", 405),
        ("GET", "/receipts/nonsense?wait=never", 400),
        ("GET", "/filters?node=Nothing", 400),
    ],
)
def test_other_refusals(node: Node, method: str, path: str, status: int) -> None:
    answer = node.http.request(method, node.url + path)
    assert answer.status == status, answer.data
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    if status == 405:
        assert answer.headers["allow"]


@pytest.mark.parametrize(
    ("method", "path", "told"),
    [
        (
            "GET",
            "/docs",
            "POST: submit documents to the default graph; documents are passed on and not kept here; GET /receipts",
        ),
        ("GET", "/docs/news/7", "GET /receipts/{id}/documents gives the outcome of each"),
        ("PUT", "/docs", "PUT is for /docs/{route} and /docs/{route}/{id}"),
        ("DELETE", "/docs/news", "DELETE is for /docs/{route}/{id}"),
        ("PUT", "/graphs", "PUT is for /graphs/{name}"),
        ("POST", "/graphs/g", "PUT: "),
        ("POST", "/filters/7", "POST does not read _method=PUT or DELETE from a form: send PUT (with JSON) or DELETE itself"),
        ("POST", "/healthz", "GET: whether the server is alive"),
    ],
)
def test_a_method_that_is_not_possible_is_answered_with_what_is(node: Node, method: str, path: str, told: str) -> None:
    answer = node.http.request(method, node.url + path)
    assert (answer.status, answer.json()["code"]) == (405, "http.method_not_allowed")
    assert told in answer.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path", "told"),
    [
        ("GET", "/project", "GET /graphs/{name} shows one"),
        ("GET", "/project/current", "GET /graphs/{name} shows one"),
        ("POST", "/project", "POST /graphs?format=pypes1&name=NAME"),
        ("POST", "/data", "POST /docs"),
        ("PUT", "/data/news/7", "PUT /docs/{route}/{id}"),
        ("POST", "/data/ui/trigger", "POST /graphs/{name}/trigger"),
        ("GET", "/database", "/openapi.json lists what there is"),
    ],
)
def test_an_address_of_the_original_is_answered_with_that_of_today(node: Node, method: str, path: str, told: str) -> None:
    answer = node.http.request(method, node.url + path, body=b"config=%7B%7D" if method == "POST" else None)
    assert (answer.status, answer.json()["code"]) == (404, "http.not_found")
    assert told in answer.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path", "told"),
    [
        ("PUT", "/filters/7", '{"params": {"NAME": VALUE, …}}'),
        ("POST", "/graphs", "?format=pypes1"),
        ("PUT", "/graphs/g", "send JSON"),
    ],
)
def test_a_form_in_the_place_of_json_is_told_so(node: Node, method: str, path: str, told: str) -> None:
    fields = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = node.http.request(method, node.url + path, body=b"_method=PUT&fields=a", headers=fields)
    assert (answer.status, answer.json()["code"]) == (400, "request.form")
    assert told in answer.json()["detail"]
