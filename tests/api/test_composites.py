"""Composites on a real node: documents go through them, what happens inside is told by ``outer:inner``, versions stay pinned."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pypes.testing.node import Node, running, until
from tests.api.asking import Asker

PARTS = '''
from pypes import Packet, Transformer


class Fragile(Transformer):
    """Fails on some."""

    def process(self, packet: Packet) -> Packet:
        if packet.get("n") == "many":
            raise ValueError("that is no number")
        return packet
'''

TIDY: dict[str, Any] = {
    "pypes": 1,
    "name": "tidy",
    "description": "Checks and marks",
    "inputs": {"in": "check.in"},
    "outputs": {"out": "mark.out"},
    "parameters": {"mark": "mark.value"},
    "nodes": {
        "check": {"component": "Fragile"},
        "mark": {"component": "SetField", "params": {"field": "mark", "value": "first"}},
    },
    "wires": [["check.out", "mark.in"]],
}
#: A second version sets another mark.
LATER = {**TIDY, "nodes": {**TIDY["nodes"], "mark": {"component": "SetField", "params": {"field": "mark", "value": "second"}}}}


def graph(name: str = "base", component: str = "tidy", **more: Any) -> dict[str, Any]:
    return {
        "pypes": 1,
        "name": name,
        "routes": [name],
        "nodes": {
            "json": {"component": "JSON"},
            "part": {"component": component},
            "out": {"component": "Outbox", "params": {"name": f"results-{name}"}},
        },
        "wires": [["json.out", "part.in"], ["part.out", "out.in"]],
        **more,
    }


def write(graphs: Path, composite: dict[str, Any]) -> None:
    (graphs / "composites").mkdir(exist_ok=True, parents=True)
    (graphs / "composites" / f"{composite['name']}.json").write_text(json.dumps(composite))


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    base = tmp_path_factory.mktemp("composites")
    (base / "parts.py").write_text(PARTS)
    write(base / "graphs", TIDY)
    environ = {"MARK": "of the environment"}
    with running(base, graph(), "--load", str(base / "parts.py"), workers=1, instances=1, environ=environ) as node:
        yield node
        assert "Traceback" not in node.log()


def handed_in(ask: Asker, name: str, body: Any, query: str = "") -> str:
    """The receipt of a document whose way is over."""
    status, taken = ask("POST", f"/docs/{name}{query}", body, template="/docs/{route}")
    assert status == 202
    receipt = str(taken["receipt"])
    assert ask("GET", f"/receipts/{receipt}?wait=30", template="/receipts/{id}")[1]["finished"]
    return receipt


def marks(ask: Asker, name: str) -> list[Any]:
    """The marks of all results that wait, which are taken."""
    status, found = ask("GET", f"/outbox/results-{name}?limit=100", template="/outbox/{name}")
    assert status == 200
    if found["cursor"]:
        ask("DELETE", f"/outbox/results-{name}/{found['cursor']}", template="/outbox/{name}/{cursor}")
    return [each["fields"]["mark"] for each in found["results"] if "mark" in each.get("fields", {})]


def deployed(ask: Asker, given: dict[str, Any]) -> dict[str, Any]:
    status, found = ask("PUT", f"/graphs/{given['name']}", given, template="/graphs/{name}")
    assert status in (200, 201), found
    return dict(found)


def kept(ask: Asker, given: dict[str, Any]) -> dict[str, Any]:
    status, found = ask("PUT", f"/composites/{given['name']}", given, template="/composites/{name}")
    assert status in (200, 201), found
    return dict(found)


def test_a_graph_of_a_file_is_made_of_a_composite_of_a_file(ask: Asker) -> None:
    status, found = ask("GET", "/graphs/base", template="/graphs/{name}")
    assert status == 200
    assert list(found["graph"]["nodes"]) == ["json", "out", "part"]
    assert list(found["expanded"]["nodes"]) == ["json", "out", "part:check", "part:mark"]
    assert [(each["name"], each["version"], each["newest"]) for each in found["composites"]] == [("tidy", 1, 1)]
    assert found["file"]["differs"] is False
    status, (composite,) = ask("GET", "/composites")
    assert (composite["name"], composite["doc"], composite["outputs"]) == (
        "tidy",
        "Checks and marks",
        {"out": "Default output port"},
    )
    assert composite["schema"]["properties"]["mark"]["default"] == "first"
    assert composite["users"] == {"graphs": ["base"], "drafts": [], "composites": []}


def test_documents_go_through_and_all_that_tells_of_them_names_the_filters_inside(node: Node, ask: Asker) -> None:
    receipt = handed_in(ask, "base", {"n": 1}, "?trace=1")
    assert marks(ask, "base") == ["first"]
    _, trace = ask("GET", f"/receipts/{receipt}/trace", template="/receipts/{id}/trace")
    assert {"part:check", "part:mark"} <= set(json.dumps(trace).split('"'))
    _, times = ask("GET", "/graphs/base/times", template="/graphs/{name}/times")
    assert "part:mark" in times["filters"]

    def counted() -> bool:
        return 'filter="part:mark"' in node.get("/metrics").data.decode()

    until(counted, 20, "metrics name the filter inside")
    _, (summary, *_) = ask("GET", "/graphs")
    assert summary["filters"] == ["json", "out", "part:check", "part:mark"]


def test_a_dead_letter_names_the_filter_inside_and_is_replayed_from_there(ask: Asker) -> None:
    receipt = handed_in(ask, "base", {"n": "many"})
    _, found = ask("GET", f"/deadletters?receipt={receipt}")
    (letter,) = found["deadletters"]
    assert letter["filter"] == "part:check"
    assert ask("GET", "/deadletters?filter=part:check")[1]["deadletters"]
    path = f"/deadletters/{letter['id']}"
    assert ask("PUT", path, {"packet": {"fields": {"n": 2}}}, template="/deadletters/{id}")[0] == 200
    status, replayed = ask("POST", f"{path}/replay", {"from": "filter"}, template="/deadletters/{id}/replay")
    assert status == 202, replayed
    assert ask("GET", f"/receipts/{replayed['receipt']}?wait=30", template="/receipts/{id}")[1]["finished"]
    assert marks(ask, "base") == ["first"]


def test_a_tap_looks_at_a_wire_inside(node: Node, ask: Asker) -> None:
    wire = "part:check.out-part:mark.in"
    assert wire in ask("GET", "/graphs/base/taps", template="/graphs/{name}/taps")[1]["wires"]
    path = f"/graphs/base/taps?wire={wire}&n=1&wait=30"
    found: list[Any] = []
    looking = threading.Thread(target=lambda: found.append(ask("GET", path, template="/graphs/{name}/taps")))
    looking.start()
    while looking.is_alive():
        assert node.post(b'{"n": 3}', "/docs/base").status == 202
        looking.join(0.05)
    ((status, seen),) = found
    assert (status, seen["packets"][0]["packet"]["fields"]) == (200, {"n": 3})
    until(lambda: not marks(ask, "base"), 30, "nothing is left")


def test_a_dry_run_and_tests_name_filters_inside(ask: Asker) -> None:
    template = "/graphs/{name}/dryrun"
    wanted = {"content_type": "application/json", "body": '{"n": 1}'}
    for body in (wanted, {**wanted, "graph": graph()}):
        status, found = ask("POST", "/graphs/base/dryrun", body, template=template)
        assert status == 200, found
        assert [step["filter"] for step in found["steps"]] == ["json", "part:check", "part:mark", "out"]
    inside = {"packet": {"fields": {"n": 1}}, "at": "part:mark"}
    status, found = ask("POST", "/graphs/base/dryrun", inside, template=template)
    assert status == 200, found
    assert [step["filter"] for step in found["steps"]] == ["part:mark", "out"]
    case = {"name": "marked", "post": wanted, "expect": [{"node": "part:mark", "fields": {"mark": "first"}}]}
    template = "/graphs/{name}/test"
    status, found = ask("POST", "/graphs/base/test", {"graph": graph(tests=[case])}, template=template)
    assert (status, found["passed"], found["failed"]) == (200, 0, 1), found


def test_a_change_of_a_composite_changes_a_graph_when_it_is_deployed_again(node: Node, ask: Asker) -> None:
    deployed(ask, graph("pinned"))
    found = kept(ask, LATER)
    assert (found["version"], found["users"]["graphs"]) == (2, ["base", "pinned"])
    _, shown = ask("GET", "/graphs/pinned", template="/graphs/{name}")
    assert [(each["version"], each["newest"]) for each in shown["composites"]] == [(1, 2)]
    handed_in(ask, "pinned", {"n": 1})
    assert marks(ask, "pinned") == ["first"]
    # the parameter of another filter: the composite is as it was
    status, _ = ask("GET", "/graphs/pinned/versions/1", template="/graphs/{name}/versions/{version}")
    assert status == 200

    assert deployed(ask, graph("pinned"))["version"] == 2
    handed_in(ask, "pinned", {"n": 1})
    assert marks(ask, "pinned") == ["second"]
    _, compared = ask("GET", "/graphs/pinned/versions/1...2", template="/graphs/{name}/versions/{version}")
    assert compared["diff"] == {"composites": {"tidy": [[1], [2]]}}

    assert deployed(ask, graph("pinned", "tidy@1"))["composites"][0]["version"] == 1
    handed_in(ask, "pinned", {"n": 1})
    assert marks(ask, "pinned") == ["first"]

    status, back = ask("POST", "/graphs/pinned/rollback", {"version": 1}, template="/graphs/{name}/rollback")
    assert (status, back["composites"][0]["version"]) == (200, 1)
    assert back["graph"]["nodes"]["part"]["component"] == "tidy"
    handed_in(ask, "pinned", {"n": 1})
    assert marks(ask, "pinned") == ["first"]
    assert ask("DELETE", "/graphs/pinned?force=true", template="/graphs/{name}")[0] == 204


def test_one_that_is_used_is_not_deleted(node: Node, ask: Asker) -> None:
    template = "/composites/{name}"
    kept(ask, {**TIDY, "name": "used"})
    kept(ask, {"name": "around", "nodes": {"a": {"component": "used"}}})
    draft = {"graph": graph("drafted", "used"), "base": 0}
    headers = {"If-None-Match": "*"}
    assert ask("PUT", "/graphs/drafted/draft", draft, template="/graphs/{name}/draft", headers=headers)[0] == 201
    deployed(ask, graph("user", "used"))

    status, problem = ask("DELETE", "/composites/used", template=template)
    assert (status, problem["code"]) == (409, "composite.used")
    for name in ("user", "drafted", "around"):
        assert name in problem["detail"]

    assert ask("DELETE", "/graphs/user?force=true", template="/graphs/{name}")[0] == 204
    assert ask("DELETE", "/graphs/drafted/draft", template="/graphs/{name}/draft")[0] == 204
    assert ask("DELETE", "/composites/around", template=template)[0] == 204
    assert ask("DELETE", "/composites/used", template=template, headers={"If-Match": '"9"'})[0] == 412
    assert ask("DELETE", "/composites/used", template=template)[0] == 204
    assert ask("GET", "/composites/used", template=template)[0] == 404
    assert ask("GET", "/composites/used/versions", template="/composites/{name}/versions")[1][0]["version"] == 1
    path = "/composites/used/versions/1"
    assert ask("GET", path, template="/composites/{name}/versions/{version}")[1]["composite"]["name"] == "used"
    assert kept(ask, {**TIDY, "name": "used"})["version"] == 2


def test_what_is_wrong_is_named_at_its_place(ask: Asker) -> None:
    template = "/graphs/{name}"
    wrong = graph("wrong", wires=[["json.out", "part.inn"], ["part.out", "out.in"]])
    wrong["nodes"]["part"]["params"] = {"marks": 1}
    status, problem = ask("PUT", "/graphs/wrong", wrong, template=template)
    assert status == 422
    assert {each["path"] for each in problem["errors"]} == {"nodes.part.params.marks", "wires.0"}
    status, problem = ask("PUT", "/composites/tidy", {**TIDY, "inputs": {"in": "check.inn"}}, template="/composites/{name}")
    assert (status, [each["path"] for each in problem["errors"]]) == (422, ["inputs.in"])
    recursive = {"name": "tidy", "nodes": {"me": {"component": "tidy"}}}
    status, problem = ask("PUT", "/composites/tidy", recursive, template="/composites/{name}")
    assert (status, [each["code"] for each in problem["errors"]]) == (422, ["composite.recursive"])


def test_a_filter_that_is_a_composite_is_shown_and_changed(ask: Asker) -> None:
    deployed(ask, graph("shown"))
    _, filter = ask("GET", "/filters/shown.part", template="/filters/{id}")
    assert (filter["component"], filter["kind"], filter["inputs"]) == ("tidy", "COMPOSITE", ["in"])
    status, _ = ask("PUT", "/filters/shown.part", {"params": {"mark": "third"}}, template="/filters/{id}")
    assert status == 200
    handed_in(ask, "shown", {"n": 1})
    assert marks(ask, "shown") == ["third"]
    status, problem = ask("PUT", "/filters/shown.part", {"params": {"word": "third"}}, template="/filters/{id}")
    assert (status, problem["errors"][0]["path"]) == (422, "params.word")


def test_a_subgraph_has_a_composite_within(ask: Asker) -> None:
    within = graph("within")
    within["nodes"]["part"] = {
        "component": "Subgraph",
        "params": {"graph": {key: TIDY[key] for key in TIDY if key not in ("pypes", "name")}, "params": {"mark": "own"}},
    }
    found = deployed(ask, within)
    assert (found["composites"], list(found["expanded"]["nodes"])) == ([], ["json", "out", "part:check", "part:mark"])
    handed_in(ask, "within", {"n": 1})
    assert marks(ask, "within") == ["own"]


def test_secrets_pools_order_and_the_error_port_are_as_in_any_graph(ask: Asker) -> None:
    pooled = {
        **TIDY,
        "name": "pooled",
        "pools": {"own": {"processes": 1}},
        "nodes": {
            "check": {"component": "Fragile"},
            "mark": {"component": "SetField", "params": {"field": "mark", "value": "${MARK}"}, "pool": "own"},
        },
    }
    kept(ask, pooled)
    given = graph("whole", "pooled", order_by="id", inherit=["acl"])
    given["nodes"]["bad"] = {"component": "Outbox", "params": {"name": "results-bad"}}
    given["wires"].append(["part.error", "bad.in"])
    found = deployed(ask, given)
    assert found["expanded"]["nodes"]["part:mark"]["pool"] == "part:own"
    assert ["part:check.error", "bad.in"] in found["expanded"]["wires"]
    handed_in(ask, "whole", [{"id": "a", "n": 1}, {"id": "b", "n": "many"}])
    assert marks(ask, "whole") == ["of the environment"]
    _, failed = ask("GET", "/outbox/results-bad", template="/outbox/{name}")
    assert [each["fields"]["n"] for each in failed["results"] if "fields" in each] == ["many"]


def test_a_file_of_a_composite_that_changes_is_a_new_version(node: Node, ask: Asker) -> None:
    before = ask("GET", "/composites/tidy", template="/composites/{name}")[1]["version"]
    write(node.graphs, {**TIDY, "description": "Changed in its file"})

    def is_new() -> bool:
        found = ask("GET", "/composites/tidy", template="/composites/{name}")[1]
        return bool(found["version"] == before + 1 and found["doc"] == "Changed in its file")

    until(is_new, 30, "the file is read")
    _, versions = ask("GET", "/composites/tidy/versions", template="/composites/{name}/versions")
    assert versions[0]["by"].endswith("composites/tidy.json")


def test_a_start_changes_no_graph(tmp_path: Path) -> None:
    (tmp_path / "parts.py").write_text(PARTS)
    write(tmp_path / "graphs", TIDY)
    with running(tmp_path, graph(), "--load", str(tmp_path / "parts.py"), workers=1, instances=1) as node:
        put = node.http.request("PUT", f"{node.url}/composites/tidy", body=json.dumps(LATER))
        assert put.json()["version"] == 2
        assert node.stop() == 0
        node.start()
        node.wait_ready()
        shown = node.get("/graphs/base").json()
        assert (shown["version"], shown["expanded"]["nodes"]["part:mark"]["params"]["value"]) == (1, "first")
        assert [(each["version"], each["newest"]) for each in shown["composites"]] == [(1, 2)]
        answer = node.post(b'{"n": 1}').json()
        assert node.get(f"/receipts/{answer['receipt']}?wait=30").json()["finished"]
        assert [each["fields"]["mark"] for each in node.get("/outbox/results-base").json()["results"]] == ["first"]
        assert node.get("/composites/tidy").json()["version"] == 2, "the file has not changed"
