"""Documents in binary forms, over HTTP: accepted, refused, dead letters and their replays as of JSON."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest
from click.testing import CliRunner

from pypes.cli.feed import feed
from pypes.core.media_types import PACKETS
from pypes.packet import Packet
from pypes.protobuf import body_of
from pypes.testing.node import Node, running
from tests.api.records import COMPONENTS, finished, get, post

MSGPACK = "application/msgpack"
PROTOBUF = "application/x-protobuf"
NAN = msgpack.packb(float("nan"))


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    base = tmp_path_factory.mktemp("binary")
    (base / "refuse.py").write_text(COMPONENTS)
    (base / "pypes.ini").write_text("[observe]\nredact = password\n")
    graph = {
        "pypes": 1,
        "name": "g",
        "nodes": {
            "json": {"component": "JSON"},
            "refuse": {"component": "Refuse"},
            "lines": {"component": "JSONLines", "params": {"path": "out.jsonl", "form": "packet"}},
        },
        "wires": [["json.out", "refuse.in"], ["refuse.out", "lines.in"]],
    }
    ordered = {**graph, "name": "ordered", "routes": ["ordered"], "order_by": "id"}
    ordered["nodes"] = {"json": {"component": "JSON"}, "null": {"component": "Null"}}
    ordered["wires"] = [["json.out", "null.in"]]
    (base / "graphs").mkdir()
    (base / "graphs" / "ordered.json").write_text(json.dumps(ordered))
    with running(base, graph, "--load", str(base / "refuse.py"), workers=2, instances=1) as node:
        yield node
        assert "Traceback" not in node.log()


def published(node: Node, receipt: str) -> list[dict[str, Any]]:
    """The packets that were published of a delivery, in the order of their documents."""
    lines = [json.loads(line) for path in node.base.rglob("out.jsonl") for line in path.read_text().splitlines()]
    return [line for line in lines if line["meta"]["receipt"] == receipt]


def accepted(node: Node, body: bytes, path: str = "/docs", **headers: str) -> tuple[str, int]:
    answer = post(node, body, path, MSGPACK, **headers)
    assert answer.status == 202, answer.data
    return answer.json()["receipt"], answer.json()["accepted"]


def test_bytes_alone_arrive(node: Node) -> None:
    receipt, _ = accepted(node, msgpack.packb({"data": b"\xff"}))
    assert finished(node, receipt)["published"] == 1
    assert published(node, receipt)[0]["fields"] == {"data": "/w=="}


ADA = {"id": "ada", "born": 1815, "tags": ["a", {"b": None}], "portrait": b"\x89PNG"}


@pytest.mark.parametrize("body", [msgpack.packb([ADA, {"n": 1}]), msgpack.packb(ADA) + msgpack.packb({"n": 1})])
def test_documents_arrive_as_they_were_sent(node: Node, body: bytes) -> None:
    for sent, headers in ((body, {}), (gzip.compress(body), {"Content_Encoding": "gzip"})):
        receipt, count = accepted(node, sent, **headers)
        assert (count, finished(node, receipt)["published"]) == (2, 2)
        one, other = published(node, receipt)
        assert one["fields"] == {**ADA, "portrait": "iVBORw=="}
        assert one["field_meta"] == {"portrait": {"pypes": {"base64": True}}}
        assert (other["fields"], other["meta"]["index"]) == ({"n": 1}, 1)
        assert {each["meta"]["mimetype"] for each in (one, other)} == {"application/json"}


def test_a_large_body_is_streamed(node: Node) -> None:
    body = msgpack.packb({"text": "x" * 1000}) * 3000
    receipt, count = accepted(node, body, Content_Type=MSGPACK)
    assert (count, finished(node, receipt)["published"]) == (3000, 3000)


def test_a_file_of_a_form_and_one_by_its_name(node: Node, tmp_path: Path) -> None:
    part = b'--XX\r\nContent-Disposition: form-data; name="f"; filename="%b"\r\n%b\r\n'
    body = b"".join(
        (
            part % (b"a.msgpack", b"") + msgpack.packb([{"n": 1}, {"n": 2}]) + b"\r\n",
            part % (b"b.bin", b"Content-Type: application/vnd.msgpack\r\n") + msgpack.packb({"n": 3}) + b"\r\n--XX--",
        )
    )
    answer = post(node, body, "/docs", "multipart/form-data; boundary=XX")
    assert answer.status == 202, answer.data
    assert finished(node, answer.json()["receipt"])["published"] == 3
    assert [line["fields"]["n"] for line in published(node, answer.json()["receipt"])] == [1, 2, 3]
    (tmp_path / "c.msgpack.gz").write_bytes(gzip.compress(msgpack.packb({"n": 4}) * 5))
    (tmp_path / "d.mpk").write_bytes(msgpack.packb({"n": 5}))
    found = CliRunner().invoke(feed, [node.url, str(tmp_path), "--wait"])
    assert found.exit_code == 0, found.output
    assert found.output.splitlines()[-1].split() == ["all", "2", "0", "6", "6", "0", "0"]


def test_route_and_id_come_from_the_address(node: Node) -> None:
    receipt, _ = accepted(node, msgpack.packb({"n": 1}), "/docs/people/ada", Pypes_Meta_Source="archive")
    finished(node, receipt)
    [line] = published(node, receipt)
    assert {name: line["meta"][name] for name in ("route", "id", "source")} == {
        "route": "people",
        "id": "ada",
        "source": "archive",
    }
    answer = post(node, msgpack.packb([{}, {}]), "/docs/people/ada", MSGPACK)
    assert (answer.status, answer.json()["code"]) == (400, "ingest.several_documents")


@pytest.mark.parametrize(
    ("body", "status", "code", "where"),
    [
        (b"\x80\x81\xa1a" + NAN, 400, "ingest.number", "document 2, byte 4 (a)"),
        (b"\x80\x81\x01\x02", 400, "ingest.malformed", "document 2, byte 2"),
        (b"\x80\x81\xa1a", 400, "ingest.malformed", "document 2, byte 4"),
        (b"\x81\xa1a" + b"\x91" * 60_000, 400, "ingest.too_deep", "document 1, byte 202"),
        (b"\x81\xa1a\xdd\xff\xff\xff\xff", 400, "ingest.malformed", "document 1, byte 8"),
        (b"\x90", 400, "ingest.not_documents", None),
        (b"", 400, "ingest.empty", None),
    ],
)
def test_a_faulty_body_is_refused_as_a_whole(node: Node, body: bytes, status: int, code: str, where: str | None) -> None:
    answer = post(node, body, "/docs", MSGPACK)
    assert (answer.status, answer.json()["code"], answer.json().get("where")) == (status, code, where), answer.data


def test_what_cannot_be_read_becomes_a_dead_letter_where_that_is_asked_for(node: Node) -> None:
    bad = b"\x82\xa8password\xa6geheim\xa1a" + NAN
    body = b"\x80" + bad + msgpack.packb({"n": 2})
    answer = post(node, body, "/docs?on_error=deadletter", MSGPACK)
    assert {name: answer.json()[name] for name in ("accepted", "rejected")} == {"accepted": 3, "rejected": 1}
    receipt = answer.json()["receipt"]
    found = finished(node, receipt)
    assert (found["published"], found["failed"]) == (2, 1)
    [letter] = get(node, f"/deadletters?receipt={receipt}")["deadletters"]
    assert (letter["code"], letter["document"]["index"]) == ("ingest.number", 1)
    assert "document 2, byte 20 (a)" in letter["error"]
    whole = get(node, f"/deadletters/{letter['id']}")
    assert whole["packet"]["fields"] == {"data": "(hidden)"}
    assert get(node, f"/deadletters/{letter['id']}/posted")["packet"]["fields"] == {"data": "(hidden)"}
    assert b"geheim" not in json.dumps(whole).encode()


def test_a_dead_letter_is_shown_and_runs_again(node: Node) -> None:
    body = msgpack.packb([{"n": 1}, {"n": 2, "refuse": True, "password": "geheim", "raw": b"\x00"}])
    receipt, _ = accepted(node, body)
    assert finished(node, receipt)["failed"] == 1
    [letter] = get(node, f"/deadletters?receipt={receipt}")["deadletters"]
    shown = {"n": 2, "refuse": True, "password": "(hidden)", "raw": "AA=="}
    assert get(node, f"/deadletters/{letter['id']}/posted")["packet"]["fields"] == shown
    assert get(node, f"/deadletters/{letter['id']}")["packet"]["fields"] == shown
    replay = post(node, b'{"from": "start"}', f"/deadletters/{letter['id']}/replay").json()["receipt"]
    assert finished(node, replay)["failed"] == 1
    [again] = get(node, f"/deadletters?receipt={replay}")["deadletters"]
    node.http.request("PUT", f"{node.url}/deadletters/{again['id']}", json={"packet": {"fields": {**shown, "refuse": False}}})
    replay = post(node, b'{"from": "filter"}', f"/deadletters/{again['id']}/replay").json()["receipt"]
    assert finished(node, replay)["published"] == 1
    [line] = published(node, replay)
    assert line["fields"] == {"n": 2, "refuse": False, "password": "geheim", "raw": "AA=="}


def test_a_message_says_all_that_a_packet_says(node: Node) -> None:
    packet = Packet({**ADA, "pair": ["a", ["b"]]}, {"source": "archive"})
    packet.set("one", ["a"], multi=True)
    packet.set_meta("language", "en", "born")
    other = Packet({"n": 2**64 - 1, "score": -0.5}, {"id": "n"})
    answer = post(node, body_of([packet, other]), "/docs", PROTOBUF)
    receipt = answer.json()["receipt"]
    assert finished(node, receipt)["published"] == 2
    one, two = published(node, receipt)
    assert (one["fields"], one["field_meta"]) == (packet.to_json()["fields"], packet.to_json()["field_meta"])
    assert (one["meta"]["source"], one["meta"]["mimetype"]) == ("archive", PACKETS)
    assert (two["fields"], two["meta"]["id"]) == ({"n": 2**64 - 1, "score": -0.5}, "n")


def test_a_message_deletes(node: Node) -> None:
    answer = post(node, body_of([Packet({}, {"id": "ada", "requestmethod": "DELETE"})]), "/docs", PROTOBUF)
    assert finished(node, answer.json()["receipt"])["published"] == 1
    [line] = published(node, answer.json()["receipt"])
    assert (line["meta"]["id"], line["meta"]["requestmethod"]) == ("ada", "DELETE")


def test_messages_are_treated_as_other_bodies(node: Node, tmp_path: Path) -> None:
    refused = Packet({"refuse": True, "password": "geheim"})
    unreadable = b"\x0a\x0e\x0a\x0c\x0a\x08password\x12\x03"
    answer = post(
        node, body_of([Packet({"n": 1}), refused]) + unreadable[:-3] + b"\x03\x03\x03", "/docs?on_error=deadletter", PROTOBUF
    )
    assert answer.json()["rejected"] == 1, answer.data
    receipt = answer.json()["receipt"]
    found = finished(node, receipt)
    assert (found["published"], found["failed"]) == (1, 2)
    letters = get(node, f"/deadletters?receipt={receipt}")["deadletters"]
    posted = {letter["code"]: get(node, f"/deadletters/{letter['id']}/posted")["packet"]["fields"] for letter in letters}
    assert posted == {"test.refused": {"refuse": True, "password": "(hidden)"}, "ingest.malformed": {"data": "(hidden)"}}
    answer = post(node, body_of([Packet({"n": 1})]) + unreadable, "/docs", PROTOBUF)
    assert (answer.status, answer.json()["where"]) == (400, "document 2, byte 25 (fields)")
    assert post(node, body_of([Packet({"id": "a"})]), "/docs/ordered", PROTOBUF).status == 202
    assert post(node, body_of([Packet({"n": 1})]), "/docs/ordered", PROTOBUF).json()["code"] == "order.id_missing"
    sent = gzip.compress(body_of([Packet({"n": n}) for n in range(3000)]))
    answer = post(node, sent, "/docs", PROTOBUF, Content_Encoding="gzip")
    assert finished(node, answer.json()["receipt"])["published"] == 3000
    (tmp_path / "a.pb").write_bytes(body_of([Packet({"n": n}) for n in range(3)]))
    result = CliRunner().invoke(feed, [node.url, str(tmp_path), "--wait"])
    assert result.output.splitlines()[-1].split() == ["application/x-protobuf", "1", "0", "3", "3", "0", "0"], result.output


def test_an_ordered_graph_wants_ids(node: Node) -> None:
    assert accepted(node, msgpack.packb([{"id": "a"}, {"id": 7}]), "/docs/ordered")[1] == 2
    answer = post(node, msgpack.packb([{"id": "a"}, {}]), "/docs/ordered", MSGPACK)
    assert (answer.status, answer.json()["code"], answer.json()["where"]) == (422, "order.id_missing", "document 2")


def test_a_repeated_post_is_known_by_its_key(node: Node) -> None:
    body = msgpack.packb({"n": 1})
    first = accepted(node, body, Idempotency_Key="binary-1")
    assert accepted(node, body, Idempotency_Key="binary-1") == first
    assert post(node, body + body, "/docs", MSGPACK, Idempotency_Key="binary-1").status == 409


def test_the_interface_names_the_types(node: Node) -> None:
    bodies = get(node, "/openapi.json")["paths"]["/docs"]["post"]["requestBody"]["content"]
    assert {MSGPACK, PROTOBUF, PACKETS} <= {*bodies}
