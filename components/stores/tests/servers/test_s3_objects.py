"""S3Objects against a server with the protocol of S3: keys, contents, what fails alone and what is waited for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest

from pypes import Packet, Pipeline
from pypes.core.secrets import Secrets
from pypes.errors import ComponentError, InvalidInput
from pypes.testing import ComponentSuite, run_component
from pypes.testing.node import free_port
from pypes_stores.s3_objects import S3Objects
from tests.needed import library

from .s3_bucket import Bucket, described
from .s3_gate import Gate, gate

library("obstore", "pypes-stores[s3]")

pytestmark = pytest.mark.servers

#: Publishes packets with these parameters; returns the codes and reasons of dead letters.
Publish = Callable[..., list[tuple[str, str]]]


@pytest.fixture
def bucket(s3: str, request: pytest.FixtureRequest) -> Bucket:
    return Bucket(s3, request.node.nodeid)


@pytest.fixture
def before(s3: str) -> Iterator[Gate]:
    with gate(s3) as state:
        yield state


def publisher(bucket: Bucket, **params: Any) -> S3Objects:
    made = S3Objects()
    made.configure({"url": bucket.url, "options": bucket.options, **params})
    return made


@pytest.fixture
def publish(bucket: Bucket) -> Publish:
    def run(*packets: Packet, **params: Any) -> list[tuple[str, str]]:
        return [(letter.code, letter.error) for letter in run_component(publisher(bucket, **params), packets).dead_letters]

    return run


def versioned(receipt: str, fields: dict[str, Any] | None = None, **meta: Any) -> Packet:
    """A document that had no id when it was posted: nobody tells when it is complete."""
    return Packet(fields, {"id": "a", "route": "docs", "receipt": receipt, **meta})


class TestS3Objects(ComponentSuite):
    component = S3Objects

    @pytest.fixture(autouse=True)
    def _bucket(self, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
        environ = {"BUCKET": bucket.url, "S3": bucket.options["endpoint"], "KEY": "key", "SECRET": "word"}
        monkeypatch.setattr(type(self), "environ", environ)
        self.bucket = bucket

    def make(self) -> S3Objects:
        return publisher(self.bucket)


def test_a_document_is_an_object_of_json(bucket: Bucket, publish: Publish) -> None:
    packet = versioned(
        "1", {"title": "Ada", "n": 1, "data": b"\x00\x01"}, id="people/ada b\u00e9", filename="ada.txt", acl=["staff"]
    )
    assert publish(packet, key="{route}/{id}.json") == []
    (key,) = bucket.keys()
    assert key == "docs/people/ada b\u00e9.json"
    found = bucket.get(key)
    assert found is not None
    assert orjson.loads(found.data) == {
        **{"route": "docs", "id": "people/ada b\u00e9", "part": "", "version": "1/0000000/0000000000000000", "acl": ["staff"]},
        "fields": {"title": "Ada", "n": 1, "data": "(2 bytes)"},
        "meta": {"filename": "ada.txt", "route": "docs", "receipt": "1"},
    }
    assert found.meta["content-type"] == "application/json"
    assert described(found.meta, "route", "id", "version", "state", "parts") == {
        **{"route": "docs", "id": "people/ada b\u00e9", "version": "1/0000000/0000000000000000"},
        **{"state": "whole", "parts": "no"},
    }


def test_a_new_document_takes_two_requests(bucket: Bucket, before: Gate) -> None:
    options = {**bucket.options, "endpoint": before.url}
    with Pipeline(publisher(bucket, options=options)) as pipeline:
        before.came.clear()
        pipeline.push([versioned("1", {"text": "one"})])
        assert [method for method, _ in before.came] == ["HEAD", "PUT"]
        before.came.clear()
        pipeline.push([versioned("2", {"text": "two"})])
        assert [method for method, _ in before.came] == ["HEAD", "PUT"]


def test_bytes_and_texts_are_objects_as_they_are(bucket: Bucket, publish: Publish) -> None:
    pdf = Packet({"data": b"%PDF\x00", "text": "Ad\u00e4"}, {"id": "a.pdf", "mimetype": "application/pdf", "acl": ["st\u00e4ff"]})
    assert publish(pdf, body="data", key="{id}") == []
    found = bucket.get("a.pdf")
    assert found is not None
    assert (found.data, found.meta["content-type"]) == (b"%PDF\x00", "application/pdf")
    assert orjson.loads(described(found.meta, "acl")["acl"]) == ["st\u00e4ff"]
    assert publish(pdf, body="text", key="text/{id}.txt") == []
    found = bucket.get("text/a.pdf.txt")
    assert found is not None
    assert (found.data.decode(), found.meta["content-type"]) == ("Ad\u00e4", "text/plain; charset=utf-8")
    assert publish(pdf, body="text", key="text/{id}.md", content_type="text/markdown") == []
    found = bucket.get("text/a.pdf.md")
    assert found is not None
    assert found.meta["content-type"] == "text/markdown"


def test_a_document_without_a_body_fails_alone(bucket: Bucket, publish: Publish) -> None:
    packets = [
        Packet({"id": "a", "data": b"1"}),
        Packet({"id": "b"}),
        Packet({"id": "c", "data": 3}),
        Packet({"id": "d", "data": b"4"}),
    ]
    letters = publish(*packets, body="data", key="{id}")
    assert [code for code, _ in letters] == ["s3.no_body"] * 2
    assert letters[0][1].startswith("field 'data' is missing, and an object is made of bytes or text")
    assert letters[1][1].startswith("field 'data' holds int")
    assert bucket.keys() == ["a", "d"]


def test_parts_are_objects_below_the_key(bucket: Bucket, publish: Publish) -> None:
    mail = Packet({"text": "mail"}, {"id": "m", "route": "docs", "receipt": "1"})
    parts = [mail.derive("attachment", n, {"text": f"attachment {n}"}) for n in (1, 2)]
    assert publish(mail, *parts) == []
    below = "docs/m.parts/1.0000000.0000000000000000"
    assert bucket.keys() == ["docs/m", f"{below}/attachment=1", f"{below}/attachment=2"]
    assert [text for *_, text in bucket.seen()] == ["mail", "attachment 1", "attachment 2"]


def test_parts_of_which_each_is_complete_by_itself(bucket: Bucket, publish: Publish) -> None:
    def chunks(receipt: str, *names: int) -> list[Packet]:
        document = versioned(receipt, {"text": "all"})
        return [document.derive("chunk", n, {"text": f"{n} of {receipt}"}) for n in names]

    assert publish(*chunks("1", 1, 2)) == []
    assert publish(*chunks("3", 1)) == []
    assert publish(*chunks("2", 1, 2)) == []
    assert sorted(text for *_, text in bucket.seen()) == ["1 of 3", "2 of 2"]
    note = bucket.get("docs/a")
    assert note is not None
    assert orjson.loads(note.data)["parts"] == "docs/a.parts/"
    # a packet that is the document takes the place of all that is older, and parts come beside it
    assert publish(versioned("4", {"text": "all"})) == []
    assert bucket.keys() == ["docs/a"]
    assert publish(*chunks("5", 7)) == []
    assert sorted(text for *_, text in bucket.seen()) == ["7 of 5", "all"]


def test_outside_of_a_node_the_order_says_what_is_newer(bucket: Bucket, publish: Publish) -> None:
    first, deletion = Packet({"id": "a", "n": 1}), Packet({"id": "a"}, {"requestmethod": "DELETE"})
    assert publish(first, key="{id}") == []
    assert publish(first, deletion, key="{id}") == []
    assert bucket.keys() == []
    assert publish(first, deletion, Packet({"id": "a", "n": 2}), key="{id}") == []
    found = bucket.get("a")
    assert found is not None
    assert orjson.loads(found.data)["fields"]["n"] == 2


def test_what_is_gone_leaves_a_note_that_may_be_tagged(bucket: Bucket, publish: Publish) -> None:
    publish(versioned("1", {"text": "one"}))
    assert publish(versioned("2", requestmethod="DELETE"), tag_gone=True) == []
    assert publish(versioned("1", {"text": "one"})) == []
    (key,) = bucket.keys()
    found = bucket.get(key)
    assert found is not None
    assert found.meta["state"] == "gone"
    assert orjson.loads(found.data) == {
        **{"route": "docs", "id": "a", "version": "2/0000000/0000000000000000", "state": "gone", "parts": None}
    }
    assert b"<Key>pypes</Key><Value>gone</Value>" in bucket.ask("GET", "/out/docs/a?tagging").data.replace(b"\n", b"").replace(
        b" ", b""
    )
    assert list(bucket.packets()) == []


def test_an_object_of_somebody_else_stays(bucket: Bucket, publish: Publish) -> None:
    bucket.put("a", b"mine")
    letters = publish(Packet({"id": "a"}), Packet({"id": "b"}), key="{id}")
    assert letters == [("s3.key_taken", "a is an object that Pypes has not put, and stays; move it away, or set key")]
    found = bucket.get("a")
    assert found is not None
    assert found.data == b"mine"
    assert bucket.keys() == ["a", "b"]


def test_two_documents_with_one_key(bucket: Bucket, publish: Publish) -> None:
    letters = publish(versioned("1"), versioned("1", route="mail"), key="{id}")
    assert letters == [("s3.key_taken", "a is the object of another document; have both {route} and {id} in key")]


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"url": "file:///etc"}, "url"),
        ({"key": "{route}"}, "key"),
        ({"key": "/{id}"}, "key"),
        ({"key": "../{id}"}, "key"),
        ({"key": "{id}{route}"}, "key"),
        ({"key": "{id}/{language}"}, "key"),
    ],
)
def test_parameters_that_cannot_be_are_refused(bucket: Bucket, params: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        publisher(bucket, **params)


def test_set_up_says_what_has_to_be_mended(bucket: Bucket, before: Gate) -> None:
    options = {**bucket.options, "endpoint": before.url}
    with pytest.raises(ComponentError, match=r"NoSuchBucket(.|\n)*Make the bucket, or mend url and options"):
        publisher(bucket, url="s3://there-is-none").setup()
    with pytest.raises(ComponentError, match="nonsense"):
        publisher(bucket, options={"nonsense": "x"}).setup()
    for refused in ("GET", "PUT", "HEAD", "POST"):
        before.rule = lambda method, path, refused=refused: (403, "AccessDenied") if method == refused else None  # type: ignore[misc]
        with pytest.raises(ComponentError, match="give who asks the rights s3:ListBucket, s3:GetObject") as raised:
            publisher(bucket, options=options).setup()
        assert raised.value.code == "s3.refused"
    before.rule = lambda method, path: (301, "PermanentRedirect")
    with pytest.raises(ComponentError, match=r"region.*mend url and options"):
        publisher(bucket, options=options).setup()
    before.open()
    before.drops_conditions = True
    with pytest.raises(ComponentError, match="although the condition") as raised:
        publisher(bucket, options=options).setup()
    assert raised.value.code == "s3.no_conditions"
    before.drops_conditions = False
    publisher(bucket, options=options).setup()
    publisher(bucket, options=options).setup()


def test_a_store_that_is_not_there_is_waited_for(bucket: Bucket, caplog: pytest.LogCaptureFixture) -> None:
    options = {**bucket.options, "endpoint": f"http://127.0.0.1:{free_port()}"}
    made = publisher(bucket, options=options, timeout_s=0.5)
    with caplog.at_level("WARNING"):
        result = run_component(made, [Packet({"id": "a"})])
    # in a test nothing rests: it is an attempt that failed
    assert [letter.code for letter in result.dead_letters] == ["retry.exhausted"]
    assert "cannot be reached yet" in caplog.text


@pytest.mark.parametrize(("status", "code"), [(503, "SlowDown"), (403, "AccessDenied"), (404, "NoSuchBucket")])
def test_what_speaks_of_the_store_is_waited_for(bucket: Bucket, before: Gate, status: int, code: str) -> None:
    made = publisher(bucket, options={**bucket.options, "endpoint": before.url})
    answers = [(status, code)] * 5

    def rule(method: str, path: str) -> tuple[int, str] | None:
        return answers.pop() if answers and method == "PUT" and path.endswith("/b") else None

    with Pipeline(made) as pipeline:
        before.rule = rule
        pipeline.push([Packet({"id": "a"}), Packet({"id": "b"}), Packet({"id": "c"})])
        assert not pipeline.dead_letters
    assert not answers
    assert bucket.keys() == ["!/a", "!/b", "!/c"]


def test_a_conflict_over_a_part_is_waited_for(bucket: Bucket, before: Gate) -> None:
    made = publisher(bucket, options={**bucket.options, "endpoint": before.url})
    answers = [(409, "OperationAborted")]
    document = Packet({"text": "a"}, {"id": "a", "receipt": "1"})
    with Pipeline(made) as pipeline:
        before.rule = lambda method, path: answers.pop() if answers and method == "PUT" and ".parts/" in path else None
        pipeline.push([document, document.derive("row", 1, {"text": "b"})])
        assert not pipeline.dead_letters
    assert not answers
    assert [text for *_, text in bucket.seen()] == ["a", "b"]


def test_what_speaks_of_an_object_fails_it_alone(bucket: Bucket, before: Gate) -> None:
    made = publisher(bucket, options={**bucket.options, "endpoint": before.url})
    with Pipeline(made) as pipeline:
        before.rule = lambda method, path: (400, "KeyTooLongError") if method == "PUT" and path.endswith("/b") else None
        pipeline.push([Packet({"id": "a"}), Packet({"id": "b"}), Packet({"id": "c"})])
        (letter,) = pipeline.dead_letters
    assert letter.code == "s3.refused_object"
    assert "KeyTooLongError" in letter.reason
    assert bucket.keys() == ["!/a", "!/c"]


def test_a_secret_is_not_told(bucket: Bucket, before: Gate) -> None:
    before.rule = lambda method, path: (403, "AccessDenied")
    made = publisher(bucket, url=f"s3://{bucket.name}/secret-place", options={**bucket.options, "endpoint": before.url})
    made.secrets = Secrets({"secret-place": "${PLACE}"})
    with pytest.raises(ComponentError, match=r"\$\{PLACE\}") as raised:
        made.setup()
    assert "secret-place" not in str(raised.value)
