"""Receipts, dead letters, keys and callbacks on a real node with two workers: whichever answers, it is the same."""

from __future__ import annotations

import hmac
import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from pypes.api import deadletters, receipts
from pypes.testing.node import Node, running, until
from tests.api.harness import serving
from tests.api.test_docs import NDJSON
from tests.serving import in_thread

COMPONENTS = '''
from pathlib import Path

import pypes


@pypes.component(name="Refuse")
def refuse(packet):
    """Refuse what says so, drop what says so."""
    if packet.get("refuse") and not Path("mended").exists():
        raise pypes.Reject("as it says", code=packet.get("code", "test.refused"))
    return None if packet.get("drop") else packet
'''


class Hook(ThreadingHTTPServer):
    """A server that takes callbacks; the first answer to each path that ends in ``-later`` is 503."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.taken: dict[str, list[tuple[str, bytes]]] = {}

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        taken = self.server.taken.setdefault(self.path, [])
        taken.append((self.headers["Pypes-Signature"], self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(503 if self.path.endswith("-later") and len(taken) == 1 else 204)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        return


@pytest.fixture(scope="module")
def hook() -> Iterator[Hook]:
    with in_thread(Hook()) as made:
        yield made


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, hook: Hook) -> Iterator[Node]:
    base = tmp_path_factory.mktemp("records")
    (base / "refuse.py").write_text(COMPONENTS)
    (base / "secret").write_text("s3cret")
    (base / "pypes.ini").write_text(f"[callbacks]\nhosts = {hook.host}\nsecret_file = secret\n")
    nodes: dict[str, Any] = {
        "json": {"component": "JSON"},
        "text": {"component": "Text"},
        "refuse": {"component": "Refuse"},
        "out": {"component": "JSONLines", "params": {"path": str(base / "out.jsonl")}},
    }
    wires = [["json.out", "refuse.in"], ["text.out", "refuse.in"], ["refuse.out", "out.in"]]
    graph = {"pypes": 1, "name": "g", "nodes": nodes, "wires": wires}
    ordered = {**graph, "name": "o", "routes": ["o"], "order_by": "id"}
    (base / "graphs").mkdir()
    (base / "graphs" / "o.json").write_text(json.dumps(ordered))
    with running(base, graph, "--load", str(base / "refuse.py"), workers=2, instances=2) as node:
        yield node
        assert "Traceback" not in node.log()


def post(node: Node, body: bytes, path: str = "/docs", content_type: str = "application/json", **headers: str) -> Any:
    """Post over a connection of its own, so that any worker may get it."""
    headers = {"Content-Type": content_type, "Connection": "close"} | {n.replace("_", "-"): v for n, v in headers.items()}
    return node.http.request("POST", node.url + path, body=body, headers=headers)


def get(node: Node, path: str, status: int = 200) -> Any:
    answer = node.http.request("GET", node.url + path, headers={"Connection": "close"})
    assert answer.status == status, answer.data
    return answer.json()


def finished(node: Node, receipt: str) -> Any:
    found = get(node, f"/receipts/{receipt}?wait=20")
    assert found["pending"] == 0, found
    jsonschema_rs.validator_for(dict(receipts.RECEIPT)).validate(found)
    return found


def failed(node: Node, **fields: Any) -> str:
    """The id of the one dead letter of a document that is refused."""
    receipt = post(node, json.dumps({"refuse": True, **fields}).encode()).json()["receipt"]
    assert finished(node, receipt)["failed"] == 1
    [document] = get(node, f"/receipts/{receipt}/documents")["documents"]
    return str(document["deadletter"])


class TestReceipts:
    def test_every_document_is_told_of(self, node: Node) -> None:
        body = b'[{"id": "a"}, {"id": 2, "drop": true}, {"refuse": true}]'
        receipt = post(node, body).json()["receipt"]
        found = finished(node, receipt)
        assert list(found) == [
            "receipt", "state", "accepted", "published", "dropped", "failed", "pending",
            "received", "started", "finished", "graph", "version",
        ]  # fmt: skip
        assert (found["state"], found["published"], found["dropped"], found["failed"]) == ("failed", 1, 1, 1)
        assert (found["graph"], found["version"]) == ("g", 1)
        assert found["received"] <= found["started"] <= found["finished"]
        page = get(node, f"/receipts/{receipt}/documents")
        letter = page["documents"][2]["deadletter"]
        assert letter.startswith(receipt)
        nameless = {"file": None, "route": None}
        assert page == {
            "documents": [
                {
                    "index": 0,
                    "id": "a",
                    "outcome": "published",
                    "publishers": ["out"],
                    "filter": None,
                    "deadletter": None,
                    **nameless,
                },
                {
                    "index": 1,
                    "id": "2",
                    "outcome": "dropped",
                    "publishers": [],
                    "filter": "refuse",
                    "deadletter": None,
                    **nameless,
                },
                {
                    "index": 2,
                    "id": None,
                    "outcome": "failed",
                    "publishers": [],
                    "filter": "refuse",
                    "deadletter": letter,
                    **nameless,
                },
            ],
            "next": None,
        }
        for document in page["documents"]:
            jsonschema_rs.validator_for(dict(receipts.DOCUMENT)).validate(document)

    def test_documents_come_in_pages(self, node: Node) -> None:
        receipt = post(node, b"\n".join(b'{"id": "%d"}' % n for n in range(250)), content_type=NDJSON).json()["receipt"]
        finished(node, receipt)
        seen: list[Any] = []
        query = "?limit=100"
        while True:
            page = get(node, f"/receipts/{receipt}/documents{query}")
            seen += page["documents"]
            if page["next"] is None:
                break
            query = f"?limit=100&after={page['next']}"
        assert [(one["index"], one["id"]) for one in seen] == [(n, str(n)) for n in range(250)]

    def test_lists_merge_all_workers(self, node: Node) -> None:
        since = get(node, f"/receipts/{post(node, b'{}').json()['receipt']}")["received"]
        wanted = {post(node, b'{"refuse": true}' if n % 2 else b"{}").json()["receipt"] for n in range(20)}
        for receipt in wanted:
            finished(node, receipt)
        found: list[Any] = []
        after = ""
        while True:
            page = get(node, f"/receipts?since={since}&limit=7&after={after}")
            found += page["receipts"]
            if page["next"] is None:
                break
            after = page["next"]
        ids = [receipt["receipt"] for receipt in found]
        assert ids == sorted(ids, reverse=True)
        assert wanted < set(ids)
        assert get(node, f"/receipts?since={since}&order=oldest&limit=1&graph=g")["receipts"][0]["receipt"] == ids[-1]
        assert get(node, f"/receipts?since={since}&graph=other")["receipts"] == []
        failures = get(node, f"/receipts?state=failed&since={since}")["receipts"]
        assert {one["receipt"] for one in failures} & wanted == {one["receipt"] for one in found if one["failed"]} & wanted
        assert {one["state"] for one in failures} == {"failed"}

    @pytest.mark.parametrize(
        "path",
        [
            "/receipts?state=lost",
            "/receipts?limit=0",
            "/receipts?limit=1001",
            "/receipts?limit=x",
            "/receipts?since=yesterday",
            "/receipts?after=nonsense",
            "/receipts/x/documents?after=-1",
            "/deadletters?group=graph",
            "/deadletters?since=nan",
            "/deadletters?order=up",
            "/deadletters?index=-1",
            "/receipts?order=up",
        ],
    )
    def test_queries_that_make_no_sense(self, node: Node, path: str) -> None:
        assert get(node, path, 400)["code"] == "request.invalid"

    def test_a_preferred_wait_is_answered_by_the_end(self, node: Node) -> None:
        answer = post(node, b'{"id": "a"}', Prefer="respond-async, wait=20")
        assert answer.status == 200, answer.data
        assert answer.headers["Preference-Applied"] == "wait=20"
        assert answer.headers["Location"] == f"/receipts/{answer.json()['receipt']}"
        assert (answer.json()["state"], answer.json()["published"]) == ("done", 1)


class TestKeys:
    def test_one_key_is_one_delivery_whoever_takes_it(self, node: Node) -> None:
        body = b'{"id": "once"}'
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda n: post(node, body, Idempotency_Key="k1"), range(24)))
        assert {answer.status for answer in answers} == {202}
        [receipt] = {answer.json()["receipt"] for answer in answers}
        finished(node, receipt)
        assert post(node, body, Idempotency_Key="k1").json() == {"receipt": receipt, "accepted": 1}
        assert post(node, body, Idempotency_Key="k1", Prefer="wait=5").json()["state"] == "done"

    @pytest.mark.parametrize(
        ("path", "body", "content_type"),
        [
            ("/docs", b'{"id": "other"}', "application/json"),
            ("/docs/news", b'{"id": "one"}', "application/json"),
            ("/docs", b'{"id": "one"}', "application/ld+json"),
            ("/docs?on_error=deadletter", b'{"id": "one"}', "application/json"),
        ],
    )
    def test_another_request_under_the_key_is_refused(self, node: Node, path: str, body: bytes, content_type: str) -> None:
        assert post(node, b'{"id": "one"}', Idempotency_Key="k2").status == 202
        answer = post(node, body, path, content_type, Idempotency_Key="k2")
        assert (answer.status, answer.json()["code"]) == (409, "idempotency.mismatch")

    def test_large_bodies_have_keys_too(self, node: Node) -> None:
        body = b"\n".join(b'{"id": %d, "x": "%b"}' % (n, b"x" * 1000) for n in range(3000))
        found = {post(node, body, content_type=NDJSON, Idempotency_Key="k3").json()["receipt"] for _ in range(4)}
        assert len(found) == 1
        assert finished(node, found.pop())["published"] == 3000
        assert post(node, body + b"\n{}", content_type=NDJSON, Idempotency_Key="k3").status == 409
        until(lambda: not [path for path in (node.base / "data").rglob("spool/*") if path.is_file()], 10, "spools are gone")


class TestOrder:
    def test_an_ordered_graph_is_taken_by_any_worker(self, node: Node) -> None:
        found = [post(node, b'{"id": "%d"}' % (n % 3), "/docs/o").json()["receipt"] for n in range(12)]
        assert {finished(node, receipt)["published"] for receipt in found} == {1}
        shards = {(int(receipt.replace("-", ""), 16) >> 28) & 0xFF for receipt in found}
        assert len(shards) == 1
        assert post(node, b"{}", "/docs/o").status == 422


class TestDeadLetters:
    def test_one_has_all_that_is_known(self, node: Node) -> None:
        id = failed(node, title="x")
        letter = get(node, f"/deadletters/{id}")
        jsonschema_rs.validator_for(dict(deadletters.WHOLE_LETTER)).validate(letter)
        assert list(letter) == [*deadletters.LETTER_FIELDS, "packet", "traceback"]
        assert (letter["filter"], letter["component"], letter["code"]) == ("refuse", "Refuse", "test.refused")
        assert letter["packet"]["fields"] == {"refuse": True, "title": "x"}
        assert letter["receipt"] == id.rpartition("-")[0]
        [listed] = [one for one in get(node, "/deadletters?limit=1000")["deadletters"] if one["id"] == id]
        assert listed == {name: letter[name] for name in deadletters.LETTER_FIELDS}

    def test_they_are_listed_and_counted_by_what_failed(self, node: Node) -> None:
        ids = {failed(node, code="test.counted", n=n) for n in range(6)}
        for query in ("code=test.counted", "code=test.counted&filter=refuse&graph=g&since=2020-01-01T00:00:00Z"):
            seen: list[str] = []
            after = ""
            while after is not None:
                page = get(node, f"/deadletters?{query}&limit=4&after={after}")
                seen += [letter["id"] for letter in page["deadletters"]]
                after = page["next"]
            assert seen == sorted(ids, reverse=True)
        assert [one["id"] for one in get(node, f"/deadletters?{query}&order=oldest")["deadletters"]] == sorted(ids)
        [group] = [g for g in get(node, "/deadletters?group=code")["groups"] if g["code"] == "test.counted"]
        assert list(group) == ["graph", "filter", "code", "count", "failures", "latest"]
        assert (group["graph"], group["filter"], group["count"]) == ("g", "refuse", 6)
        assert get(node, "/deadletters?code=test.counted&graph=other")["deadletters"] == []

    def test_they_are_found_by_what_their_document_is_known_by(self, node: Node) -> None:
        parts = "".join(
            f'--b\r\nContent-Disposition: form-data; name="f"; filename="{name}"\r\n'
            f"Content-Type: application/json\r\n\r\n{text}\r\n"
            for name, text in (("a.json", '{"id": "x"}'), ("b.json", '{"id": "which", "refuse": true, "code": "test.which"}'))
        )
        receipt = post(node, f"{parts}--b--\r\n".encode(), "/docs/r", "multipart/form-data; boundary=b").json()["receipt"]
        assert finished(node, receipt)["failed"] == 1
        document = get(node, f"/receipts/{receipt}/documents?after=0")["documents"][0]
        assert (document["index"], document["id"], document["file"], document["route"]) == (1, "which", "b.json", "r")
        for query in ("id=which&route=r", "file=b.json&code=test.which", f"receipt={receipt}&index=1"):
            [letter] = get(node, f"/deadletters?{query}")["deadletters"]
            assert letter["document"] == {"index": 1, "id": "which", "file": "b.json", "route": "r"}
            assert letter["id"] == document["deadletter"]
        assert get(node, f"/deadletters?receipt={receipt}&index=0")["deadletters"] == []

        answer = node.http.request("POST", f"{node.url}/deadletters/replay", json={"file": "b.json", "code": "test.which"})
        [again] = answer.json()["receipts"]
        found = finished(node, again)
        jsonschema_rs.validator_for(dict(receipts.RECEIPT)).validate(found)
        assert found["replay_of"] == {"receipt": receipt, "deadletter": document["deadletter"], "start": "refuse"}
        first = get(node, f"/receipts/{receipt}")
        jsonschema_rs.validator_for(dict(receipts.RECEIPT)).validate(first)
        assert first["replays"] == [{"receipt": again, "documents": 1, "state": "failed"}]
        document = get(node, f"/receipts/{receipt}/documents?after=0")["documents"][0]
        jsonschema_rs.validator_for(dict(receipts.DOCUMENT)).validate(document)
        assert document["replay"] == {"receipt": again, "index": 0, "outcome": "failed"}
        [there] = get(node, f"/receipts/{again}/documents")["documents"]
        assert (there["id"], there["origin"]) == ("which", {"receipt": receipt, "index": 1})
        [letter] = get(node, f"/deadletters?receipt={again}")["deadletters"]
        assert letter["document"] == {"index": 0, "id": "which", "file": "b.json", "route": "r"}

    def test_one_is_edited_and_replayed_from_its_filter(self, node: Node) -> None:
        id = failed(node, title="wrong")
        packet = get(node, f"/deadletters/{id}")["packet"]
        packet["fields"] = {"title": "right"}
        answer = node.http.request("PUT", f"{node.url}/deadletters/{id}", json={"packet": packet})
        assert answer.status == 200, answer.data
        assert answer.json()["packet"]["fields"] == {"title": "right"}
        assert answer.json()["edited"] is True
        answer = node.http.request("POST", f"{node.url}/deadletters/{id}/replay", json={"from": "filter"})
        assert answer.status == 202, answer.data
        assert answer.headers["Location"] == f"/receipts/{answer.json()['receipt']}"
        assert finished(node, answer.json()["receipt"])["published"] == 1
        assert '"title":"right"' in (node.base / "out.jsonl").read_text()
        get(node, f"/deadletters/{id}", 404)
        assert node.http.request("POST", f"{node.url}/deadletters/{id}/replay").status == 404

    def test_a_replay_that_fails_is_a_dead_letter_again(self, node: Node) -> None:
        id = failed(node, title="again")
        receipt = node.http.request("POST", f"{node.url}/deadletters/{id}/replay", json={"from": "start"}).json()["receipt"]
        assert finished(node, receipt)["failed"] == 1
        [document] = get(node, f"/receipts/{receipt}/documents")["documents"]
        assert get(node, f"/deadletters/{document['deadletter']}")["packet"]["fields"]["title"] == "again"

    @pytest.mark.parametrize(
        ("packet", "where"),
        [
            ({"field": {}}, "packet.field"),
            ([], "packet"),
            ({"fields": {}, "field_meta": {"a": {"x": 1}}}, "packet.field_meta.a"),
            ({"fields": []}, "packet.fields"),
        ],
    )
    def test_a_packet_that_is_none_is_refused(self, node: Node, packet: Any, where: str) -> None:
        id = failed(node)
        answer = node.http.request("PUT", f"{node.url}/deadletters/{id}", json={"packet": packet})
        assert (answer.status, answer.json()["code"], answer.json()["where"]) == (422, "packet.malformed", where)
        for body in ({}, {"packet": {}, "x": 1}, []):
            assert node.http.request("PUT", f"{node.url}/deadletters/{id}", json=body).status == 400

    def test_what_cannot_be_read_becomes_a_dead_letter(self, node: Node) -> None:
        answer = post(node, b'{"a": 1}\noops\n{"a": 2}\n', "/docs?on_error=deadletter", NDJSON).json()
        assert (answer["accepted"], answer["rejected"]) == (3, 1)
        found = finished(node, answer["receipt"])
        assert (found["published"], found["failed"]) == (2, 1)
        bad = get(node, f"/receipts/{answer['receipt']}/documents")["documents"][1]
        assert bad["outcome"] == "failed"
        letter = get(node, f"/deadletters/{bad['deadletter']}")
        jsonschema_rs.validator_for(dict(deadletters.WHOLE_LETTER)).validate(letter)
        assert letter["code"] == "ingest.malformed"
        assert "line 2" in letter["error"]

    def test_many_are_replayed_and_deleted_by_query(self, node: Node) -> None:
        for n in range(5):
            failed(node, code="test.many", n=n)
        answer = node.http.request("POST", f"{node.url}/deadletters/replay", json={"code": "test.many", "limit": 3})
        assert answer.status == 202, answer.data
        assert list(answer.json()) == ["count", "receipts"]
        assert answer.json()["count"] == 3
        for receipt in answer.json()["receipts"]:
            assert finished(node, receipt)["failed"] == 1
        answer = node.http.request("DELETE", f"{node.url}/deadletters?code=test.many")
        assert (answer.status, answer.json()) == (200, {"count": 5})
        assert get(node, "/deadletters?code=test.many")["deadletters"] == []
        assert node.http.request("DELETE", f"{node.url}/deadletters").status == 400
        for body in ({"form": "filter"}, {"from": "end"}, {"limit": 0}, {"graph": 1}, []):
            assert node.http.request("POST", f"{node.url}/deadletters/replay", json=body).status == 400

    def test_what_goes_from_the_start_is_one_delivery_for_each_receipt(self, node: Node) -> None:
        node.http.request("DELETE", f"{node.url}/deadletters?code=ingest.malformed")
        body = b'{"a": 1}\n' + b"oops\n" * 6 + b'{"a": 2, "refuse": 1, "code": "test.start"}\n'
        first, second = (post(node, body, "/docs?on_error=deadletter", NDJSON).json()["receipt"] for _ in range(2))
        assert [finished(node, receipt)["failed"] for receipt in (first, second)] == [7, 7]
        wanted = {"code": "ingest.malformed", "limit": 8}
        answer = node.http.request("POST", f"{node.url}/deadletters/replay", json=wanted).json()
        assert (answer["count"], len(answer["receipts"])) == (12, 2)
        assert [finished(node, receipt)["accepted"] for receipt in answer["receipts"]] == [6, 6]
        wanted = {"from": "start", "graph": "g", "limit": 1000}
        answer = node.http.request("POST", f"{node.url}/deadletters/replay", json=wanted).json()
        ours = [receipt for receipt in answer["receipts"] if finished(node, receipt)["accepted"] == 6]
        assert len(ours) == 2
        for query in ("code=ingest.malformed", "code=test.start"):
            node.http.request("DELETE", f"{node.url}/deadletters?{query}")

    def test_one_is_deleted(self, node: Node) -> None:
        id = failed(node)
        assert node.http.request("DELETE", f"{node.url}/deadletters/{id}").status == 204
        assert node.http.request("DELETE", f"{node.url}/deadletters/{id}").status == 404
        elsewhere = "019a0000-0000-7000-8000-000000000000-0000000000"
        for unknown, code in (("nonsense", "deadletters.not_found"), (elsewhere, "receipt.other_node")):
            assert get(node, f"/deadletters/{unknown}", 404)["code"] == code


class TestCallbacks:
    def test_the_finished_receipt_is_posted_and_signed(self, node: Node, hook: Hook) -> None:
        receipt = post(node, b"{}", f"/docs?callback=http://{hook.host}/one").json()["receipt"]
        [(signature, body)] = until(lambda: hook.taken.get("/one"), 20, "the callback")
        assert json.loads(body) == finished(node, receipt)
        moment, digest = (part.partition("=")[2] for part in signature.split(","))
        assert digest == hmac.new(b"s3cret", moment.encode() + b"." + body, "sha256").hexdigest()

    def test_it_is_tried_again(self, node: Node, hook: Hook) -> None:
        receipt = post(node, b'{"refuse": true}', f"/docs?callback=http://{hook.host}/two-later").json()["receipt"]
        until(lambda: len(hook.taken.get("/two-later", [])) == 2, 20, "the second attempt")
        assert {json.loads(body)["receipt"] for _, body in hook.taken["/two-later"]} == {receipt}


def test_keys_letters_and_callbacks_outlive_a_restart(tmp_path: Path, hook: Hook) -> None:
    (tmp_path / "refuse.py").write_text(COMPONENTS)
    (tmp_path / "secret").write_text("s3cret")
    limits = "[limits]\ndead_letter_body_bytes = 16\n"
    (tmp_path / "pypes.ini").write_text(f"[callbacks]\nhosts = {hook.host}\nsecret_file = secret\n{limits}")
    graph = {
        "pypes": 1,
        "name": "g",
        "nodes": {"json": {"component": "JSON"}, "refuse": {"component": "Refuse"}, "null": {"component": "Null"}},
        "wires": [["json.out", "refuse.in"], ["refuse.out", "null.in"]],
    }
    options: dict[str, Any] = {"workers": 2, "instances": 1}
    body = b'{"refuse": true, "title": "kept"}'
    with running(tmp_path, graph, "--load", str(tmp_path / "refuse.py"), **options) as node:
        receipt = post(node, body, f"/docs?callback=http://{hook.host}/three-later", Idempotency_Key="k").json()["receipt"]
        finished(node, receipt)
        id = get(node, f"/receipts/{receipt}/documents")["documents"][0]["deadletter"]
        until(lambda: hook.taken.get("/three-later"), 20, "the first attempt")
        node.kill()
    with running(tmp_path, graph, "--load", str(tmp_path / "refuse.py"), **options) as node:
        again = post(node, body, f"/docs?callback=http://{hook.host}/three-later", Idempotency_Key="k")
        assert again.json()["receipt"] == receipt
        assert get(node, f"/deadletters/{id}")["packet"]["fields"]["title"] == "kept"
        until(lambda: len(hook.taken["/three-later"]) >= 2, 20, "the second attempt")
        for path, body in ((f"/deadletters/{id}/replay", {"from": "start"}), ("/deadletters/replay", {"from": "start"})):
            answer = node.http.request("POST", node.url + path, json=body)
            assert (answer.status, answer.json()["code"]) == (409, "deadletters.not_kept"), answer.data
        assert get(node, f"/deadletters/{id}")["receipt"] == receipt


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b"caf\xc3\xa9", {"body": "café"}),
        (b"\xff\x00", {"body": "/wA=", "base64": True}),
        (b"x" * 70_000, {"body": "x" * 70_000}),
    ],
    ids=["text", "binary", "longer"],
)
def test_a_delivery_that_never_ran_shows_its_body(tmp_path: Path, body: bytes, shown: dict[str, Any]) -> None:
    with serving(tmp_path) as server, socket.socket(socket.AF_UNIX) as instance:
        receipt = server.post(body, **{"Content-Type": "text/plain"}).json()["receipt"]
        # nothing is looked at before there is an instance to hand it to
        instance.bind(f"{server.config.runtime_dir}/i-1.sock")
        instance.listen()
        instances = [{"id": 1, "socket": instance.getsockname()}]
        server.push("topology", **{**server.topology, "generation": 2, "instances": instances, "graphs": {}, "default": None})
        listed = until(lambda: server.get("/deadletters").json()["deadletters"], 10, "the dead letter")
        assert [(one["receipt"], one["code"], one["filter"]) for one in listed] == [(receipt, "graph.gone", "")]
        letter = server.get(f"/deadletters/{listed[0]['id']}").json()
        jsonschema_rs.validator_for(dict(deadletters.WHOLE_LETTER)).validate(letter)
        assert letter["packet"] is None
        assert letter["delivery"] == {"content_type": "text/plain", "encoding": "", "bytes": len(body), **shown}


def test_what_is_forgotten_is_gone_and_its_key_is_free(tmp_path: Path) -> None:
    (tmp_path / "pypes.ini").write_text("[limits]\nreceipts_kept = 1\n")
    nodes = {"json": {"component": "JSON"}, "null": {"component": "Null"}}
    graph = {"pypes": 1, "name": "g", "nodes": nodes, "wires": [["json.out", "null.in"]]}
    with running(tmp_path, graph, workers=1, instances=1) as node:
        first = post(node, b"{}", Idempotency_Key="k").json()["receipt"]
        assert finished(node, first)["state"] == "done"
        # a queue forgets by the thousand
        with ThreadPoolExecutor(8) as pool:
            receipts = list(pool.map(lambda n: node.post(b"{}").json()["receipt"], range(1200)))
        finished(node, max(receipts))
        until(lambda: node.post(b"{}").status == 202 and node.get(f"/receipts/{first}").status == 410, 20, "it is forgotten")
        for path in (f"/receipts/{first}", f"/receipts/{first}?wait=5", f"/receipts/{first}/documents"):
            assert get(node, path, 410)["code"] == "receipt.forgotten"
        assert post(node, b'{"another": 1}', Idempotency_Key="k").json()["receipt"] != first
