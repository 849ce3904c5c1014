"""S3Listing against a server with the protocol of S3: objects that are new, changed, gone, packed, large, or change meanwhile."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pypes import Packet
from pypes.errors import ComponentError, InvalidInput
from pypes.testing import ComponentSuite, run_component
from pypes.testing.node import free_port
from pypes_stores import s3_listing
from pypes_stores.s3_listing import S3Listing
from tests.needed import library

obstore = library("obstore", "pypes-stores[s3]")

pytestmark = pytest.mark.servers

KEYS = {"access_key_id": "key", "secret_access_key": "word", "region": "us-east-1"}
Pairs = list[tuple[list[Packet], Any]]


class Bucket:
    """A bucket of a test."""

    def __init__(self, server: str, name: str) -> None:
        import urllib3

        self.name = "b" + hashlib.sha256(name.encode()).hexdigest()[:20]
        self.url = f"s3://{self.name}/docs"
        self.options = {**KEYS, "endpoint": server}
        self._put: Callable[[str], Any] = lambda path: urllib3.request("PUT", f"{server}/{self.name}{path}", body=b"").close()
        self._put("")
        self._store = obstore.store.from_url(f"s3://{self.name}", config=self.options, client_options={"allow_http": True})

    def put(self, path: str, data: bytes = b"x") -> None:
        obstore.put(self._store, path, data)

    def put_folder(self, path: str) -> None:
        """Put what a console makes for a folder, whose name obstore would mend."""
        self._put(f"/{path}")

    def delete(self, *paths: str) -> None:
        obstore.delete(self._store, list(paths))


@pytest.fixture
def bucket(s3: str, request: pytest.FixtureRequest) -> Bucket:
    return Bucket(s3, request.node.nodeid)


class TestS3Listing(ComponentSuite):
    component = S3Listing

    @pytest.fixture(autouse=True)
    def _bucket(self, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
        bucket.put("docs/a.txt", b"hello")
        environ = {"BUCKET": bucket.url, "S3": bucket.options["endpoint"], "KEY": "key", "SECRET": "word"}
        monkeypatch.setattr(type(self), "environ", environ)
        self.bucket = bucket

    def make(self) -> S3Listing:
        return source(self.bucket)


def source(bucket: Bucket, *, confirmed: bool = False, **params: Any) -> S3Listing:
    made = S3Listing()
    made.configure({"url": bucket.url, "options": bucket.options, **params})
    made.is_confirmed = confirmed
    return made


def begun(made: S3Listing, cursor: Any = None) -> Iterator[tuple[list[Packet], Any]]:
    made.setup()
    return made.fetch(cursor)


def told(pairs: Pairs) -> list[str]:
    packets = [packet for pair, _ in pairs for packet in pair]
    return [f"-{packet.id}" if packet.is_deletion else f"{packet.id} {packet.get('data', b'').decode()}" for packet in packets]


def test_objects_that_are_new_changed_or_gone(bucket: Bucket) -> None:
    made = source(bucket)
    assert list(begun(made)) == []
    bucket.put("docs/a.html", b"<p>")
    bucket.put("docs/deep/b.txt", b"two")
    bucket.put_folder("docs/folder/")
    bucket.put("other/c.txt", b"elsewhere")
    ((packets, cursor),) = begun(made)
    metas = [packet.get_metas()[0] for packet in packets]
    assert [(meta["id"], meta["path"], meta["filename"], meta["mimetype"]) for meta in metas] == [
        ("a.html", "a.html", "a.html", "text/html"),
        ("deep/b.txt", "deep/b.txt", "b.txt", "text/plain"),
    ]
    assert metas[0]["modified"].endswith("Z")
    assert list(begun(made, cursor)) == []
    bucket.put("docs/a.html", b"<p>new")
    bucket.delete("docs/deep/b.txt")
    pairs = list(begun(made, cursor))
    assert told(pairs) == ["a.html <p>new", "-deep/b.txt"]
    assert pairs[-1][0][0].get_meta("mimetype") == "text/plain"
    assert list(begun(made, pairs[-1][1])) == []


def test_a_pattern_and_ids(bucket: Bucket) -> None:
    for name in ("a.pdf", "b.txt", "deep/c.pdf"):
        bucket.put(f"docs/{name}")
    pairs = list(begun(source(bucket, pattern="*.pdf", id="archive/{path}")))
    assert told(pairs) == ["archive/a.pdf x", "archive/deep/c.pdf x"]
    # another template gives other ids to what has changed since
    bucket.put("docs/a.pdf", b"y")
    assert told(list(begun(source(bucket, pattern="*.pdf"), pairs[-1][1]))) == ["a.pdf y", "-archive/a.pdf"]


def test_what_is_packed_is_unpacked(bucket: Bucket) -> None:
    bucket.put("docs/a.csv.gz", gzip.compress(b"n\n1\n"))
    bucket.put("docs/b.csv.gz", b"not packed")
    ((packets, _),) = begun(source(bucket))
    assert [(packet.get("data"), packet.get_meta("mimetype")) for packet in packets] == [
        (b"n\n1\n", "text/csv"),
        (b"not packed", "text/csv"),
    ]


def test_an_object_that_is_too_large_is_a_dead_letter(bucket: Bucket) -> None:
    bucket.put("docs/a.txt", b"x" * 11)
    bucket.put("docs/b.csv.gz", gzip.compress(b"x" * 1_000))
    bucket.put("docs/c.txt", b"x" * 10)
    made = source(bucket, max_bytes=40)
    assert [len(packet.get("data", b"")) for packets, _ in begun(made) for packet in packets] == [11, 0, 10]
    made = source(bucket, max_bytes=10)
    packets = [packet for pair, _ in begun(made) for packet in pair]
    result = run_component(source(bucket, max_bytes=10), packets)
    assert [letter.code for letter in result.dead_letters] == ["s3.too_large"] * 2
    assert result.dead_letters[0].error == "a.txt has more than 10 bytes; raise max_bytes and store the object again"


def test_an_object_that_changes_while_it_is_read_is_for_the_next_run(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_listing, "BATCH_OBJECTS", 1)
    for name in "abc":
        bucket.put(f"docs/{name}")
    run = begun(source(bucket))
    pair = next(run)
    bucket.put("docs/b", b"changed")
    bucket.delete("docs/c")
    pairs = [pair, *run]
    assert told(pairs) == ["a x"]
    assert told(list(begun(source(bucket), pairs[-1][1]))) == ["b changed"]


def test_a_crash_between_any_two_pairs_loses_and_doubles_nothing(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_listing, "BATCH_OBJECTS", 2)
    for n in range(5):
        bucket.put(f"docs/{n}")
    gone = list(begun(source(bucket)))[-1][1]
    bucket.delete("docs/0", "docs/1", "docs/2")
    bucket.put("docs/5")
    bucket.put("docs/3", b"y")
    for survives in range(4):
        run = begun(source(bucket), gone)
        pairs = [pair for _, pair in zip(range(survives), run, strict=False)]
        pairs += begun(source(bucket), pairs[-1][1] if pairs else gone)
        assert told(pairs) == ["3 y", "5 x", "-0", "-1", "-2"]


def test_many_deletions_have_to_be_confirmed(bucket: Bucket) -> None:
    for n in range(11):
        bucket.put(f"docs/{n:02}")
    cursor = list(begun(source(bucket)))[-1][1]
    with pytest.raises(ComponentError, match=r"11 objects in s3://.* that were known are gone") as raised:
        list(begun(source(bucket, pattern="z*"), cursor))
    assert raised.value.code == "source.too_many_deletions"
    assert told(list(begun(source(bucket, pattern="z*", confirmed=True), cursor))) == [f"-{n:02}" for n in range(11)]
    assert told(list(begun(source(bucket, pattern="z*", deletions=False), cursor))) == []


def test_what_the_store_refuses_ends_the_run(bucket: Bucket) -> None:
    with pytest.raises(ComponentError, match="NoSuchBucket") as raised:
        list(begun(source(bucket, url="s3://there-is-none")))
    assert raised.value.code == "s3.failed"
    with pytest.raises(ComponentError, match="nonsense"):
        source(bucket, options={"nonsense": "x"}).setup()


def test_a_store_that_is_not_there_ends_the_run(bucket: Bucket) -> None:
    options = {**bucket.options, "endpoint": f"http://127.0.0.1:{free_port()}"}
    with pytest.raises(ComponentError, match="the object store cannot be asked"):
        list(begun(source(bucket, options=options, timeout_s=0.5)))


def test_folders_of_the_machine_are_refused(bucket: Bucket) -> None:
    with pytest.raises(InvalidInput, match="url"):
        source(bucket, url="file:///etc")
