"""The audit log of a real node with two workers: each operation that changes something has its one line, the others have none."""

from __future__ import annotations

import json
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import Any
from urllib.parse import quote

import pytest
from click.testing import CliRunner

from pypes.access.audit import OPERATIONS, Place
from pypes.cli.commands import pypes
from pypes.testing.node import running
from tests.api.audited import PARTS, Stage, graph
from tests.api.callers import ADMIN, Caller, calling, make
from tests.api.permissions import Row, rows
from tests.api.test_openapi import DOCUMENT

ROWS = list(rows(DOCUMENT))

#: Operations that change something and have no line, and why.
UNTOLD = {
    "POST /docs": "a document, which has a receipt",
    "POST /docs/{route}": "a document, which has a receipt",
    "PUT /docs/{route}": "a document, which has a receipt",
    "POST /docs/{route}/{id}": "a document, which has a receipt",
    "PUT /docs/{route}/{id}": "a document, which has a receipt",
    "DELETE /docs/{route}/{id}": "a document, which has a receipt",
    "DELETE /outbox/{name}/{cursor}": "the other end of the way of a document",
    "POST /graphs/{name}/validate": "it changes nothing",
    "POST /graphs/{name}/dryrun": "it changes nothing",
    "POST /graphs/{name}/test": "it changes nothing",
    "POST /graphs/{name}/file": "it changes nothing",
    "POST /graphs/{name}/convert": "it changes nothing",
}

#: Has a line, and ends the node: see tests/faults/test_draining.py.
ENDING = "POST /drain"

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    base = tmp_path_factory.mktemp("audit")
    (base / "parts.py").write_text(PARTS)
    flags, environ = ("--load", str(base / "parts.py")), {"PYPES_TOKEN": ADMIN}
    with running(base, graph("base"), *flags, workers=2, instances=1, environ=environ) as node, calling(node) as callers:
        yield Stage(node, callers, make(callers[0], "changer", "admin"))
        assert "Traceback" not in node.log()


def test_the_operations_that_may_be_asked_for_are_those_that_have_lines() -> None:
    described = {row.audit for row in ROWS} - {""}
    assert {*OPERATIONS} == described | {"node.restore", "token.forget"}


def test_each_operation_that_changes_something_says_how_its_line_calls_it() -> None:
    for row in ROWS:
        assert (not row.audit) == (row.method == "GET" or row.name in UNTOLD), row.name


def test_the_graph_of_a_file_was_deployed_by_the_node(stage: Stage) -> None:
    first = stage.lines("order=oldest")[0]
    assert (first["operation"], first["by"], first["address"], first["graph"]) == ("graph.deploy", "node", "", "base")
    assert (first["before"], first["after"]) == (None, 1)
    assert first["detail"] == {"file": str(stage.node.graphs / "base.json")}


@pytest.mark.parametrize(
    "row",
    [row for row in ROWS if row.method != "GET" and row.name not in UNTOLD and row.name != ENDING],
    ids=lambda row: row.name,
)
def test_what_changes_something_has_one_line(stage: Stage, row: Row) -> None:
    asked = stage.prepare(row)
    before = {line["id"] for line in stage.lines()}
    body = asked.body
    secret = None if asked.by == "admin" else stage.secret
    headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", **(asked.headers or {})}
    status, _, content = stage.callers[-1].raw(row.method, asked.path, secret, body, headers)
    assert status < 400, content
    (line,) = (line for line in stage.lines() if line["id"] not in before)
    assert line["operation"] == row.audit
    assert (line["by"], line["address"], line["outcome"], line["trace"]) == (asked.by, "127.0.0.1", "done", TRACE)
    assert (line["graph"], line["count"]) == (asked.graph, asked.number)
    if asked.object is not None:
        assert line["object"] == asked.object
    if row.path.endswith("/replay"):
        receipts = json.loads(content).get("receipts") or [json.loads(content)["receipt"]]
        assert [line["receipt"]] == receipts
    if asked.graph == "base" and line["after"] is not None:
        versions = stage.ask("GET", "/graphs/base/versions")
        assert (line["after"], line["before"]) == (versions[0]["version"], versions[1]["version"])


