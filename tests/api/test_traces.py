"""Traces of deliveries on a real node: asked for, drawn by share, after kills, and of what cannot be told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from pypes.api import receipts
from pypes.testing.node import Node, running, until
from tests.api.records import COMPONENTS, finished, get, post
from tests.api.test_docs import NDJSON

MORE = '''

@pypes.component(name="Killing")
def killing(packet):
    """End the process over what says so, until a file is there."""
    import os, signal

    if packet.get("kill") and not Path("killed").exists():
        Path("killed").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return packet


@pypes.component(name="Stamp")
def stamp(packet):
    """Set a field, and change one."""
    packet.set("stamp", "s")
    packet.set("n", packet.get("n") + 1)
    return packet
'''


def graph_of(base: Path, name: str, **options: Any) -> dict[str, Any]:
    nodes: dict[str, Any] = {
        "json": {"component": "JSON"},
        "text": {"component": "Text"},
        "refuse": {"component": "Refuse"},
        "killing": {"component": "Killing"},
        "out": {"component": "JSONLines", "params": {"path": str(base / f"{name}.jsonl")}},
    }
    wires = [["json.out", "refuse.in"], ["text.out", "refuse.in"], ["refuse.out", "killing.in"], ["killing.out", "out.in"]]
    return {"pypes": 1, "name": name, "nodes": nodes, "wires": wires, **options}


def marked(base: Path, **options: Any) -> dict[str, Any]:
    nodes = {
        "json": {"component": "JSON"},
        "stamp": {"component": "Stamp"},
        "out": {"component": "JSONLines", "params": {"path": str(base / "marked.jsonl"), "form": "packet"}},
    }
    wires = [["json.out", "stamp.in"], ["stamp.out", "out.in"]]
    return {"pypes": 1, "name": "marked", "routes": ["marked"], "provenance": True, "nodes": nodes, "wires": wires, **options}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    base = tmp_path_factory.mktemp("traces")
    (base / "refuse.py").write_text(COMPONENTS + MORE)
    (base / "pypes.ini").write_text("[observe]\nredact = password, *_token\n")
    (base / "graphs").mkdir()
    for name, share in (("every", 1), ("tenth", 0.1)):
        graph = graph_of(base, name, trace=share, routes=[name])
        (base / "graphs" / f"{name}.json").write_text(json.dumps(graph))
    (base / "graphs" / "marked.json").write_text(json.dumps(marked(base)))
    with running(base, graph_of(base, "g"), "--load", str(base / "refuse.py"), workers=2, instances=1) as node:
        yield node
        assert "Traceback" not in node.log()


def trace(node: Node, receipt: str) -> Any:
    finished(node, receipt)
    found = get(node, f"/receipts/{receipt}/trace")
    jsonschema_rs.validator_for(dict(receipts.TRACE)).validate(found)
    return found


def posted(node: Node, body: bytes, path: str = "/docs?trace=1", content_type: str = "application/json", **headers: str) -> Any:
    answer = post(node, body, path, content_type, **headers)
    assert answer.status == 202, answer.data
    return trace(node, answer.json()["receipt"])


def steps(found: Any) -> dict[str, Any]:
    return {step["filter"]: step for step in found["steps"]}


def test_each_filter_is_shown_with_its_packets(node: Node) -> None:
    found = posted(node, b'{"id": "a", "n": 1, "password": "geheim", "user": {"x_token": "t"}}')
    assert (found["run"], found["graph"], found["version"]) == (1, "g", 1)
    assert [found[name] for name in ("documents", "shown", "published", "dropped", "failed")] == [1, 1, 1, 0, 0]
    assert [step["filter"] for step in found["steps"]] == ["json", "text", "refuse", "killing", "out"]
    by_name = steps(found)
    fields = {"id": "a", "n": 1, "password": "(hidden)", "user": {"x_token": "(hidden)"}}
    for name in ("json", "refuse", "killing"):
        step = by_name[name]
        assert (step["packets_in"], step["packets_out"], step["attempts"]) == (1, {"out": 1}, 1)
        assert step["in"][0]["fields"] == fields == step["out"]["out"][0]["fields"]
        assert step["in"][0]["documents"] == [0]
        assert step["ms"] >= 0
    assert (by_name["text"]["packets_in"], by_name["out"]["published"], by_name["out"]["component"]) == (0, 1, "JSONLines")


def test_of_lines_the_first_documents_are_shown_and_all_counted(node: Node) -> None:
    lines = [{"n": n, "refuse": n % 10 == 3, "drop": n % 10 == 4} for n in range(40)]
    found = posted(node, "\n".join(map(json.dumps, lines)).encode(), "/docs?trace=1", NDJSON)
    assert [found[name] for name in ("documents", "shown", "published", "dropped", "failed")] == [40, 10, 32, 4, 4]
    step = steps(found)["refuse"]
    assert (step["packets_in"], step["packets_out"], step["dropped"], step["failed"]) == (40, {"out": 32}, 4, 4)
    assert [packet["fields"]["n"] for packet in step["in"]] == list(range(10))
    assert [(error["documents"], error["code"], error["is_final"]) for error in step["errors"]] == [
        ([n], "test.refused", True) for n in (3, 13, 23, 33)
    ]


def test_multipart_and_deletions_are_traced(node: Node) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="a"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\nhello\r\n'
    body += (
        b'--x\r\nContent-Disposition: form-data; name="b"; filename="b.json"\r\nContent-Type: application/json\r\n\r\n{"n": 1}'
    )
    found = posted(node, body + b"\r\n--x--\r\n", "/docs?trace=1", "multipart/form-data; boundary=x")
    assert found["documents"] == 2
    assert [steps(found)[name]["packets_in"] for name in ("json", "text", "refuse")] == [1, 1, 2]
    assert steps(found)["text"]["in"][0]["fields"]["data"] == "<5 bytes>"
    answer = node.http.request("DELETE", f"{node.url}/docs/r/a?trace=1")
    assert steps(trace(node, answer.json()["receipt"]))["out"]["packets_in"] == 1


def test_a_replay_of_a_traced_delivery_is_traced(node: Node) -> None:
    found = posted(node, b'{"refuse": true}')
    assert found["failed"] == 1
    [document] = get(node, f"/receipts/{found['receipt']}/documents")["documents"]
    replayed = node.http.request("POST", f"{node.url}/deadletters/{document['deadletter']}/replay").json()["receipt"]
    again = trace(node, replayed)
    assert again["failed"] == 1
    assert (steps(again)["json"]["packets_in"], steps(again)["refuse"]["packets_in"]) == (0, 1)


@pytest.mark.parametrize("start", ["filter", "start"])
def test_a_replay_is_traced_if_that_is_asked_for(node: Node, start: str) -> None:
    receipt = post(node, b'{"refuse": true}', path="/docs").json()["receipt"]
    finished(node, receipt)
    [letter] = get(node, f"/deadletters?receipt={receipt}")["deadletters"]
    address, wanted = f"{node.url}/deadletters/{letter['id']}/replay", {"from": start}
    assert node.http.request("POST", f"{address}?trace=yes", json=wanted).status == 400
    answer = node.http.request("POST", f"{address}?trace=1", json=wanted)
    assert answer.status == 202
    steps = {step["filter"]: step for step in trace(node, answer.json()["receipt"])["steps"]}
    assert (steps["json"]["packets_in"], steps["refuse"]["failed"]) == (int(start == "start"), 1)


def test_what_was_not_traced_says_how_to(node: Node) -> None:
    receipt = post(node, b'{"n": 1}').json()["receipt"]
    finished(node, receipt)
    answer = get(node, f"/receipts/{receipt}/trace", 404)
    assert answer["code"] == "trace.not_traced"
    assert "?trace=1" in answer["detail"]
    # without a complaint in the console of a browser
    answer = node.get(f"/receipts/{receipt}/trace?or=nothing")
    assert (answer.status, answer.headers["pypes-code"], answer.data) == (204, "trace.not_traced", b"")
    assert get(node, f"/receipts/{receipt[:-4]}0000/trace?or=nothing", 404)["code"] == "receipt.not_found"
    assert get(node, f"/receipts/{receipt[:-4]}0000/trace", 404)["code"] == "receipt.not_found"
    assert get(node, "/receipts/none/trace", 404)["code"] == "receipt.not_found"
    assert post(node, b"{}", "/docs?trace=yes").status == 400


def test_a_delivery_that_waits_has_no_trace_yet(node: Node) -> None:
    node.http.request("POST", f"{node.url}/graphs/g/pause")
    try:
        receipt = post(node, b'{"n": 1}', "/docs?trace=1").json()["receipt"]
        assert get(node, f"/receipts/{receipt}/trace", 404)["code"] == "trace.not_finished"
    finally:
        node.http.request("POST", f"{node.url}/graphs/g/resume")
    assert trace(node, receipt)["published"] == 1


def test_a_graph_may_trace_a_share(node: Node) -> None:
    all_of = [post(node, b'{"n": %d}' % n, "/docs/every").json()["receipt"] for n in range(5)]
    assert [trace(node, receipt)["published"] for receipt in all_of] == [1] * 5
    some = [post(node, b'{"n": %d}' % n, "/docs/tenth").json()["receipt"] for n in range(300)]
    for receipt in some:
        finished(node, receipt)
    answers = [node.http.request("GET", f"{node.url}/receipts/{receipt}/trace").status for receipt in some]
    assert 5 < answers.count(200) < 80
    assert set(answers) == {200, 404}


def test_neighbours_are_neither_lost_nor_mixed_in(node: Node, tmp_path: Path) -> None:
    mark = "neighbours"
    traced: list[str] = []
    for n in range(200):
        path = "/docs?trace=1" if n % 20 == 0 else "/docs"
        receipt = post(node, json.dumps({"n": n, "of": mark}).encode(), path).json()["receipt"]
        if n % 20 == 0:
            traced.append(receipt)
    for at, receipt in enumerate(traced):
        found = trace(node, receipt)
        assert [packet["fields"]["n"] for packet in steps(found)["out"]["in"]] == [20 * at]
        assert all(step["packets_in"] <= 1 for step in found["steps"])
    finished(node, receipt)

    def published() -> list[int]:
        lines = map(json.loads, (node.folder / "g.jsonl").read_text().splitlines())
        return sorted(line["n"] for line in lines if line.get("of") == mark)

    until(lambda: len(published()) >= 200, 20, "all published")
    assert published() == list(range(200))


def test_a_traced_delivery_that_ends_its_instance_is_traced_in_its_next_run(node: Node) -> None:
    receipts_of = [post(node, b'{"n": %d}' % n).json()["receipt"] for n in range(20)]
    found = posted(node, b'{"kill": true, "n": 77}')
    assert found["run"] == 2
    assert found["published"] == 1
    assert steps(found)["killing"]["packets_in"] == 1
    for receipt in receipts_of:
        assert finished(node, receipt)["published"] == 1


def test_a_killed_worker_tells_of_traces_afterwards(node: Node) -> None:
    found = posted(node, b'{"n": 5}')
    for worker in node.roles()["worker"]:
        worker.kill()
    until(node.is_ready, 20, "ready again")
    assert get(node, f"/receipts/{found['receipt']}/trace") == found


def test_marks_of_fields_are_shown_and_kept_by_publishers_that_keep_metadata(node: Node) -> None:
    found = posted(node, b'{"n": 1, "text": "t"}', "/docs/marked?trace=1")
    [shown] = steps(found)["out"]["in"]
    mark = {"set_by": "marked@1 stamp Stamp"}
    assert shown["field_meta"] == {"stamp": mark, "n": mark}
    lines = [json.loads(line) for line in (node.folder / "marked.jsonl").read_text().splitlines()]
    assert lines[-1]["field_meta"] == {"stamp": mark, "n": mark}
    # another version of the graph sets its own marks
    changed = marked(node.folder, description="the second version", trace=0.5)
    answer = node.http.request(
        "PUT", f"{node.url}/graphs/marked", body=json.dumps(changed), headers={"Content-Type": "application/json"}
    )
    assert answer.status == 200, answer.data
    version = answer.json()["version"]
    found = posted(node, b'{"n": 1, "text": "t"}', "/docs/marked?trace=1")
    assert steps(found)["out"]["in"][0]["field_meta"]["n"] == {"set_by": f"marked@{version} stamp Stamp"}
    assert version > 1
