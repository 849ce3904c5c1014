"""The document of a dead letter, found in the body of its delivery."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import orjson
import pytest

from pypes.core.identity import Named
from pypes.core.limits import MIB, Limits
from pypes.core.media_types import PACKETS
from pypes.ingest.deadletter import SHOWN_BYTES, Origin
from pypes.ingest.delivery import Header
from pypes.ingest.outcome import DeadLetter
from pypes.runtime.worker import posted as module
from pypes.runtime.worker.posted import posted

JSON, NDJSON, TEXT = "application/json", "application/x-ndjson", "text/plain"


def letter(*documents: int, spans: tuple[int, ...] = ()) -> DeadLetter:
    return DeadLetter("r-0", documents, "g", 1, "f", "C", "code", "error", "", 1, b"", 0.0, spans, 1, Named())


def origin(body: bytes | None, content_type: str = JSON, *, index: int | None = 0, spool: str = "", **header: Any) -> Origin:
    length = len(body or b"") or header.pop("length", 0)
    head = Header("g", content_type=content_type, length=length, **header)
    return Origin(letter() if index is None else letter(index), 0.0, head, body, spool)


def fields(found: Origin) -> Any:
    told = posted(found, Limits())
    assert told.reason == ""
    return orjson.loads(told.packet)["fields"]


LINES = b'{"n": 0}\n{"n": 1}\n{"n": 2}\n'


@pytest.mark.parametrize("index", [0, 2])
def test_a_document_of_several_is_found_by_its_ordinal(index: int) -> None:
    assert fields(origin(LINES, NDJSON, documents=3, index=index)) == {"n": index}
    assert fields(origin(b'[{"n": 0}, {"n": 1}, {"n": 2}]', documents=3, index=index)) == {"n": index}
    assert fields(origin(gzip.compress(LINES), NDJSON, encoding="gzip", documents=3, index=index)) == {"n": index}


def test_a_part_of_a_delivery_counts_within_that_part() -> None:
    assert fields(origin(LINES, NDJSON, documents=2, only=(0, 2), index=1)) == {"n": 2}


def test_what_could_not_be_read_is_its_text() -> None:
    found = origin(b'{"n": 0}\n{"n": \n', NDJSON, documents=2, is_lenient=True, index=1)
    assert fields(found) == {"data": '{"n": '}


def test_text_is_text_and_all_else_is_base64() -> None:
    assert fields(origin("café".encode(), TEXT)) == {"data": "café"}
    told = posted(origin(b"\xff\x00", "application/pdf"), Limits())
    packet = orjson.loads(told.packet)
    assert (packet["fields"], packet["field_meta"]) == ({"data": "/wA="}, {"data": {"pypes": {"base64": True}}})
    assert (told.content_type, told.encoding, told.size, told.start) == ("application/pdf", "", 2, "")
    assert packet["meta"]["mimetype"] == "application/pdf"


def test_of_a_replay_it_is_the_packet_with_which_it_began() -> None:
    body = b'{"fields": {"n": 1}, "meta": {"made": "x"}}'
    told = posted(origin(body, PACKETS, start="upper", replays="r-1"), Limits())
    assert (told.start, orjson.loads(told.packet)["fields"]) == ("upper", {"n": 1})


def test_a_body_in_a_file_is_read_there(tmp_path: Path) -> None:
    path = tmp_path / "spooled"
    path.write_bytes(LINES)
    assert fields(origin(None, NDJSON, documents=3, index=1, spool=str(path), length=len(LINES))) == {"n": 1}
    path.write_bytes(b"text")
    assert fields(origin(None, TEXT, spool=str(path), length=4)) == {"data": "text"}
    path.unlink()
    told = posted(origin(None, TEXT, spool=str(path), length=4), Limits())
    assert (told.packet, told.reason) == (b"", "the body is gone: the dead letter was replayed or deleted meanwhile")


def test_the_first_of_many_failures_stands_for_them() -> None:
    head = Header("g", content_type=NDJSON, documents=3)
    assert fields(Origin(letter(spans=(1, 2)), 0.0, head, LINES)) == {"n": 1}


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (origin(None), "the body is not kept"),
        (Origin(letter(0), 0.0, None, b"x"), "the body is not kept"),
        (origin(LINES, NDJSON, documents=3, index=None), "the dead letter stands for all 3 documents"),
        (origin(b"x" * (SHOWN_BYTES + 1), TEXT), "larger than 1048576 bytes"),
        (origin(b'{"n": "%b"}' % (b"x" * SHOWN_BYTES)), "larger than 1048576 bytes"),
        (origin(LINES, NDJSON, documents=9, index=8), "fewer documents"),
        (origin(b"no gzip", NDJSON, encoding="gzip"), "the body cannot be read"),
        (origin(b"", JSON, index=0), "the body cannot be read"),
    ],
)
def test_what_cannot_be_told_says_why(found: Origin, reason: str) -> None:
    told = posted(found, Limits())
    assert told.packet == b""
    assert reason in told.reason


def test_it_is_not_looked_for_too_far_into_a_body(monkeypatch: pytest.MonkeyPatch) -> None:
    # more than is inflated at once
    monkeypatch.setattr(module, "MOST_BYTES", 9 * MIB)
    pad = bytes(range(48, 58)) * 5000
    body = gzip.compress(b"\n".join(b'{"n": %d, "pad": "%b"}' % (n, pad) for n in range(300)), 1)
    limits = Limits(decompressed_ratio=10_000)
    assert posted(origin(body, NDJSON, encoding="gzip", documents=300, index=0), limits).packet
    told = posted(origin(body, NDJSON, encoding="gzip", documents=300, index=299), limits)
    assert (told.packet, told.reason[:32]) == (b"", "the document lies too far behind")
    monkeypatch.setattr(module, "MOST_S", -1.0)
    told = posted(origin(LINES * 1000, NDJSON, documents=3000, index=2999), Limits())
    assert "too far behind" in told.reason
