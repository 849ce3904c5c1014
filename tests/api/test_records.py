"""Receipts, keys and callbacks on a real node with two workers: whichever answers, it is the same."""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jsonschema_rs
import pytest

from pypes.api import receipts
from pypes.testing.node import Node, until
from tests.api.records import Hook, finished, get, post, recording
from tests.api.test_docs import NDJSON


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, hook: Hook) -> Iterator[Node]:
    with recording(tmp_path_factory.mktemp("records"), hook) as node:
        yield node


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
            "/deadletters?until=0",
            "/deadletters?until=later",
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
