"""Graphs as files, and files of elsewhere as graphs, on a real node; nothing is deployed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pypes.graph import codec
from pypes.testing.node import Node, running
from tests.api.asking import GRAPH, Asker

FILE, CONVERT = "/graphs/{name}/file", "/graphs/{name}/convert"
PROJECT = {
    "containers": [
        {"filterName": "JSON", "cid": "a", "params": {}, "position": [10, 20]},
        {"filterName": "Null", "cid": "b", "params": {}, "position": [200, 20]},
    ],
    "wires": [{"src": {"moduleId": 0, "termid": "out"}, "tgt": {"moduleId": 1, "termid": "in"}}],
    "extra": 1,
}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with running(tmp_path_factory.mktemp("files"), GRAPH, workers=1, instances=1) as node:
        yield node


def changed(value: str) -> dict[str, Any]:
    return {**GRAPH, "nodes": {**GRAPH["nodes"], "set": {"component": "SetField", "params": {"field": "seen", "value": value}}}}


def text_of(graph: dict[str, Any]) -> str:
    return codec.dumps(codec.from_obj(graph))


def test_the_file_of_a_graph_is_its_canonical_text(node: Node, ask: Asker) -> None:
    assert ask("GET", "/graphs/base/file", template=FILE)[0] == 200
    answer = node.get("/graphs/base/file")
    assert answer.data.decode() == text_of(GRAPH)
    assert answer.headers["content-disposition"] == 'attachment; filename="base.json"'
    assert '\n  "set": {"component": "SetField"' in answer.data.decode()


def test_the_file_of_an_earlier_version_and_of_a_draft(node: Node, ask: Asker) -> None:
    other = {**GRAPH, "name": "other", "routes": ["other"]}
    assert ask("PUT", "/graphs/other", other, template="/graphs/{name}")[0] == 201
    later = {**changed("twice"), "name": "other", "routes": ["other"]}
    assert ask("PUT", "/graphs/other", later, template="/graphs/{name}")[0] == 200
    assert node.get("/graphs/other/file?version=1").data.decode() == text_of(other)
    assert node.get("/graphs/other/file").data.decode() == text_of(later)
    status, null = ask("POST", "/filters", {"component": "Null"})
    assert status == 201
    wire = {"source": "json.out", "target": f"{null['id']}.in"}
    assert ask("POST", "/graphs/other/wires", wire, template="/graphs/{name}/wires")[0] == 201
    assert '["json.out", "null-2.in"]' in node.get("/graphs/other/file?of=draft").data.decode()
    assert ask("DELETE", "/graphs/other/draft", template="/graphs/{name}/draft")[0] == 204
    assert ask("GET", "/graphs/other/file?of=draft", template=FILE)[0] == 404
    assert ask("GET", "/graphs/other/file?version=9", template=FILE)[0] == 404
    assert ask("GET", "/graphs/other/file?version=1&of=draft", template=FILE)[0] == 400
    assert ask("GET", "/graphs/other/file?of=folders", template=FILE)[0] == 400


def test_passwords_in_addresses_are_not_in_the_file(node: Node, ask: Asker) -> None:
    graph = {**changed("https://ada:engine@example.org/"), "name": "masked", "routes": ["masked"]}
    assert ask("PUT", "/graphs/masked", graph, template="/graphs/{name}")[0] == 201
    text = node.get("/graphs/masked/file").data.decode()
    assert "engine" not in text
    assert "https://***@example.org/" in text


def test_a_graph_that_is_sent_is_answered_as_its_file(node: Node, ask: Asker) -> None:
    sent = {"nodes": dict(reversed(GRAPH["nodes"].items())), "wires": GRAPH["wires"][::-1]}
    assert ask("POST", "/graphs/base/file", sent, template=FILE)[0] == 200
    answer = node.post(json.dumps(sent).encode(), "/graphs/base/file")
    assert answer.data.decode() == text_of(GRAPH)
    status, problem = ask("POST", "/graphs/base/file", {"nodes": {"a b": {}}}, template=FILE)
    assert (status, {error["path"] for error in problem["errors"]}) == (422, {"nodes.a b", "nodes.a b.component"})
    assert ask("POST", "/graphs/base/file", [1], template=FILE)[0] == 422


@pytest.mark.parametrize("form", ["", "?format=pypes1"])
def test_a_project_of_the_original_is_read_and_not_deployed(node: Node, ask: Asker, form: str) -> None:
    status, found = ask("POST", f"/graphs/project/convert{form}", PROJECT, template=CONVERT)
    assert (status, found["format"], found["graph"]["name"]) == (200, "pypes1", "project")
    assert len(found["graph"]["nodes"]) == 2
    assert {problem["code"] for problem in found["report"]} == {"pypes1.left_out"}
    assert found["errors"] == []
    assert node.get("/graphs/project").status == 404


def test_a_graph_of_elsewhere_gets_the_name_that_it_is_to_have(node: Node, ask: Asker) -> None:
    elsewhere = {**GRAPH, "routes": ["elsewhere"], "nodes": {**GRAPH["nodes"], "gone": {"component": "Gone"}}}
    status, found = ask("POST", "/graphs/here/convert", elsewhere, template=CONVERT)
    assert (status, found["format"], found["graph"]["name"], found["report"]) == (200, "pypes", "here", [])
    assert "nodes.gone.component" in {problem["path"] for problem in found["errors"]}


@pytest.mark.parametrize(
    ("body", "query", "status"),
    [([1], "", 422), ({"nodes": 3}, "", 422), (GRAPH, "?format=pypes1", 422), (GRAPH, "?format=xml", 400)],
)
def test_what_is_neither_is_refused(ask: Asker, body: Any, query: str, status: int) -> None:
    assert ask("POST", f"/graphs/here/convert{query}", body, template=CONVERT)[0] == status


def test_graphs_say_how_their_files_differ_and_whether_there_are_drafts(tmp_path: Path) -> None:
    described = {**GRAPH, "description": "The first one."}
    with running(tmp_path, described, workers=1, instances=1, environ={"PYPES_SERVER_WATCH": "no"}) as node:
        path = node.graphs / "base.json"

        def told() -> dict[str, Any]:
            summary: dict[str, Any]
            [summary] = node.get("/graphs").json()
            [same] = node.get("/status").json()["graphs"]
            one = node.get("/graphs/base").json()
            for key in ("description", "file", "draft"):
                assert same.get(key) == summary.get(key)
                assert key == "description" or one.get(key) == summary.get(key)
            return summary

        file = {"path": str(path), "differs": False, "changed": "", "problem": ""}
        first = told()
        assert (first["description"], first["file"], "draft" in first) == ("The first one.", file, False)
        assert node.http.request("PUT", f"{node.url}/graphs/base", json=GRAPH).status == 200
        assert told()["file"] == {**file, "differs": True, "changed": "node"}
        assert node.get("/graphs/base/file?of=folder").data.decode() == text_of(described)
        # as by a pull of Git, where the node does not watch
        path.write_text(text_of({**described, "description": "Pulled, as the file shows."}))
        assert told()["file"] == {**file, "differs": True, "changed": "file"}
        path.write_text("{")
        assert told()["file"]["problem"].startswith("line 1, column 2")
        assert node.get("/graphs/base/file?of=folder").status == 422
        null = node.http.request("POST", f"{node.url}/filters", json={"component": "Null"}).json()["id"]
        wire = {"source": "json.out", "target": f"{null}.in"}
        assert node.http.request("POST", f"{node.url}/graphs/base/wires", json=wire).status == 201
        assert told()["draft"]
        path.unlink()
        assert node.get("/graphs/base/file?of=folder").status == 404
        assert "file" not in told()
