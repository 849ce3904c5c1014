"""Webhook against a real server: whole documents, signatures, keys, order, and what each answer leads to."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from pypes import Packet, Pipeline, Unreachable, component
from pypes.testing import ComponentSuite, PublisherSuite, run_component
from pypes.testing.node import free_port
from pypes_basic.log_lines import fold
from pypes_basic.records import Record, Shape, record_of
from pypes_stores.webhook import Webhook

from .receiver import Receiver, receiver


@pytest.fixture
def server() -> Iterator[Receiver]:
    with receiver() as state:
        yield state


class TestWebhook(ComponentSuite, PublisherSuite):
    component = Webhook
    counts_removed = False

    @pytest.fixture(autouse=True)
    def _server(self, server: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
        self.server = server
        monkeypatch.setattr(type(self), "environ", {"SITE": server.url, "SECRET": "whsec_c2VjcmV0"})

    def make(self) -> Webhook:
        made = Webhook()
        made.configure({"url": self.server.url})
        return made

    def parameters(self, folder: Path) -> Mapping[str, Any]:
        return {"url": self.server.url + _path(folder)}

    def seen(self, folder: Path) -> Iterable[tuple[str, str | None, str, str]]:
        return told(self.server.messages(_path(folder)))


class TestBatches(TestWebhook):
    """The same with several messages in a request."""

    def parameters(self, folder: Path) -> Mapping[str, Any]:
        return {**super().parameters(folder), "batch": 10}


def told(messages: Iterable[dict[str, Any]]) -> list[tuple[str, str | None, str, str]]:
    """What messages come to, by the rules of a log."""
    lines: list[dict[str, Any]] = []
    for message in messages:
        of = {"document": message["id"] and message["id"].replace("\\u0000", "\x00"), "route": message["route"]}
        of["version"] = message["version"]
        lines += [{**of, **part} for part in message["parts"]]
        lines += [{**of, "complete": True}] if message["whole"] else []
    found = fold(json.dumps(line).encode() + b"\n" for line in lines)
    return [(line["route"], line["document"], line["part"], line["fields"]["text"]) for line in found]


def _path(folder: Path) -> str:
    return "/" + hashlib.sha256(str(folder).encode()).hexdigest()


def versioned(receipt: str, fields: dict[str, Any] | None = None, **meta: Any) -> Packet:
    return Packet(fields, {"id": "a", "route": "docs", "receipt": receipt, "run": 1, **meta})


def push(url: str, *packets: Packet, **params: Any) -> list[tuple[str, str]]:
    """Run packets in a pipeline, as a delivery; returns the codes and reasons of dead letters."""
    publisher = Webhook()
    publisher.configure({"url": url, **params})
    with Pipeline(publisher) as pipeline:
        pipeline.push(packets)
        return [(letter.code, letter.reason) for letter in pipeline.dead_letters]


def push_rows(url: str, packet: Packet, rows: list[dict[str, Any]], **params: Any) -> list[tuple[str, str]]:
    """The same for a document that is split on the way."""

    @component(name="Rows")
    def split(packet: Packet) -> Iterator[Packet]:
        for number, fields in enumerate(rows, 1):
            yield packet.derive("row", number, fields)

    publisher = Webhook()
    publisher.configure({"url": url, **params})
    with Pipeline(split, publisher) as pipeline:
        pipeline.push([packet])
        return [(letter.code, letter.reason) for letter in pipeline.dead_letters]


def test_a_document_is_one_message_with_all_of_its_parts(server: Receiver) -> None:
    packet = versioned("1", {"title": "Ada"}, filename="a.csv", team="looms", acl=["staff"])
    assert push_rows(server.url, packet, [{"n": 1}, {"n": 2}], keep=["team"]) == []
    (message,) = server.messages()
    assert len(message.pop("key")) == len(message.pop("document")) == 32
    meta = {"filename": "a.csv", "team": "looms", "route": "docs", "receipt": "1"}
    assert message == {
        **{"route": "docs", "id": "a", "version": "1/0000000/0000000000000001", "whole": True, "deleted": False},
        "parts": [{"part": f"row={n}", "fields": {"n": n}, "meta": meta, "acl": ["staff"]} for n in (1, 2)],
    }


def test_a_deletion_is_a_message(server: Receiver) -> None:
    push(server.url, versioned("1", {"n": 1}))
    push(server.url, versioned("2", requestmethod="DELETE"))
    assert [(each["id"], each["whole"], each["deleted"], len(each["parts"])) for each in server.messages()] == [
        ("a", True, False, 1),
        ("a", True, True, 0),
    ]


@pytest.mark.parametrize(("secret", "key"), [("whsec_c2VjcmV0", b"secret"), ("secret", b"secret"), ("whsec_?", b"whsec_?")])
def test_requests_are_signed(server: Receiver, secret: str, key: bytes) -> None:
    push(server.url, versioned("1", {"text": "\u00e9"}), secret=secret)
    (request,) = server.taken
    signed = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + request.body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert request.headers["webhook-signature"] == f"v1,{expected}"
    assert request.headers["idempotency-key"] == request.headers["webhook-id"] == request.messages[0]["key"]


def test_without_a_secret_nothing_is_signed(server: Receiver) -> None:
    push(server.url, versioned("1"), headers={"Authorization": "Bearer x"})
    assert "webhook-signature" not in server.taken[0].headers
    assert server.taken[0].headers["authorization"] == "Bearer x"


def test_a_document_that_comes_again_after_a_crash_has_the_same_key(server: Receiver) -> None:
    for run in (1, 2):
        push(server.url, versioned("1", {"n": 1}, run=run))
    push(server.url, versioned("1", {"n": 2}, run=3))
    push(server.url, versioned("2", {"n": 1}))
    first, again, changed, newer = [message["key"] for message in server.messages()]
    assert first == again
    assert len({first, changed, newer}) == 3


def test_versions_of_a_document_come_in_their_order(server: Receiver) -> None:
    packets = [versioned("1", {"n": n}, id=id, index=n) for n in range(40) for id in ("a", "b")]
    assert push(server.url, *packets, batch=7) == []
    for id in ("a", "b"):
        assert [each["parts"][0]["fields"]["n"] for each in server.messages() if each["id"] == id] == list(range(40))
    assert max(len(request.messages) for request in server.taken) == 7


def test_a_large_document_comes_in_several_messages(server: Receiver) -> None:
    assert push_rows(server.url, versioned("1"), [{"text": "x" * 1000}] * 10, max_bytes=4000) == []
    messages = server.messages()
    assert [message["whole"] for message in messages] == [False] * (len(messages) - 1) + [True]
    assert len({message["key"] for message in messages}) == len(messages) > 2
    assert max(len(request.body) for request in server.taken) < 4000
    assert len(told(messages)) == 10


@pytest.mark.parametrize("batch", [1, 10])
def test_a_document_that_is_refused_fails_alone(server: Receiver, batch: int) -> None:
    server.refused = "poison"
    packets = [versioned("1", {"text": text}, id=text, index=n) for n, text in enumerate(["a", "poison", "c"])]
    assert push(server.url, *packets, batch=batch) == [("webhook.status", "the receiver answered 422 not so")]
    assert {row[1] for row in told(server.messages())} == {"a", "c"}


@pytest.mark.parametrize("status", [301, 401, 404, 410, 429, 502, 503, 504])
def test_a_receiver_that_cannot_now_is_waited_for(server: Receiver, status: int) -> None:
    server.answers = [(status, {"retry-after": "0"})] * 2
    assert push(server.url, versioned("1", {"text": "x"})) == []
    assert len(server.came) == 3
    assert len({request.headers["webhook-id"] for request in server.came}) == 1


@pytest.mark.parametrize("status", [408, 409, 500])
def test_what_may_be_over_is_tried_a_few_times(server: Receiver, status: int) -> None:
    server.answers = [(status, {})] * 2
    assert push(server.url, versioned("1", {"text": "x"})) == []
    server.answers = [(status, {})] * 50
    assert [code for code, _ in push(server.url, versioned("2", {"text": "x"}))] == ["retry.exhausted"]


def test_the_wait_is_that_which_the_receiver_asks_for(server: Receiver) -> None:
    server.answers = [(503, {"retry-after": "7"})]
    publisher = Webhook()
    publisher.configure({"url": server.url})
    publisher.setup()
    try:
        record = record_of(versioned("1", {"text": "x"}), Shape("", "", "", 0, ""), Counter())
        assert isinstance(record, Record)
        with pytest.raises(Unreachable, match="503 not so") as raised:
            publisher.write([record], [])
        assert raised.value.delay_s == 7.0
    finally:
        publisher.teardown()


def test_a_connection_that_breaks_after_the_work_doubles_nothing(server: Receiver) -> None:
    server.drops = 1
    assert [code for code, _ in attempt(server.url)] == ["component.raised"]
    assert attempt(server.url) == []
    first, again = server.taken
    assert first.headers["idempotency-key"] == again.headers["idempotency-key"]


def test_a_receiver_that_does_not_answer_in_time_is_waited_for(server: Receiver) -> None:
    server.hangs = 1
    (letter,) = attempt(server.url, timeout_s=0.2)
    assert letter[0] == "component.raised"
    assert "Read timed out" in letter[1]


def test_a_receiver_that_is_not_there_is_waited_for() -> None:
    (letter,) = attempt(f"http://127.0.0.1:{free_port()}")
    assert letter[0] == "component.raised"
    assert "Connection refused" in letter[1]


def attempt(url: str, **params: Any) -> list[tuple[str, str]]:
    """One attempt: in a test nothing rests, so an outage is a dead letter."""
    result = run_component(Webhook, [versioned("1", {"text": "x"})], url=url, **params)
    return [(letter.code, letter.error) for letter in result.dead_letters]
