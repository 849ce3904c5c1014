"""Dead letters on a real node with two workers: whichever answers, it is the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from pypes.api import letters, receipts
from pypes.testing.node import Node
from tests.api.records import Hook, finished, get, post, recording
from tests.api.test_docs import NDJSON


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, hook: Hook) -> Iterator[Node]:
    with recording(tmp_path_factory.mktemp("deadletters"), hook) as node:
        yield node


def failed(node: Node, **fields: Any) -> str:
    """The id of the one dead letter of a document that is refused."""
    receipt = post(node, json.dumps({"refuse": True, **fields}).encode()).json()["receipt"]
    assert finished(node, receipt)["failed"] == 1
    [document] = get(node, f"/receipts/{receipt}/documents")["documents"]
    return str(document["deadletter"])


def test_one_has_all_that_is_known(node: Node) -> None:
    id = failed(node, title="x")
    letter = get(node, f"/deadletters/{id}")
    jsonschema_rs.validator_for(dict(letters.WHOLE_LETTER)).validate(letter)
    assert list(letter) == [*letters.LETTER_FIELDS, "packet", "traceback"]
    assert (letter["filter"], letter["component"], letter["code"]) == ("refuse", "Refuse", "test.refused")
    assert letter["packet"]["fields"] == {"refuse": True, "title": "x"}
    assert letter["receipt"] == id.rpartition("-")[0]
    [listed] = [one for one in get(node, "/deadletters?limit=1000")["deadletters"] if one["id"] == id]
    assert listed == {name: letter[name] for name in letters.LETTER_FIELDS}


def test_they_are_listed_and_counted_by_what_failed(node: Node) -> None:
    ids = {failed(node, code="test.counted", n=n) for n in range(6)}
    for query in ("code=test.counted", "code=test.counted&filter=refuse&graph=g&since=2020-01-01T00:00:00Z"):
        seen: list[str] = []
        after: str | None = ""
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
    # a moment parts them: none is on both sides
    parts = [get(node, f"/deadletters?code=test.counted&{side}={group['latest']}")["deadletters"] for side in ("since", "until")]
    assert sum(map(len, parts)) == 6
    assert get(node, "/deadletters?code=test.counted&until=2020-01-01T00:00:00Z")["deadletters"] == []


def test_they_are_found_by_what_their_document_is_known_by(node: Node) -> None:
    parts = "".join(
        f'--b\r\nContent-Disposition: form-data; name="f"; filename="{name}"\r\nContent-Type: application/json\r\n\r\n{text}\r\n'
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


def test_one_is_edited_and_replayed_from_its_filter(node: Node) -> None:
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


def test_an_edit_keeps_the_metadata_that_it_does_not_name(node: Node) -> None:
    wrapped = {"fields": {"refuse": True}, "meta": {"id": "kept", "acl": ["ada"], "note": "old"}}
    receipt = post(node, json.dumps(wrapped).encode(), content_type="application/vnd.pypes.packets+json").json()["receipt"]
    finished(node, receipt)
    path = f"/deadletters/{get(node, f'/receipts/{receipt}/documents')['documents'][0]['deadletter']}"
    before = get(node, path)["packet"]["meta"]
    assert (before["id"], before["acl"]) == ("kept", ["ada"])
    edits: list[Any] = [{}, {"meta": {}}, {"meta": {"note": None, "more": 1}}]
    for edit in edits:
        edited = node.http.request("PUT", node.url + path, json={"packet": {"fields": {"a": 1}, **edit}}).json()["packet"]
        assert edited == {"fields": {"a": 1}, "meta": {**before, **edit.get("meta", {})}}
    again = node.http.request("POST", f"{node.url}{path}/replay").json()["receipt"]
    assert finished(node, again)["published"] == 1


def test_a_replay_that_fails_is_a_dead_letter_again(node: Node) -> None:
    id = failed(node, title="again")
    receipt = node.http.request("POST", f"{node.url}/deadletters/{id}/replay", json={"from": "start"}).json()["receipt"]
    assert finished(node, receipt)["failed"] == 1
    [document] = get(node, f"/receipts/{receipt}/documents")["documents"]
    again = document["deadletter"]
    assert get(node, f"/deadletters/{again}")["packet"]["fields"]["title"] == "again"
    for criteria in ((), ("receipt",)):
        # from the start a document runs as it was received, and the answer says that an edit was in vain
        node.http.request("PUT", f"{node.url}/deadletters/{again}", json={"packet": {"fields": {"title": "edited"}}})
        asked = dict.fromkeys(criteria, receipt) | {"from": "start"}
        path = "/deadletters/replay" if criteria else f"/deadletters/{again}/replay"
        answer = node.http.request("POST", f"{node.url}{path}", json=asked).json()
        assert answer["edits_forgotten"] == 1
        [receipt] = answer.get("receipts", [answer.get("receipt")])
        assert finished(node, receipt)["failed"] == 1
        [document] = get(node, f"/receipts/{receipt}/documents")["documents"]
        again = document["deadletter"]
        assert get(node, f"/deadletters/{again}")["packet"]["fields"]["title"] == "again"


@pytest.mark.parametrize(
    ("packet", "where"),
    [
        ({"field": {}}, "packet.field"),
        ([], "packet"),
        ({"fields": {}, "field_meta": {"a": {"x": 1}}}, "packet.field_meta.a"),
        ({"fields": []}, "packet.fields"),
        ({"fields": {}, "meta": []}, "packet.meta"),
    ],
)
def test_a_packet_that_is_none_is_refused(node: Node, packet: Any, where: str) -> None:
    id = failed(node)
    answer = node.http.request("PUT", f"{node.url}/deadletters/{id}", json={"packet": packet})
    assert (answer.status, answer.json()["code"], answer.json()["where"]) == (422, "packet.malformed", where)
    wrong: list[Any] = [{}, {"packet": {}, "x": 1}, []]
    for body in wrong:
        assert node.http.request("PUT", f"{node.url}/deadletters/{id}", json=body).status == 400


def test_what_cannot_be_read_becomes_a_dead_letter(node: Node) -> None:
    answer = post(node, b'{"a": 1}\noops\n{"a": 2}\n', "/docs?on_error=deadletter", NDJSON).json()
    assert (answer["accepted"], answer["rejected"]) == (3, 1)
    found = finished(node, answer["receipt"])
    assert (found["published"], found["failed"]) == (2, 1)
    bad = get(node, f"/receipts/{answer['receipt']}/documents")["documents"][1]
    assert bad["outcome"] == "failed"
    letter = get(node, f"/deadletters/{bad['deadletter']}")
    jsonschema_rs.validator_for(dict(letters.WHOLE_LETTER)).validate(letter)
    assert letter["code"] == "ingest.malformed"
    assert "line 2" in letter["error"]


def test_many_are_replayed_and_deleted_by_query(node: Node) -> None:
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
    wrong: list[Any] = [{"form": "filter"}, {"from": "end"}, {"limit": 0}, {"graph": 1}, []]
    for body in wrong:
        assert node.http.request("POST", f"{node.url}/deadletters/replay", json=body).status == 400


def test_what_goes_from_the_start_is_one_delivery_for_each_receipt(node: Node) -> None:
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


def test_one_is_deleted(node: Node) -> None:
    id = failed(node)
    assert node.http.request("DELETE", f"{node.url}/deadletters/{id}").status == 204
    assert node.http.request("DELETE", f"{node.url}/deadletters/{id}").status == 404
    elsewhere = "019a0000-0000-7000-8000-000000000000-0000000000"
    for unknown, code in (("nonsense", "deadletters.not_found"), (elsewhere, "receipt.other_node")):
        assert get(node, f"/deadletters/{unknown}", 404)["code"] == code