@pytest.mark.parametrize("row", [row for row in ROWS if row.method == "GET" or row.name in UNTOLD], ids=lambda row: row.name)
def test_what_looks_or_hands_in_has_none(stage: Stage, row: Row) -> None:
    receipt = stage.ask("POST", "/docs/base", {"id": row.name, "n": 1})["receipt"]
    assert stage.ask("GET", f"/receipts/{receipt}?wait=30")["finished"]
    given = stage.ask("GET", "/outbox/results-base?limit=1")
    fields = {
        "name": {"outbox": "results-base", "tokens": "changer", "components": "JSON"}.get(row.path.split("/")[1], "base"),
        "id": {"receipts": receipt, "filters": "base.set", "docs": "one"}.get(row.path.split("/")[1], "none"),
        "route": "base",
        "version": "1",
        "cursor": quote(given["cursor"] or "1-1"),
    }
    path = row.path.format_map(defaultdict(str, fields))
    # with errors that come before a stream begins, which has no end
    path += {"GET /events": "?kind=nothing", "GET /search": "?q=x"}.get(row.name, "")
    body = None if row.method == "GET" else graph("base", "candidate") if row.path.endswith("/validate") else {"n": 1}
    before = stage.lines()
    status, *_ = stage.callers[-1].raw(row.method, path, stage.secret, body)
    assert status < 500
    assert stage.lines() == before


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/graphs/base", None),
        ("POST", "/graphs", {**graph("base"), "nodes": {}}),
        ("POST", "/graphs/none/pause", None),
        ("POST", "/graphs/base/resume", None),
        ("DELETE", "/graphs/none", None),
        ("DELETE", "/composites/none", None),
        ("PUT", "/composites/none", {"nodes": {"no": {"component": "None"}}}),
        ("POST", "/graphs/base/rollback", {"version": 999}),
        ("PUT", "/filters/base.set", {"params": {"nothing": 1}}),
        ("DELETE", "/filters/none", None),
        ("DELETE", "/deadletters?code=nothing", None),
        ("POST", "/deadletters/replay", {"code": "nothing"}),
        ("DELETE", "/graphs/base/stores/none", None),
        ("POST", "/tokens", {"name": "changer", "scopes": ["read"]}),
        ("PATCH", "/tokens/changer", {"scopes": ["admin"]}),
        ("DELETE", "/tokens/none", None),
        ("POST", "/session/end", None),
        ("POST", "/session", None),
    ],
)
def test_what_was_refused_or_changed_nothing_has_none(stage: Stage, method: str, path: str, body: Any) -> None:
    if path == "/graphs/base" and method == "PUT":
        body = stage.ask("GET", "/graphs/base")["graph"]
    before = stage.lines()
    stage.callers[-1].raw(method, path, stage.secret, body)
    assert stage.lines() == before


def test_a_version_that_fails_has_a_line_that_says_so(stage: Stage) -> None:
    name = stage.deployed()
    bad = graph(name)
    bad["nodes"]["check"] = {"component": "Bad"}
    assert stage.callers[0].ask("PUT", f"/graphs/{name}", stage.secret, bad)[0] == 409
    failed, deployed = stage.lines(f"graph={name}")
    assert [(line["outcome"], line["before"], line["after"]) for line in (failed, deployed)] == [
        ("failed", 1, 2),
        ("done", None, 1),
    ]


def test_a_filter_of_a_graph_is_named_beside_the_version(stage: Stage) -> None:
    name = stage.deployed()
    stage.ask("DELETE", f"/filters/{name}.once")
    line, _ = stage.lines(f"graph={name}")
    assert (line["operation"], line["object"], line["before"], line["after"]) == ("filter.delete", "once", 1, 2)


def test_only_admin_reads_it_and_what_others_may_not_change_is_logged(stage: Stage) -> None:
    secret = stage.ask("POST", "/tokens", {"name": "limited", "scopes": ["edit"], "graphs": ["base"]})["secret"]
    for caller in stage.callers:
        status, problem = caller.ask("GET", "/audit", secret)
        assert (status, problem["code"]) == (403, "scope.missing")
        assert caller.ask("GET", "/audit", None)[0] == 401
    before = stage.lines()
    assert stage.callers[0].ask("POST", "/graphs/other/pause", secret)[1]["code"] == "graph.forbidden"
    assert stage.lines() == before
    (line,) = (line for line in stage.ask("GET", "/logs?level=warning&limit=1000")["logs"] if line["event"] == "change refused")
    wanted = {"by": "limited", "operation": "graph.pause", "code": "graph.forbidden", "address": "127.0.0.1", "graph": "other"}
    assert {name: line[name] for name in wanted} == wanted


