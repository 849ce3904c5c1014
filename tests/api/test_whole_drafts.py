"""Drafts as whole graphs over HTTP: saved by who has seen the last one, checked, deployed; on a real node."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pypes.testing.node import Node, running
from tests.api.asking import GRAPH, Asker
from tests.api.streams import Watching

DRAFT, DEPLOY, WIRES = "/graphs/{name}/draft", "/graphs/{name}/deploy", "/graphs/{name}/wires"
BEGIN = {"If-None-Match": "*"}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with running(tmp_path_factory.mktemp("drafts"), GRAPH, workers=1, instances=1) as node:
        yield node


def graph(name: str, value: str = "yes", **more: Any) -> dict[str, Any]:
    nodes = {**GRAPH["nodes"], "set": {"component": "SetField", "params": {"field": "seen", "value": value}, "uid": "u1"}}
    return {**GRAPH, "name": name, "routes": [name], "nodes": nodes, **more}


def seen(draft: dict[str, Any]) -> dict[str, str]:
    return {"If-Match": f'"{draft["counter"]}"'}


def save(
    ask: Asker, obj: dict[str, Any], base: int = 0, headers: dict[str, str] | None = None, query: str = ""
) -> tuple[int, Any]:
    body = {"graph": obj, "base": base}
    return ask("PUT", f"/graphs/{obj['name']}/draft{query}", body, template=DRAFT, headers=BEGIN if headers is None else headers)


def get(ask: Asker, name: str) -> tuple[int, Any]:
    return ask("GET", f"/graphs/{name}/draft", template=DRAFT)


def deploy(ask: Asker, name: str, headers: dict[str, str] | None = None, query: str = "") -> tuple[int, Any]:
    return ask("POST", f"/graphs/{name}/deploy{query}", template=DEPLOY, headers=headers)


def test_a_draft_is_saved_whole_shown_and_deployed(node: Node, ask: Asker) -> None:
    wanted = {**graph("whole"), "layout": {"json": [1, 2.5]}}
    status, draft = save(ask, wanted, query="?by=ann")
    assert status == 201
    assert {**draft, "counter": 0, "time": ""} == {
        "name": "whole",
        "graph": wanted,
        "base": 0,
        "live": 0,
        "counter": 0,
        "by": "ann",
        "time": "",
        "names": {"u1": "set"},
        "errors": [],
    }
    answer = node.get("/graphs/whole/draft")
    assert (answer.headers["etag"], answer.json()) == (f'"{draft["counter"]}"', draft)
    # in the order in which it was written
    assert [*answer.json()["graph"]] == [*wanted]
    listed = next(each for each in ask("GET", "/drafts")[1] if each["name"] == "whole")
    assert listed == {key: draft[key] for key in ("name", "base", "live", "counter", "by", "time")}
    status, deployed = deploy(ask, "whole", seen(draft), "?by=ann&note=first")
    assert (status, deployed["version"]) == (200, 1)
    assert "uid" not in json.dumps(deployed)
    assert "uid" not in json.dumps(ask("GET", "/graphs/whole/versions/1", template="/graphs/{name}/versions/{version}")[1])
    (version,) = ask("GET", "/graphs/whole/versions", template="/graphs/{name}/versions")[1]
    assert (version["by"], version["note"]) == ("ann", "first")
    assert get(ask, "whole")[0] == 404


def test_nothing_is_overwritten_unseen(ask: Asker) -> None:
    status, problem = save(ask, graph("unseen"), headers={})
    assert (status, problem["code"]) == (428, "draft.unconditional")
    assert save(ask, graph("unseen"), headers={"If-Match": "*"})[0] == 428
    assert save(ask, graph("unseen"), headers={"If-Match": "no"})[0] == 400
    status, problem = save(ask, graph("unseen"), headers={"If-Match": '"3"'})
    assert (status, problem["code"], "draft" in problem) == (412, "draft.gone", False)
    first = save(ask, graph("unseen", "a"), query="?by=ann")[1]
    status, problem = save(ask, graph("unseen", "b"), query="?by=bob")
    assert (status, problem["code"], problem["draft"]) == (412, "draft.changed", first)
    status, second = save(ask, graph("unseen", "b"), headers=seen(first), query="?by=bob")
    assert (status, second["by"]) == (200, "bob")
    assert second["counter"] > first["counter"]
    # ann has not seen what bob has saved; she gets it, and may merge
    for ask_for in (save, lambda ask, obj, headers: deploy(ask, obj["name"], headers)):
        status, problem = ask_for(ask, graph("unseen", "c"), headers=seen(first))
        assert (status, problem["code"], problem["draft"]) == (412, "draft.changed", second)
        assert "bob" in problem["detail"]
    status, problem = ask("DELETE", "/graphs/unseen/draft", template=DRAFT, headers=seen(first))
    assert (status, problem["draft"]) == (412, second)
    # several tags: one of them is enough
    assert save(ask, graph("unseen", "c"), headers={"If-Match": f'"1", "{second["counter"]}"'})[0] == 200
    assert ask("DELETE", "/graphs/unseen/draft", template=DRAFT)[0] == 204
    # whoever begins another one is not mistaken for who has seen the first
    again = save(ask, graph("unseen", "z"))[1]
    assert save(ask, graph("unseen", "c"), headers=seen(first))[1]["draft"] == again
    assert deploy(ask, "unseen", seen(again))[0] == 200
    status, problem = deploy(ask, "unseen", seen(again))
    assert (status, problem["code"]) == (412, "draft.gone")
    assert deploy(ask, "unseen")[0] == 404


def test_of_many_who_save_at_once_one_does(ask: Asker, node: Node) -> None:
    first = save(ask, graph("race"))[1]

    def saving(number: int) -> int:
        body = json.dumps({"graph": graph("race", str(number)), "base": 0}).encode()
        fields = {"Content-Type": "application/json", **seen(first)}
        return node.http.request("PUT", f"{node.url}/graphs/race/draft", body=body, headers=fields).status

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(saving, range(8))) == [200] + [412] * 7
    assert ask("DELETE", "/graphs/race/draft", template=DRAFT)[0] == 204


def test_a_save_of_what_is_there_is_none(ask: Asker) -> None:
    first = save(ask, graph("same"))[1]
    # whose answer was lost, may save again
    for headers in (seen(first), {"If-Match": '"1"'}, BEGIN):
        assert save(ask, graph("same"), headers=headers) == (200, first)
    # another type is another value
    typed = graph("same", layout={"json": [1, 0]})
    second = save(ask, typed, headers=seen(first))[1]
    third = save(ask, {**typed, "weight": 2}, headers=seen(second))[1]
    fourth = save(ask, {**typed, "weight": 2.0}, headers=seen(third))[1]
    assert len({each["counter"] for each in (first, second, third, fourth)}) == 4
    assert ask("DELETE", "/graphs/same/draft", template=DRAFT)[0] == 204


def test_what_is_wrong_with_a_draft_is_said_where_it_is(ask: Asker) -> None:
    nodes = {
        "json": {"component": "JSON", "uid": "a"},
        "none": {"component": "Nonesuch"},
        "set": {"component": "Exec"},
        "copy": {"component": "CopyField", "params": {"field": "a", "colour": "red"}},
    }
    wires = [
        ["json.out", "set.in"],
        ["set.out", "copy.in"],
        ["copy.out", "set.in"],
        ["json.nowhere", "none.in"],
        ["set.out", "lost.in"],
    ]
    draft = save(ask, {"pypes": 1, "name": "wrong", "nodes": nodes, "wires": wires})[1]
    found = {(each["path"], each["code"]) for each in draft["errors"]}
    assert found >= {
        ("nodes.none.component", "graph.unknown_component"),
        ("nodes.set.params.program", "param.missing"),
        ("nodes.copy.params.colour", "param.unknown"),
        ("wires.3", "graph.unknown_port"),
        ("wires.4", "graph.unknown_node"),
        ("wires", "graph.cycle"),
    }
    status, problem = deploy(ask, "wrong", seen(draft))
    assert (status, problem["code"], problem["errors"]) == (422, "graph.invalid", draft["errors"])
    # the form comes first; anything may be missing
    for unfinished, path in (
        ({"name": "wrong", "nodes": {"a": {"component": "JSON", "timeout_s": -1}}}, "nodes.a.timeout_s"),
        ({"name": "wrong", "nodes": {"a": {"component": "JSON", "colour": 1}}}, "nodes.a.colour"),
        ({"name": "wrong", "nodes": {"a": {"params": 3}}}, "nodes.a.component"),
        (
            {"name": "wrong", "nodes": {"a": {"component": "JSON", "uid": "x"}, "b": {"component": "JSON", "uid": "x"}}},
            "nodes.b.uid",
        ),
        ({"name": "wrong", "nodes": {"a": {"component": "JSON", "uid": 7}}}, "nodes.a.uid"),
        ({"name": "wrong", "nodes": ["a"], "wires": "b"}, "nodes"),
        ({"name": "wrong", "nodes": {"a": None}, "wires": [1, ["a"], ["a.b", None]]}, "wires.2"),
        ({"name": "wrong"}, "nodes"),
    ):
        status, draft = save(ask, unfinished, headers=seen(draft))
        assert status == 200
        assert draft["graph"] == unfinished
        assert path in {each["path"] for each in draft["errors"]}
    # a wire in it all the same
    one, two = (ask("POST", "/filters", {"component": component})[1]["id"] for component in ("JSON", "Null"))
    wired = {"source": f"{one}.out", "target": f"{two}.in"}
    draft = ask("POST", "/graphs/wrong/wires", wired, template="/graphs/{name}/wires")[1]
    assert (draft["graph"]["wires"], draft["errors"]) == ([["json.out", "null.in"]], [])
    assert ask("DELETE", "/graphs/wrong/draft", template=DRAFT)[0] == 204
    # who copies another graph is told of its name
    body = {"graph": graph("other"), "base": 0}
    draft = ask("PUT", "/graphs/wrong/draft", body, template=DRAFT, headers=BEGIN)[1]
    assert [each["path"] for each in draft["errors"]] == ["name"]
    assert ask("DELETE", "/graphs/wrong/draft", template=DRAFT)[0] == 204


def test_what_is_no_draft_is_refused(ask: Asker) -> None:
    bodies: list[Any] = [[], {}, {"graph": {}}, {"graph": [], "base": 0}, {"graph": {}, "base": True}, {"graph": {}, "base": -1}]
    for body in bodies:
        status, problem = ask("PUT", "/graphs/none/draft", body, template=DRAFT, headers=BEGIN)
        assert (status, problem["code"]) == (400, "request.invalid")
    status, problem = ask("PUT", "/graphs/none/draft", {"graph": {}, "base": 0, "bass": 1}, template=DRAFT, headers=BEGIN)
    assert (status, problem["where"]) == (400, "bass")
    status, problem = save(ask, graph("none"), base=7)
    assert (status, problem["code"], problem["where"]) == (422, "graph.no_version", "base")
    assert ask("PUT", "/graphs/no.ne/draft", {"graph": {}, "base": 0}, template=DRAFT, headers=BEGIN)[0] == 422
    many = {f"n{number}": {"component": "JSON"} for number in range(2001)}
    status, problem = save(ask, {**graph("none"), "nodes": many})
    assert (status, problem["errors"][0]["code"]) == (422, "graph.too_large")
    assert get(ask, "none")[0] == 404


def test_a_draft_of_a_version_that_is_live_no_more_is_merged_before(ask: Asker) -> None:
    assert ask("PUT", "/graphs/moved", graph("moved", "1"), template="/graphs/{name}")[0] == 201
    draft = save(ask, graph("moved", "mine"), base=1)[1]
    assert (draft["base"], draft["live"]) == (1, 1)
    assert ask("PUT", "/graphs/moved", graph("moved", "2"), template="/graphs/{name}")[0] == 200
    draft = get(ask, "moved")[1]
    assert (draft["base"], draft["live"]) == (1, 2)
    status, problem = deploy(ask, "moved", seen(draft))
    assert (status, problem["code"]) == (409, "draft.outdated")
    assert "version 2 is live" in problem["detail"]
    assert get(ask, "moved")[1] == draft
    merged = save(ask, graph("moved", "merged"), base=2, headers=seen(draft))[1]
    assert (merged["base"], deploy(ask, "moved", seen(merged))[1]["version"]) == (2, 3)
    # what is live just so already is deployed: the node was killed before the draft was gone, perhaps
    draft = save(ask, graph("moved", "merged"), base=2)[1]
    assert (draft["live"], deploy(ask, "moved", seen(draft))[1]["version"]) == (3, 3)
    assert get(ask, "moved")[0] == 404
    # nor is one deployed where the graph is gone
    draft = save(ask, graph("moved", "later"), base=3)[1]
    assert ask("DELETE", "/graphs/moved?force=true", template="/graphs/{name}")[0] == 204
    assert "no version is live" in deploy(ask, "moved", seen(draft))[1]["detail"]
    draft = save(ask, graph("moved", "later"), base=0, headers=seen(draft))[1]
    assert deploy(ask, "moved", seen(draft))[1]["version"] == 4


def test_passwords_in_a_draft_are_hidden_and_stay_where_nothing_is_changed(ask: Asker) -> None:
    table: dict[str, Any] = {
        "component": "SQLTable",
        "params": {"url": "postgresql://u:geheim@h/db", "columns": {"a": "b"}},
        "uid": "t",
    }
    obj = graph("hidden", description="see http://me:geheim@h/")
    obj["nodes"]["null"] = table
    draft = save(ask, obj)[1]
    assert "geheim" not in json.dumps(draft)
    assert draft["graph"]["nodes"]["null"]["params"]["url"] == "postgresql://***@h/db"
    assert draft["errors"] == []
    # what comes back as it was shown is what it was, whatever it is called now
    shown = draft["graph"]
    nodes = {**{name: node for name, node in shown["nodes"].items() if name != "null"}, "table": shown["nodes"]["null"]}
    renamed = {**shown, "nodes": nodes, "wires": [["json.out", "set.in"], ["set.out", "table.in"]]}
    draft = save(ask, renamed, headers=seen(draft))[1]
    assert draft["errors"] == []
    status, deployed = deploy(ask, "hidden", seen(draft))
    # nothing answers at that address, which is asked only when something is published
    assert (status, "geheim" in json.dumps(deployed)) == (200, False)
    draft = save(ask, ask("GET", "/graphs/hidden", template="/graphs/{name}")[1]["graph"], base=1)[1]
    assert draft["errors"] == []
    # in what was changed it has to be written anew: it might be sent elsewhere
    changed = {**draft["graph"]["nodes"]["table"], "params": {**table["params"], "url": "postgresql://***@elsewhere/db"}}
    draft = save(ask, {**draft["graph"], "nodes": {**draft["graph"]["nodes"], "table": changed}}, base=1, headers=seen(draft))[1]
    assert [(each["path"], each["code"]) for each in draft["errors"]] == [("nodes.table.params.url", "param.hidden")]
    assert ask("DELETE", "/graphs/hidden/draft", template=DRAFT)[0] == 204


def test_each_change_of_a_draft_is_told(node: Node, ask: Asker) -> None:
    with Watching(node.port, "/events?kind=draft&graph=told") as watching:

        def told() -> dict[str, Any]:
            event = watching.next()
            assert event is not None
            assert event.kind == "draft"
            return {key: value for key, value in event.data.items() if key != "time"}

        draft = save(ask, graph("told", "0"), query="?by=ann")[1]
        about = {"kind": "draft", "graph": "told", "by": "ann"}
        assert told() == {**about, "counter": draft["counter"]}
        # saved as it was, it is not changed
        save(ask, graph("told", "0"), headers=seen(draft), query="?by=bob")
        draft = ask("POST", "/graphs/told/wires?by=ann", {"source": "set.error", "target": "null.in"}, template=WIRES)[1]
        assert told()["counter"] == draft["counter"]
        assert deploy(ask, "told", query="?by=ann")[0] == 200
        assert told() == {**about, "counter": draft["counter"], "deleted": True}
        other = ask("POST", "/filters", {"component": "Null"})[1]["id"]
        wire = {"source": "set.out", "target": f"{other}.in"}
        draft = ask("POST", "/graphs/told/wires", wire, template=WIRES)[1]
        assert told()["counter"] == draft["counter"]
        # nothing is left of what was changed
        assert ask("DELETE", "/graphs/told/wires", wire, template=WIRES)[1]["graph"]["wires"] == draft["graph"]["wires"][:-1]
        assert told()["deleted"] is True
        assert get(ask, "told")[0] == 404
        assert ask("DELETE", f"/filters/{other}", template="/filters/{id}")[0] == 204


def test_saves_of_one_author_have_one_line_for_a_while(ask: Asker) -> None:
    def lines() -> list[tuple[str, int | None]]:
        listed = ask("GET", "/audit?limit=1000&graph=noted", template="/audit")[1]["audit"]
        return [(each["operation"], each["detail"].get("base")) for each in reversed(listed)]

    draft = save(ask, graph("noted", "0"), query="?by=ann")[1]
    for number in range(1, 5):
        draft = save(ask, graph("noted", str(number)), headers=seen(draft), query="?by=ann")[1]
    assert lines() == [("draft.save", 0)]
    for author in ("bob", "ann"):
        draft = save(ask, graph("noted", author), headers=seen(draft), query=f"?by={author}")[1]
    assert lines() == [("draft.save", 0)] * 3
    assert deploy(ask, "noted", seen(draft))[0] == 200
    assert [operation for operation, _ in lines()] == ["draft.save"] * 3 + ["draft.deploy"]
