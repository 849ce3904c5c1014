"""What tokens with the scope edit may place in graphs, for all of them and for some, on a real node."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from pypes.testing.node import Node, running
from tests.api.callers import ADMIN, Caller, make
from tests.api.streams import Watching

#: The graph of the limited token, and one of others.
OWN, OTHER = "team-a", "zweiter"


def graph(name: str, routes: list[str] | None = None, **filters: dict[str, Any]) -> dict[str, Any]:
    """A graph of filters in a row."""
    nodes = {"json": {"component": "JSON"}, **filters, "null": {"component": "Null"}}
    names = [*nodes]
    wires = [[f"{one}.out", f"{two}.in"] for one, two in pairwise(names)]
    return {"pypes": 1, "name": name, "nodes": nodes, "wires": wires, **({"routes": routes} if routes else {})}


PROGRAM = {"component": "Exec", "params": {"program": "/bin/cat"}}
HARMLESS = {"component": "SetField", "params": {"field": "seen", "value": "yes"}}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    base = tmp_path_factory.mktemp("editing")
    with running(base, graph(OTHER, [OTHER, "shared"]), workers=1, instances=1, environ={"PYPES_TOKEN": ADMIN}) as node:
        yield node


@pytest.fixture(scope="module")
def caller(node: Node) -> Iterator[Caller]:
    made = Caller(node.port)
    yield made
    made.close()


@pytest.fixture(scope="module")
def editor(caller: Caller) -> str:
    return make(caller, "editor", "edit")


@pytest.fixture(scope="module")
def limited(caller: Caller) -> str:
    return make(caller, "limited", "edit", "ingest", graphs=["team-*"])


def refused(caller: Caller, method: str, path: str, secret: str, body: Any = None) -> str:
    status, problem = caller.ask(method, path, secret, body)
    assert status == 403, problem
    assert OTHER not in json.dumps(problem)
    return str(problem["code"])


def test_programs_and_files_are_placed_by_an_administrator_only(caller: Caller, editor: str) -> None:
    with_program = graph("e", ["e"], cat=PROGRAM)
    for method, path, body in (
        ("PUT", "/graphs/e", with_program),
        ("POST", "/graphs", with_program),
        ("POST", "/graphs/e/dryrun", {"graph": with_program, "content_type": "application/json", "body": "{}"}),
    ):
        assert refused(caller, method, path, editor, body) == "component.privileged"
    assert caller.ask("GET", "/graphs/e", ADMIN)[0] == 404
    assert caller.ask("PUT", "/graphs/e", ADMIN, with_program)[0] == 201
    # one that is there may stay, and the rest of its graph be changed
    assert caller.ask("PUT", "/graphs/e", editor, graph("e", ["e"], cat=PROGRAM, set=HARMLESS))[0] == 200
    other_program = {"component": "Exec", "params": {"program": "/bin/true"}}
    assert refused(caller, "PUT", "/graphs/e", editor, graph("e", ["e"], cat=other_program)) == "component.privileged"
    assert refused(caller, "PUT", "/filters/e.cat", editor, {"params": {"program": "/bin/true"}}) == "component.privileged"
    shadow = {"graph": graph("e", ["e"], cat=other_program)}
    assert refused(caller, "POST", "/graphs/e/shadow", editor, shadow) == "component.privileged"
    assert refused(caller, "POST", "/graphs/e/validate", editor, graph("e", ["e"], cat=other_program)) == "component.privileged"
    assert caller.ask("PUT", "/filters/e.set", editor, {"params": {"field": "seen", "value": "no"}})[0] == 200
    # without it, and back again
    version = caller.ask("GET", "/graphs/e", editor)[1]["version"]
    assert caller.ask("PUT", "/graphs/e", editor, graph("e", ["e"]))[0] == 200
    assert refused(caller, "POST", "/graphs/e/rollback", editor, {"version": version}) == "component.privileged"
    assert caller.ask("POST", "/graphs/e/rollback", ADMIN, {"version": version})[0] == 200


@pytest.mark.parametrize(
    ("component", "params", "option"),
    [
        ("S3Objects", {"url": "s3://b", "options": {"web_identity_token_file": "/proc/self/environ"}}, "web_identity_token_file"),
        ("SQLTable", {"url": "postgresql://h/db?sslkeylogfile=/tmp/keys", "columns": {"name": "name"}}, "sslkeylogfile"),
        ("RedisStream", {"url": "unix:///run/control.sock", "stream": "s"}, "scheme"),
    ],
)
def test_addresses_and_options_that_lead_to_files_and_sockets_are_placed_by_an_administrator_only(
    caller: Caller, editor: str, component: str, params: dict[str, Any], option: str
) -> None:
    name = f"reaching-{component}".lower()
    obj = graph(name, [name])
    obj["nodes"]["null"] = {"component": component, "params": params}
    for method, path in (("PUT", f"/graphs/{name}"), ("POST", f"/graphs/{name}/validate")):
        status, problem = caller.ask(method, path, editor, obj)
        assert (status, problem["code"]) == (403, "component.privileged"), problem
        parameter = "options" if "options" in params else "url"
        assert f"null ({parameter}: " in problem["detail"]
        assert option in problem["detail"]
    assert caller.ask("GET", f"/graphs/{name}", ADMIN)[0] == 404
    assert caller.ask("POST", f"/graphs/{name}/validate", ADMIN, obj)[0] == 200


def test_the_token_of_the_node_is_given_to_filters_by_an_administrator_only(caller: Caller, editor: str) -> None:
    def calling(value: str) -> dict[str, Any]:
        return graph("t", ["t"], set={"component": "SetField", "params": {"field": "key", "value": value}})

    assert refused(caller, "PUT", "/graphs/t", editor, calling("Bearer ${PYPES_TOKEN}")) == "component.privileged"
    assert caller.ask("PUT", "/graphs/t", ADMIN, calling("Bearer ${PYPES_TOKEN}"))[0] == 201
    assert caller.ask("PUT", "/graphs/t", editor, calling("$${PYPES_TOKEN}"))[0] == 200
    assert refused(caller, "PUT", "/filters/t.set", editor, calling("${PYPES_TOKEN}")["nodes"]["set"]) == "component.privileged"


def test_a_draft_with_a_program_is_deployed_by_an_administrator_only(caller: Caller, editor: str) -> None:
    ids = [
        caller.ask("POST", "/filters", ADMIN, {"component": one["component"], "params": one.get("params", {})})[1]["id"]
        for one in ({"component": "JSON"}, PROGRAM, {"component": "Null"})
    ]
    for one, two in pairwise(ids):
        status, problem = caller.ask("POST", "/graphs/drafted/wires", editor, {"source": f"{one}.out", "target": f"{two}.in"})
        assert status in (200, 201), problem
    assert refused(caller, "POST", "/graphs/drafted/deploy", editor) == "component.privileged"
    assert caller.ask("DELETE", "/graphs/drafted/draft", editor)[0] == 204


def test_a_draft_with_a_program_is_made_by_an_administrator_only(caller: Caller, editor: str) -> None:
    before = caller.ask("GET", "/filters", ADMIN)[1]
    assert refused(caller, "POST", "/filters", editor, PROGRAM) == "component.privileged"
    with_token = {"params": {"field": "key", "value": "${PYPES_TOKEN}"}}
    assert refused(caller, "POST", "/filters", editor, {"component": "SetField", **with_token}) == "component.privileged"
    assert caller.ask("GET", "/filters", ADMIN)[1] == before
    harmless = caller.ask("POST", "/filters", editor, HARMLESS)[1]["id"]
    assert refused(caller, "PUT", f"/filters/{harmless}", editor, with_token) == "component.privileged"
    assert caller.ask("GET", f"/filters/{harmless}", editor)[1]["params"] == HARMLESS["params"]
    program = caller.ask("POST", "/filters", ADMIN, PROGRAM)[1]["id"]
    other = {"params": {"program": "/bin/id"}}
    assert refused(caller, "PUT", f"/filters/{program}", editor, other) == "component.privileged"
    # as it is, it stays; and it may be removed
    assert caller.ask("PUT", f"/filters/{program}", editor, {"params": PROGRAM["params"]})[0] == 200
    for id in (program, harmless):
        assert caller.ask("DELETE", f"/filters/{id}", editor)[0] == 204


def test_a_limited_token_makes_graphs_of_its_names_with_no_route_but_their_own(caller: Caller, limited: str) -> None:
    assert refused(caller, "PUT", "/graphs/mine", limited, graph("mine", ["mine"])) == "graph.forbidden"
    for routes in (None, ["anything"], [OWN, "anything"], ["shared"]):
        assert refused(caller, "PUT", f"/graphs/{OWN}", limited, graph(OWN, routes)) == "graph.route_forbidden"
        assert refused(caller, "POST", f"/graphs/{OWN}/validate", limited, graph(OWN, routes)) == "graph.route_forbidden"
    assert caller.ask("PUT", f"/graphs/{OWN}", limited, graph(OWN, [OWN]))[0] == 201
    assert refused(caller, "PUT", f"/graphs/{OWN}", limited, graph(OWN)) == "graph.route_forbidden"
    for name in (OWN, "team-new"):  # the one is there, and the other is not
        assert f'"routes": ["{name}"]' in caller.ask("PUT", f"/graphs/{name}", limited, graph(name))[1]["detail"]
    assert caller.ask("PUT", f"/graphs/{OWN}", limited, graph(OWN, [OWN], set=HARMLESS))[0] == 200
    assert caller.ask("POST", f"/docs/{OWN}", limited, {"a": 1})[0] == 202
    # routes that it was given stay
    assert caller.ask("PUT", f"/graphs/{OWN}", ADMIN, graph(OWN, [OWN, "given"]))[0] == 200
    assert caller.ask("PUT", f"/graphs/{OWN}", limited, graph(OWN, [OWN, "given"], set=HARMLESS))[0] == 200


def test_a_route_that_is_taken_names_no_other_graph(caller: Caller, limited: str) -> None:
    assert caller.ask("PUT", "/graphs/thief", ADMIN, graph("thief", ["team-x"]))[0] == 201
    status, problem = caller.ask("PUT", "/graphs/team-x", limited, graph("team-x", ["team-x"]))
    assert status == 422
    assert "thief" not in json.dumps(problem)
    assert "another graph" in json.dumps(problem)


def test_a_limited_token_meets_no_results_of_others(caller: Caller, limited: str) -> None:
    def with_outbox(name: str, outbox: str) -> dict[str, Any]:
        box = {"component": "Outbox", "params": {"name": outbox}}
        return {
            "pypes": 1,
            "name": name,
            "routes": [name],
            "nodes": {"json": {"component": "JSON"}, "box": box},
            "wires": [["json.out", "box.in"]],
        }

    assert caller.ask("PUT", "/graphs/boxed", ADMIN, with_outbox("boxed", "theirs"))[0] == 201
    receipt = caller.ask("POST", "/docs/boxed", ADMIN, {"a": 1})[1]["receipt"]
    assert caller.ask("GET", f"/receipts/{receipt}?wait=30", ADMIN)[1]["state"] == "done"
    for outbox in ("theirs", "${SOME}"):
        answer = caller.ask("PUT", "/graphs/team-box", limited, with_outbox("team-box", outbox))
        assert answer[0] in (403, 422), answer
    assert refused(caller, "PUT", "/graphs/team-box", limited, with_outbox("team-box", "theirs")) == "outbox.shared"
    # also when nobody publishes there any more
    assert caller.ask("DELETE", "/graphs/boxed?force=true", ADMIN)[0] == 204
    assert refused(caller, "PUT", "/graphs/team-box", limited, with_outbox("team-box", "theirs")) == "outbox.shared"
    assert caller.ask("PUT", "/graphs/team-box", limited, with_outbox("team-box", "ours"))[0] == 201
    receipt = caller.ask("POST", "/docs/team-box", limited, {"a": 1})[1]["receipt"]
    assert caller.ask("GET", f"/receipts/{receipt}?wait=30", limited)[1]["state"] == "done"
    assert len(caller.ask("GET", "/outbox/ours", limited)[1]["results"]) == 1
    assert caller.ask("PUT", "/graphs/team-box", limited, with_outbox("team-box", "ours"))[0] == 200


def test_drafts_of_filters_are_for_all_graphs_only(caller: Caller, limited: str, editor: str) -> None:
    assert refused(caller, "POST", "/filters", limited, {"component": "Null"}) == "graph.forbidden"
    id = caller.ask("POST", "/filters", editor, {"component": "Null"})[1]["id"]
    for method in ("GET", "DELETE"):
        assert refused(caller, method, f"/filters/{id}", limited) == "graph.forbidden"
    assert id not in json.dumps(caller.ask("GET", "/filters", limited)[1])


def test_a_limited_token_gets_at_no_draft_by_a_wire(caller: Caller, limited: str) -> None:
    own = graph("team-d", ["team-d"], set=HARMLESS)
    assert caller.ask("PUT", "/graphs/team-d", limited, own)[0] == 201
    secret = {"component": "SetField", "params": {"field": "at", "value": "theirs"}}
    taken, free = (caller.ask("POST", "/filters", ADMIN, secret)[1]["id"] for _ in range(2))
    source = caller.ask("POST", "/filters", ADMIN, {"component": "JSON"})[1]["id"]
    theirs = {"source": f"{source}.out", "target": f"{taken}.in"}
    assert caller.ask("POST", f"/graphs/{OTHER}/wires", ADMIN, theirs)[0] == 201
    before = caller.ask("GET", f"/graphs/{OTHER}/draft", ADMIN)[1]
    answers = []
    for id in (taken, free, "0190a5a0-0000-7000-8000-000000000000"):
        ends = {"source": "team-d.json.out", "target": f"{id}.in"}
        assert refused(caller, "POST", "/graphs/team-d/wires", limited, ends) == "graph.forbidden"
        answers.append(caller.ask("POST", "/graphs/team-d/wires", limited, ends)[1]["detail"].replace(id, ""))
        # a filter of its own that is called so is its own
        named = {**own, "nodes": {id: HARMLESS, **own["nodes"]}, "wires": [*own["wires"], ["json.out", f"{id}.in"]]}
        named["wires"].append([f"{id}.out", "null.in"])
        assert caller.ask("PUT", "/graphs/team-d", limited, named)[0] == 200
        status, answer = caller.ask("POST", "/graphs/team-d/wires", limited, ends)
        assert status == 201, answer
        assert "theirs" not in json.dumps(answer)
        # nor by one of its draft that has it as its uid
        seen = answer["counter"]
        claimed = {"graph": {**own, "nodes": {**own["nodes"], "set": {**HARMLESS, "uid": id}}}, "base": answer["base"]}
        fields = {"If-Match": f'"{seen}"'}
        status, _, content = caller.raw("PUT", "/graphs/team-d/draft", limited, claimed, fields)
        assert status == 200, content
        assert caller.ask("DELETE", "/graphs/team-d/draft", limited)[0] == 204
        assert caller.ask("PUT", "/graphs/team-d", limited, own)[0] == 200
    assert len(set(answers)) == 1
    assert [caller.ask("GET", f"/filters/{id}", ADMIN)[1]["params"] for id in (taken, free)] == [secret["params"]] * 2
    # wires between filters of its graph are its own
    wire = {"source": "set.error", "target": "null.in"}
    assert caller.ask("POST", "/graphs/team-d/wires", limited, wire)[0] == 201
    assert caller.ask("POST", "/graphs/team-d/deploy", limited)[0] == 200
    assert caller.ask("GET", f"/graphs/{OTHER}/draft", ADMIN)[1] == before
    assert caller.ask("DELETE", f"/graphs/{OTHER}/draft", ADMIN)[0] == 204
    assert caller.ask("DELETE", f"/filters/{free}", ADMIN)[0] == 204


def saved(caller: Caller, secret: str, name: str, obj: dict[str, Any], base: int = 0, counter: int = 0) -> tuple[int, Any]:
    """The answer to a draft that is saved in the place of the one with this counter, 0 for none."""
    fields = {"If-Match": f'"{counter}"'} if counter else {"If-None-Match": "*"}
    status, _, content = caller.raw("PUT", f"/graphs/{name}/draft", secret, {"graph": obj, "base": base}, fields)
    return status, json.loads(content)


def test_programs_come_into_a_whole_draft_by_an_administrator_only(caller: Caller, editor: str) -> None:
    name, with_program = "whole", graph("whole", ["whole"], cat=PROGRAM)
    malformed = {
        **with_program,
        "nodes": {**with_program["nodes"], "b": 1, "c": {"component": "Exec", "params": [1]}},
        "wires": 7,
    }
    for obj in (with_program, malformed, {**with_program, "nodes": {"x": {**PROGRAM, "uid": "u", "colour": "red"}}}):
        status, problem = saved(caller, editor, name, obj)
        assert (status, problem["code"]) == (403, "component.privileged")
    assert caller.ask("GET", f"/graphs/{name}/draft", editor)[0] == 404
    status, draft = saved(caller, ADMIN, name, with_program)
    assert status == 201
    # it may stay, and the rest be changed; what an editor deploys is an editor's
    status, draft = saved(
        caller, editor, name, graph(name, [name], cat={**PROGRAM, "uid": "u1"}, set=HARMLESS), 0, draft["counter"]
    )
    assert (status, draft["by"], draft["errors"]) == (200, "editor", [])
    other = {**PROGRAM, "params": {"program": "/bin/true"}}
    for changed in ({"cat": other}, {"cat": PROGRAM, "other": PROGRAM}):
        status, problem = saved(caller, editor, name, graph(name, [name], **changed), 0, draft["counter"])
        assert (status, problem["code"]) == (403, "component.privileged")
    assert refused(caller, "POST", f"/graphs/{name}/deploy", editor) == "component.privileged"
    assert caller.ask("POST", f"/graphs/{name}/deploy", ADMIN)[0] == 200
    # so may one that is live
    status, draft = saved(caller, editor, name, graph(name, [name], cat=PROGRAM), 1)
    assert (status, caller.ask("POST", f"/graphs/{name}/deploy", editor)[0]) == (201, 200)


def test_a_limited_token_has_to_do_with_drafts_of_its_graphs_only(caller: Caller, limited: str, node: Node) -> None:
    """Its own it may keep however they are; whether they may be deployed is asked of whoever deploys them."""
    fields = {"Authorization": f"Bearer {limited}"}
    with Watching(node.port, "/events?kind=draft", fields) as watching:
        status, theirs = saved(caller, ADMIN, OTHER, graph(OTHER, [OTHER, "secret-route"]), 1)
        assert status == 201
        for method, path, body in (
            ("GET", f"/graphs/{OTHER}/draft", None),
            ("PUT", f"/graphs/{OTHER}/draft", {"graph": {}, "base": 0}),
            ("DELETE", f"/graphs/{OTHER}/draft", None),
            ("POST", f"/graphs/{OTHER}/deploy", None),
        ):
            status, problem = caller.ask(method, path, limited, body)
            assert (status, problem["code"]) == (403, "graph.forbidden")
        # a route that is taken names no other graph, nor does one that may not be given keep it from going on
        status, draft = saved(caller, limited, "team-e", graph("team-e", ["shared"]))
        assert status == 201
        assert "another graph" in json.dumps(draft["errors"])
        assert OTHER not in json.dumps(draft)
        assert refused(caller, "POST", "/graphs/team-e/deploy", limited) == "graph.route_forbidden"
        status, draft = saved(caller, limited, "team-e", graph("team-e", ["team-e"]), 0, draft["counter"])
        assert (status, draft["errors"]) == (200, [])
        assert [head["name"] for head in caller.ask("GET", "/drafts", limited)[1]] == ["team-e"]
        assert caller.ask("POST", "/graphs/team-e/deploy", limited)[0] == 200
        told = watching.until(lambda event: "deleted" in event.data)
        assert {event.data["graph"] for event in told} == {"team-e"}
        assert told[-1].data["counter"] == draft["counter"]
    assert caller.ask("GET", f"/graphs/{OTHER}/draft", ADMIN)[1] == theirs
    assert caller.ask("DELETE", f"/graphs/{OTHER}/draft", ADMIN)[0] == 204


def test_the_author_of_a_version_is_the_token(caller: Caller, editor: str) -> None:
    assert caller.ask("PUT", "/graphs/by", editor, graph("by", ["by"]))[0] == 201
    assert caller.ask("PUT", "/graphs/by?by=ada", editor, graph("by", ["by"], set=HARMLESS))[0] == 200
    versions = caller.ask("GET", "/graphs/by/versions", editor)[1]
    assert [version["by"] for version in versions] == ["ada (editor)", "editor"]