def test_lines_are_listed_page_by_page_and_by_what_they_say(stage: Stage) -> None:
    name = stage.deployed()
    stage.letters(2)
    stage.ask("DELETE", "/deadletters?graph=base")
    for method in ("pause", "resume"):
        stage.ask("POST", f"/graphs/{name}/{method}")
    everything = stage.lines()
    places = [Place.parse(line["id"]) for line in everything]
    assert places == sorted(places, reverse=True)
    assert len({place.source for place in places}) > 1, "no shard has lines"
    for order in ("newest", "oldest"):
        found: list[dict[str, Any]] = []
        query: str | None = f"limit=7&order={order}"
        while query is not None:
            page = stage.ask("GET", f"/audit?{query}")
            found += page["audit"]
            query = page["next"] and f"limit=7&order={order}&after={page['next']}"
        assert found == (everything if order == "newest" else everything[::-1])
    assert [line["operation"] for line in stage.lines(f"graph={name}")] == ["graph.resume", "graph.pause", "graph.deploy"]
    assert {line["operation"] for line in stage.lines("operation=token.*")} <= {"token.create", "token.change", "token.revoke"}
    assert {line["by"] for line in stage.lines("by=node")} == {"node"}
    middle = everything[3]["time"]
    assert all(line["time"] >= middle for line in stage.lines(f"since={middle}"))
    assert all(line["time"] < middle for line in stage.lines(f"until={middle}"))
    assert len(stage.lines(f"since={middle}")) + len(stage.lines(f"until={middle}&limit=1000")) == len(everything)


@pytest.mark.parametrize(
    "query",
    [
        "graph=",
        "colour=red",
        "after=none",
        "operation=a b",
        "operation=graph.deply",
        "operation=nothing.*",
        "operation=[a]",
        "until=soon",
        "order=any",
        "limit=0",
    ],
)
def test_queries_that_are_wrong_are_refused(stage: Stage, query: str) -> None:
    status, problem = stage.callers[0].ask("GET", f"/audit?{query.replace(' ', '+')}", stage.secret)
    assert (status, problem["code"]) == (400, "request.invalid")


def test_no_secret_is_in_it(stage: Stage) -> None:
    secret = stage.ask("POST", "/tokens", {"name": "spoken", "scopes": ["read"]})["secret"]
    everything = json.dumps(stage.lines())
    assert secret not in everything
    assert stage.secret not in everything
    assert ADMIN not in everything


def test_many_at_once_have_a_line_each(stage: Stage) -> None:
    """And their lines are in the order of their ids, whoever writes them."""
    name = stage.deployed()

    def work(secret: str) -> None:
        caller = Caller(stage.node.port)
        for number in range(10):
            assert caller.ask("POST", "/filters", secret, {"component": "Null"})[0] == 201
            caller.ask("POST", f"/graphs/{name}/{'pause' if number % 2 else 'resume'}", secret)
        caller.close()

    before = len(stage.lines("operation=filter.create"))
    threads = [threading.Thread(target=work, args=(stage.secret,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(stage.lines("operation=filter.create")) == before + 40
    states = [line["operation"] for line in stage.lines(f"graph={name}&order=oldest")][1:]
    assert all(one != other for one, other in pairwise(states)), Counter(states)


# -- pypes audit ----------------------------------------------------------------------------------------------


def command(stage: Stage, *arguments: str) -> Any:
    environ = {"PYPES_TOKEN": stage.secret, "PYPES_URL": stage.node.url}
    return CliRunner().invoke(pypes, ["audit", *arguments], env=environ)


def test_the_command_lists_lines_as_a_table_or_as_json(stage: Stage) -> None:
    name = stage.deployed()
    stage.ask("PUT", f"/graphs/{name}", graph(name, "second"))
    shown = command(stage, "--graph", name)
    assert shown.exit_code == 0, shown.output
    heading, newest, oldest = shown.output.splitlines()
    assert heading.split() == ["time", "operation", "by", "address", "graph", "object", "change"]
    assert newest.split()[1:] == ["graph.deploy", "changer", "127.0.0.1", name, "1", ">", "2"]
    assert oldest.split()[5:] == ["none", ">", "1"]
    found = json.loads(command(stage, "--graph", name, "--json", "--oldest-first", "--limit", "1").output)
    assert [line["after"] for line in found] == [1]
    later = json.loads(command(stage, "--graph", name, "--json", "--oldest-first", "--after", found[0]["id"]).output)
    assert [line["after"] for line in later] == [2]


def test_the_command_checks_that_nothing_was_changed(stage: Stage) -> None:
    stage.letters(1)
    stage.ask("DELETE", "/deadletters?graph=base")
    checked = command(stage, "--check")
    assert checked.exit_code == 0, checked.output
    assert checked.output.splitlines()[0] == f"{len(stage.lines())} lines, 0 problems"
    assert checked.output.splitlines()[2].split()[0] == "control.db"
    mistyped = command(stage, "--operation", "graph.deply")
    assert mistyped.exit_code == 1
    assert "graph.deploy" in mistyped.output
    found = json.loads(command(stage, "--check", "--json").output)
    assert (found["problems"], found["files"][0]["file"]) == ([], "control.db")
