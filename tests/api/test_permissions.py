"""Every operation with every scope, for own and other graphs, and without a good token, on a real node with two workers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pypes.access.client import SCOPES
from pypes.core.clock import wall
from pypes.observe.metrics import CATALOGUE
from pypes.testing.node import Node, running, until
from tests.api.callers import ADMIN, Caller, SignedIn, calling, make, sign_in
from tests.api.permissions import HIDDEN, LEFT_OUT, REFUSED, SAME, Row, page, rows
from tests.api.streams import Watching
from tests.api.test_openapi import DOCUMENT

#: Two graphs; what is about the other one must not show its name to who is not for it.
OWN, OTHER = "erster", "zweiter"
ROWS = list(rows(DOCUMENT))

PARTS = """
from pypes import Packet, Transformer


class Fragile(Transformer):
    def process(self, packet: Packet) -> Packet:
        if packet.get("n") == "many":
            raise ValueError("that is no number")
        return packet
"""


def graph(name: str) -> dict[str, Any]:
    return {
        "pypes": 1,
        "name": name,
        "routes": [name],
        "nodes": {
            "json": {"component": "JSON"},
            "check": {"component": "Fragile"},
            "out": {"component": "Outbox", "params": {"name": f"results-{name}"}},
        },
        "wires": [["json.out", "check.in"], ["check.out", "out.in"]],
    }


#: What the other graph has that the own one has not.
PART: dict[str, Any] = {
    "inputs": {"in": "set.in"},
    "outputs": {"out": "set.out"},
    "nodes": {"set": {"component": "SetField", "params": {"field": "seen", "value": "yes"}}},
}


def with_part(given: dict[str, Any]) -> dict[str, Any]:
    """A graph with a composite in it."""
    wires = [["json.out", "part.in"], ["part.out", "check.in"], ["check.out", "out.in"]]
    return {**given, "nodes": {**given["nodes"], "part": {"component": "part"}}, "wires": wires}


class Stage(NamedTuple):
    """A node with both graphs, and what there is of each: a receipt with a trace, dead letters."""

    node: Node
    callers: list[Caller]
    #: Secrets by scope, and by what is wrong with them.
    secrets: dict[str, str]
    #: Secrets by scope of tokens for the own graph only.
    limited: dict[str, str]
    #: Browsers that have signed in, by the scope of their token.
    browsers: dict[str, SignedIn]
    receipts: dict[str, str]
    letters: dict[str, list[str]]


def test_the_page_is_written_from_this_table() -> None:
    found = (Path(__file__).parents[2] / "docs" / "scopes.md").read_text(encoding="utf-8")
    assert found == page(DOCUMENT), "run: python -m tests.api.permissions > docs/scopes.md"


def test_admin_may_do_everything_and_nobody_hands_in_without_ingest() -> None:
    for row in ROWS:
        assert row.allows("admin")
        assert row.path.startswith("/docs") == (row.allows("ingest") and not row.allows("read")), row.name


def test_what_only_looks_needs_no_more_than_read() -> None:
    for row in ROWS:
        if row.method == "GET" and not row.path.startswith(("/audit", "/tokens")):
            assert row.allows("read"), row.name
        elif not row.path.startswith(("/session", "/outbox")):
            assert not row.allows("read"), row.name


def test_the_graph_is_the_first_label_of_a_metric() -> None:
    """By it the series of other graphs are left out."""
    assert [metric.name for metric in CATALOGUE if "graph" in metric.labels[1:]] == []


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    base = tmp_path_factory.mktemp("permissions")
    (base / "parts.py").write_text(PARTS)
    flags, environ = ("--load", str(base / "parts.py")), {"PYPES_TOKEN": ADMIN}
    with running(base, graph(OWN), *flags, workers=2, instances=1, environ=environ) as node, calling(node) as callers:
        caller = callers[0]
        assert caller.ask("PUT", "/composites/part", ADMIN, PART)[0] == 201
        assert caller.ask("PUT", f"/graphs/{OTHER}", ADMIN, with_part(graph(OTHER)))[0] == 201
        receipts, letters = {}, {}
        for name in (OWN, OTHER):
            bodies = [{"n": 1}, *[{"n": "many"}] * 8]
            taken = [caller.ask("POST", f"/docs/{name}?trace=1", ADMIN, body)[1]["receipt"] for body in bodies]
            receipts[name] = taken[0]
            for receipt in taken:
                assert caller.ask("GET", f"/receipts/{receipt}?wait=30", ADMIN)[1]["finished"]
            found = caller.ask("GET", f"/deadletters?graph={name}", ADMIN)[1]["deadletters"]
            letters[name] = [letter["id"] for letter in found]
            assert len(letters[name]) == 8
        secrets = {scope: make(caller, f"all-{scope}", scope) for scope in SCOPES}
        limited = {scope: make(caller, f"own-{scope}", scope, graphs=[OWN]) for scope in SCOPES if scope != "admin"}
        secrets["revoked"] = make(caller, "revoked", "admin")
        secrets["expired"] = make(caller, "expired", "admin", expires=wall() + 1)
        secrets["wrong"] = "pypes_wrong"
        assert caller.ask("DELETE", "/tokens/revoked", ADMIN)[0] == 204
        for each in callers:
            for ended in ("revoked", "expired"):
                until(lambda e=each, s=secrets[ended]: e.ask("GET", "/status", s)[0] == 401, 20, f"{ended} on all workers")
        browsers = {scope: sign_in(caller, secrets[scope]) for scope in SCOPES}
        yield Stage(node, callers, secrets, limited, browsers, receipts, letters)
        assert "Traceback" not in node.log()


def request_of(stage: Stage, row: Row, name: str) -> tuple[str, Any, dict[str, str]]:
    """Path, body and fields of a request about a graph that changes nothing, or nothing that matters here."""
    family = row.path.split("/")[1]
    fields = {
        "graphs": {"name": name, "version": "1", "id": "nothing", "filter": "check"},
        "docs": {"route": name, "id": "1"},
        "receipts": {"id": stage.receipts[name]},
        "deadletters": {"id": stage.letters[name][0 if row.method in ("GET", "PUT") else 1]},
        "filters": {"id": f"{name}.check"},
        "components": {"name": "JSON"},
        "composites": {"name": "part", "version": "1"},
        "outbox": {"name": f"results-{name}", "cursor": "1-1"},
        "tokens": {"name": "nobody"},
        "static": {"file": "index.html"},
    }
    path = row.path.format_map(fields.get(family, {}))
    path += {
        "GET /search": f"?q=x&graph={name}",
        "DELETE /deadletters": f"?graph={name}&filter=nothing" if name == OWN else f"?graph={name}",
        "GET /documents": "?q=1",
        "GET /logs": "?limit=1000",
        "GET /receipts": "?limit=1000",
        # with an error that comes after the token was looked at: the stream has no end
        "GET /events": "?kind=nothing",
    }.get(row.name, "")
    bodies: dict[str, Any] = {
        "POST /deadletters/replay": {"graph": name, "filter": "nothing"} if name == OWN else {"graph": name},
        "PUT /deadletters/{id}": {"packet": {"fields": {"n": 1}}},
        "POST /graphs": graph(name),
        "PUT /composites/{name}": PART,
        "PUT /graphs/{name}": graph(name),
        "POST /graphs/{name}/validate": graph(name),
        "POST /tokens": {"name": "a name", "scopes": ["read"]},
    }
    body = bodies.get(row.name, {"n": 1} if family == "docs" else {})
    # of a version that is not live, so that it changes nothing
    headers = {"If-Match": '"99"'} if family in ("graphs", "filters", "composites") and row.method in ("PUT", "DELETE") else {}
    return path, None if row.method == "GET" else body, headers


def asked(stage: Stage, caller: Caller, row: Row, secret: str | None, name: str = OWN) -> tuple[int, str, bytes]:
    """Status, code and body of the answer."""
    path, body, headers = request_of(stage, row, name)
    if row.path == "/events" and name == OTHER:
        assert secret is not None
        return watched(stage, secret)
    status, _, content = caller.raw(row.method, path, secret, body, headers)
    return status, code_of(content) if status >= 400 else "", content


def code_of(content: bytes) -> str:
    """The code of a problem, empty in what is none."""
    return str(json.loads(content).get("code", "")) if content[:1] == b"{" else ""


def watched(stage: Stage, secret: str) -> tuple[int, str, bytes]:
    """The answer of ``GET /events``, which has no end: what is kept of the past, and the first rates that come."""
    with Watching(stage.node.port, "/events?recent=1000", {"Authorization": f"Bearer {secret}"}) as watching:
        for name in (OTHER, OWN):
            assert stage.callers[0].ask("POST", f"/docs/{name}", ADMIN, {"n": 2})[0] == 202
        told = watching.until(lambda event: event.kind == "counters")
        assert told[0].kind != "counters"
        return watching.status, "", str(told).encode()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_scopes(stage: Stage, row: Row) -> None:
    for caller in stage.callers:
        for scope in SCOPES:
            for secret in (stage.secrets[scope], stage.limited.get(scope)):
                if secret is None:
                    continue
                status, code, content = asked(stage, caller, row, secret)
                if not row.allows(scope):
                    assert (status, code) == (403, "scope.missing"), f"{scope}: {status} {content!r}"
                elif status == 403:
                    # about no graph, and not for who is for some only
                    assert (secret, row.others, code) == (stage.limited.get(scope), REFUSED, "graph.forbidden"), content
                    assert row.name in ("POST /filters", "PUT /composites/{name}", "DELETE /composites/{name}")
                elif row.path != "/session":  # which takes a token from a form
                    assert status != 401, f"{scope}: {content!r}"
                    assert status < 500, f"{scope}: {content!r}"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_without_a_good_token(stage: Stage, row: Row) -> None:
    wanted = {None: "token.missing", "wrong": "token.invalid", "revoked": "token.revoked", "expired": "token.expired"}
    for caller in stage.callers:
        for what, code in wanted.items():
            status, found, content = asked(stage, caller, row, None if what is None else stage.secrets[what])
            if row.path == "/session":
                assert status == 401, content
            elif row.is_open:
                assert status not in (401, 403), content
            elif row.path in ("/", "/plain"):
                # the editor asks for a token by itself
                assert (status, content[:9].lower()) == (200 if row.path == "/" else 401, b"<!doctype")
            else:
                assert (status, found) == (401, code), content


@pytest.mark.parametrize("row", [row for row in ROWS if row.method != "GET" and row.path != "/session"], ids=lambda row: row.name)
def test_by_a_session_what_changes_something_needs_its_csrf_token(stage: Stage, row: Row) -> None:
    """And it comes from a page of the node: with both, the scope says what may be done."""
    path, body, headers = request_of(stage, row, OWN)
    for caller in stage.callers:
        for scope, browser in stage.browsers.items():
            if row.path == "/session/end":
                browser = sign_in(caller, stage.secrets[scope])
            asks = [
                ({"X-CSRF-Token": ""}, 403, "csrf.missing"),
                ({"X-CSRF-Token": browser.csrf[::-1]}, 403, "csrf.missing"),
                ({"Origin": "http://evil.example"}, 403, "origin.foreign"),
                ({"Origin": "null"}, 403, "origin.foreign"),
                ({"Cookie": f"{browser.cookie}x"}, 303 if row.is_open else 401, "" if row.is_open else "session.ended"),
            ]
            for more, wanted, wanted_code in asks:
                status, _, content = browser.raw(caller, row.method, path, body, {**headers, **more})
                assert (status, code_of(content)) == (wanted, wanted_code), content
            status, _, content = browser.raw(caller, row.method, path, body, {**headers, "Origin": stage.node.url})
            if row.allows(scope):
                assert status not in (401, 403), content
            else:
                assert (status, code_of(content)) == (403, "scope.missing"), content


@pytest.mark.parametrize("row", [row for row in ROWS if row.method == "GET" and row.path != "/events"], ids=lambda row: row.name)
def test_a_session_looks_at_what_its_token_may(stage: Stage, row: Row) -> None:
    path, _, headers = request_of(stage, row, OWN)
    for caller in stage.callers:
        for scope, browser in stage.browsers.items():
            status, _, content = browser.raw(caller, row.method, path, None, headers)
            assert (status in (401, 403)) == (not row.allows(scope)), content
            foreign = {**headers, "Origin": "http://evil.example"}
            status = browser.raw(caller, row.method, path, None, foreign)[0]
            assert status == 401 or (row.is_open and row.path != "/session") or row.path == "/", content


@pytest.mark.parametrize("row", [row for row in ROWS if row.others != SAME], ids=lambda row: row.name)
def test_other_graphs(stage: Stage, row: Row) -> None:
    for caller in stage.callers:
        for scope, secret in stage.limited.items():
            if not row.allows(scope) or row.name == "POST /filters":
                continue
            if row.name == "POST /docs":
                secret = other_only(stage)
            status, code, content = asked(stage, caller, row, secret, OTHER)
            if row.others == REFUSED:
                assert (status, code) == (403, "graph.forbidden"), content
            elif row.others == HIDDEN:
                assert status == 404, content
                assert code in ("receipt.not_found", "deadletters.not_found", "outbox.unknown")
            else:
                assert row.others == LEFT_OUT
                assert status in (200, 202), content
            if row.others == HIDDEN:  # an outbox is named in the request
                content = content.replace(f"results-{OTHER}".encode(), b"")
            if row.others != REFUSED:
                assert OTHER.encode() not in content


def other_only(stage: Stage) -> str:
    """A token for the other graph, while documents without a route go to the own one."""
    name = "for-the-other"
    stage.callers[0].ask("DELETE", f"/tokens/{name}", ADMIN)
    return make(stage.callers[0], name, "ingest", graphs=[OTHER])


def test_nothing_of_the_other_graph_was_touched(stage: Stage) -> None:
    caller = stage.callers[0]
    for id in stage.letters[OTHER]:
        assert caller.ask("GET", f"/deadletters/{id}", ADMIN)[0] == 200
    assert caller.ask("GET", f"/graphs/{OTHER}", ADMIN)[1]["version"] == 1
    outboxes = {each["name"]: each["waiting"] for each in caller.ask("GET", "/outbox", ADMIN)[1]}
    assert outboxes[f"results-{OTHER}"] >= 1


def test_lists_have_what_is_the_own(stage: Stage) -> None:
    caller, secret = stage.callers[0], stage.limited["read"]
    graphs = caller.ask("GET", "/graphs", secret)[1]
    assert [each["name"] for each in graphs] == [OWN]
    assert {each["graph"] for each in caller.ask("GET", "/receipts", secret)[1]["receipts"]} == {OWN}
    assert {each["graph"] for each in caller.ask("GET", "/deadletters", secret)[1]["deadletters"]} == {OWN}
    assert {each["graph"] for each in caller.ask("GET", "/deadletters?group=code", secret)[1]["groups"]} == {OWN}
    assert [each["name"] for each in caller.ask("GET", "/outbox", secret)[1]] == [f"results-{OWN}"]
    assert [each["users"]["graphs"] for each in caller.ask("GET", "/composites", secret)[1]] == [[]]
    assert caller.ask("GET", "/composites/part", ADMIN)[1]["users"]["graphs"] == [OTHER]
    assert {each["id"].partition(".")[0] for each in caller.ask("GET", "/filters", secret)[1]} == {OWN}
    status = caller.ask("GET", "/status", secret)[1]
    assert [each["name"] for each in status["graphs"]] == [OWN]
    assert {*status["work"]} == {OWN}
    searched = [caller.ask("GET", "/documents?q=nowhere", each)[1]["searched"]["deliveries"] for each in (secret, ADMIN)]
    assert (searched[0], searched[1] > 0) == (0, True)
    # a part that is new: say whether it is about graphs
    assert {*status} == {*caller.ask("GET", "/status", ADMIN)[1]}
    metrics = caller.raw("GET", "/metrics", secret)[2].decode()
    assert f'pypes_documents_accepted_total{{graph="{OWN}"' in metrics
    assert OTHER not in metrics
    assert not [line for line in metrics.splitlines() if line.startswith(("pypes_http_", "pypes_deploy", "pypes_store_commit_"))]
    everything = caller.raw("GET", "/metrics", ADMIN)[2].decode()
    assert OTHER in everything
    # what a list of receipts has is what it would have, if there were no others
    pages: list[str] = []
    after = ""
    while True:
        found = caller.ask("GET", f"/receipts?limit=2{after}", secret)[1]
        pages += [each["receipt"] for each in found["receipts"]]
        if found["next"] is None:
            break
        after = f"&after={found['next']}"
    everything_of_own = caller.ask("GET", f"/receipts?limit=1000&graph={OWN}", ADMIN)[1]["receipts"]
    assert pages == [each["receipt"] for each in everything_of_own]


def test_an_unknown_route_names_no_other_graph(stage: Stage) -> None:
    status, problem = stage.callers[0].ask("POST", "/docs/zweitr", stage.limited["ingest"], {"n": 1})
    assert status == 202, problem  # the default graph, which is the own one
    status, problem = stage.callers[0].ask("GET", f"/graphs/{OTHER}x", stage.limited["read"])
    assert (status, problem["code"]) == (403, "graph.forbidden")


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.method == "DELETE" or row.path.endswith("/replay")], ids=lambda r: r.name
)
def test_unlimited_scopes_do_what_they_say(stage: Stage, row: Row) -> None:
    """Last of all: with a sufficient scope and the right graph, none of these is refused."""
    status, code, content = asked(stage, stage.callers[0], row, stage.secrets["admin"], OTHER)
    assert status not in (401, 403), content
    assert code != "scope.missing"
