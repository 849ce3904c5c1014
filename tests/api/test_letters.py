"""Dead letters as they are answered, and what becomes of them when somebody edits what was shown."""

from __future__ import annotations

import asyncio
import gzip
from typing import Any

import orjson
import pytest

from pypes.api.letters import AT_ONCE_BYTES, edited, whole
from pypes.core.secrets import Secrets
from pypes.errors import InvalidInput
from pypes.ingest.deadletter import SHOWN_BYTES, KeptLetter
from pypes.ingest.outcome import DeadLetter
from pypes.observe.hiding import HIDDEN, Hiding

HIDING = Hiding(["password"], Secrets({"correct-horse": "${KEY}"}))
PACKET: dict[str, Any] = {
    "fields": {"password": "geheim", "text": "with correct-horse", "n": 1},
    "meta": {"id": "a", "password": "geheim"},
}


def letter(packet: Any = None) -> DeadLetter:
    data = b"" if packet is None else orjson.dumps(packet)
    return DeadLetter("r-0", (0,), "g", 1, "f", "C", "code", "error", "traceback", 1, data, 0.0)


def shown(kept: KeptLetter) -> Any:
    return orjson.loads(asyncio.run(whole(kept, HIDING)))


@pytest.mark.parametrize("size", [1, AT_ONCE_BYTES])
def test_a_packet_is_shown_without_what_is_hidden(size: int) -> None:
    found = shown(KeptLetter(letter({**PACKET, "fields": {**PACKET["fields"], "long": "x" * size}})))
    assert found["packet"] == {
        "fields": {"password": HIDDEN, "text": "with ${KEY}", "n": 1, "long": "x" * size},
        "meta": {"id": "a", "password": HIDDEN},
    }
    assert "delivery" not in found


@pytest.mark.parametrize(
    ("body", "encoding", "said"),
    [
        (b'{"password": "geheim"}', "", {"body": '{"password": "(hidden)"}'}),
        (gzip.compress(b'{"password": "geheim"}'), "gzip", {"body": '{"password": "(hidden)"}'}),
        (gzip.compress(b"\xff"), "gzip", {"body": "/w==", "base64": True}),
        (gzip.compress(b"x" * (SHOWN_BYTES + 1)), "gzip", {"body": None}),
        (b"no gzip", "gzip", {"body": None}),
        (b"\xff", "", {"body": "/w==", "base64": True}),
        (None, "", {"body": None}),
    ],
)
def test_a_body_is_shown_without_what_is_hidden(body: bytes | None, encoding: str, said: dict[str, Any]) -> None:
    kept = KeptLetter(letter(), has_body=True, body=body, content_type="application/json", encoding=encoding, size=7)
    about = {"content_type": "application/json", "encoding": encoding, "bytes": 7}
    assert shown(kept)["delivery"] == {**about, **said}
    assert shown(KeptLetter(letter()))["delivery"] is None


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"\x81\xa8password\xa6geheim", {"body": '{"fields": {"password": "(hidden)"}, "meta": {}, "field_meta": {}}'}),
        (
            b"\x81\xa4text\xc4\x01a",
            {"body": '{"fields":{"text":"YQ=="},"meta":{},"field_meta":{"text":{"pypes":{"base64":true}}}}'},
        ),
        (b"\x81\xa8password\xa6geheim\xc1", {"body": None}),
    ],
)
def test_a_binary_body_is_shown_in_words(body: bytes, said: dict[str, Any]) -> None:
    kept = KeptLetter(letter(), has_body=True, body=body, content_type="application/msgpack", size=7)
    assert shown(kept)["delivery"] == {"content_type": "application/msgpack", "encoding": "", "bytes": 7, **said}


def test_a_binary_document_that_cannot_be_read_is_hidden_where_names_are() -> None:
    packet = {
        "fields": {"data": "gaEB"},
        "meta": {"mimetype": "application/msgpack"},
        "field_meta": {"data": {"pypes": {"base64": True}}},
    }
    kept = letter(packet)
    form = shown(KeptLetter(kept))["packet"]
    assert form["fields"] == {"data": HIDDEN}
    assert edited(form, kept, HIDING) == packet
    assert Hiding().packet(packet) == packet


def test_what_was_hidden_stays_when_somebody_edits_the_rest() -> None:
    kept = letter(PACKET)
    form = shown(KeptLetter(kept))["packet"]
    assert edited(form, kept, HIDING) == PACKET
    form["fields"]["n"] = 2
    del form["meta"]
    assert edited(form, kept, HIDING) == {**PACKET, "fields": {**PACKET["fields"], "n": 2}}
    assert edited({"fields": {"password": "new"}}, kept, HIDING)["fields"] == {"password": "new"}
    assert edited({"fields": {"a": 1}}, letter(), HIDING) == {"fields": {"a": 1}}
    with pytest.raises(InvalidInput) as raised:
        edited({"fields": {"password": HIDDEN}}, letter(), HIDING)
    assert (raised.value.code, raised.value.where) == ("packet.hidden", "fields.password")
    assert edited("no packet", kept, HIDING) == "no packet"
