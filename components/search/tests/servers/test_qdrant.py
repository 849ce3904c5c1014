"""Qdrant as a destination: collections, what is refused, what is waited for, and the embedded one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import urllib3

from pypes import Packet, Pipeline, Transformer
from pypes.errors import ComponentError, InvalidInput
from pypes.testing import run_component
from pypes.testing.node import free_port
from pypes_search.qdrant import Qdrant
from tests.servers.between import between

from .test_qdrant_suite import collection_of

pytestmark = pytest.mark.servers

Publish = Callable[..., list[tuple[str, str]]]


@pytest.fixture
def collection(tmp_path: Path) -> str:
    return collection_of(tmp_path)


@pytest.fixture
def publish(qdrant: str, collection: str) -> Publish:
    def run(*packets: Packet, **params: Any) -> list[tuple[str, str]]:
        params = {"url": qdrant, "collection": collection, "dimensions": 2, **params}
        return [(letter.code, letter.error) for letter in run_component(Qdrant, packets, **params).dead_letters]

    return run


def found(url: str, collection: str) -> list[dict[str, Any]]:
    asked = {"limit": 100, "with_payload": True, "with_vector": True}
    points: list[dict[str, Any]] = urllib3.request("POST", f"{url}/collections/{collection}/points/scroll", json=asked).json()[
        "result"
    ]["points"]
    return sorted(points, key=lambda point: str(point["payload"]["id"]))


def versioned(receipt: str, fields: dict[str, Any] | None = None, **meta: Any) -> Packet:
    return Packet(fields, {"id": "a", "route": "docs", "receipt": receipt, "run": 1, **meta})


def test_points_have_a_vector_and_a_payload(qdrant: str, collection: str, publish: Publish) -> None:
    looms = Packet({"id": "a", "title": "Looms", "text": "Cards.", "vector": [0.6, 0.8], "pages": 3}, {"acl": ["staff"]})
    assert publish(looms, Packet({"id": "b", "text": "without"})) == []
    first, second = found(qdrant, collection)
    assert first["vector"] == pytest.approx([0.6, 0.8])
    assert {key: first["payload"][key] for key in ("title", "text", "acl")} == {
        "title": "Looms",
        "text": "Cards.",
        "acl": ["staff"],
    }
    assert first["payload"]["fields"] == {"id": "a", "pages": 3}
    assert (second["payload"]["text"], second["vector"]) == ("without", {})


def test_a_vector_of_another_length_fails_alone(qdrant: str, collection: str, publish: Publish) -> None:
    letters = publish(Packet({"id": "a", "vector": [1, 2, 3]}), Packet({"id": "b", "vector": [1, 2]}))
    assert [code for code, _ in letters] == ["search.dimensions"]
    assert [point["payload"]["id"] for point in found(qdrant, collection)] == ["b"]


def test_a_collection_that_does_not_fit_is_refused(publish: Publish) -> None:
    publish()
    with pytest.raises(ComponentError, match="it has 2 numbers with distance Cosine instead of 3 with Cosine"):
        publish(dimensions=3)
    with pytest.raises(ComponentError, match="instead of 2 with Dot"):
        publish(distance="dot")


@pytest.mark.parametrize("params", [{}, {"url": "http://127.0.0.1", "path": "x"}])
def test_either_a_server_or_a_folder_is_needed(params: dict[str, str]) -> None:
    with pytest.raises(InvalidInput, match="one of url"):
        Qdrant().configure({"dimensions": 2, **params})


def test_a_collection_that_may_be_that_of_versions_is_refused() -> None:
    with pytest.raises(InvalidInput, match="where versions are kept"):
        Qdrant().configure({"dimensions": 2, "path": "x", "collection": "versions-of-docs"})


def test_who_is_refused_hears_it_at_set_up(qdrant: str) -> None:
    with between(qdrant) as proxy:
        proxy.answers.append((403, {}))
        with pytest.raises(ComponentError, match="Qdrant refuses: 403"):
            run_component(Qdrant, [], url=proxy.url, dimensions=2)


@pytest.mark.parametrize("status", [None, 429, 503])
def test_a_server_that_cannot_do_it_now_is_waited_for(
    qdrant: str, collection: str, status: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Not reached, or busy, at set-up: the publisher begins all the same, and goes on when the server does."""
    with between(qdrant) as proxy, caplog.at_level(logging.WARNING):
        url = proxy.url if status else f"http://127.0.0.1:{free_port()}"
        proxy.answers += [(status, {})] if status else []
        result = run_component(Qdrant, [Packet({"id": "a", "vector": [1, 2]})], url=url, dimensions=2, collection=collection)
    assert "Qdrant cannot be reached yet" in caplog.text
    assert len(result.dead_letters) == (status is None)  # in a test nothing rests


def test_a_document_that_moves_to_another_collection_leaves_the_first(qdrant: str, collection: str) -> None:
    for receipt, language in (("1", "de"), ("2", "fr-CA")):
        publisher = Qdrant()  # another one, as after a restart
        publisher.configure({"url": qdrant, "collection": f"{collection}-{{language}}", "dimensions": 2})
        with Pipeline(publisher) as pipeline:
            pipeline.push([versioned(receipt, {"text": receipt, "vector": [1, 2]}, language=language)])
            assert not pipeline.dead_letters
    assert [point["payload"]["text"] for point in found(qdrant, f"{collection}-fr_ca")] == ["2"]
    assert found(qdrant, f"{collection}-de") == []


def test_what_is_gone_is_forgotten_in_the_end(qdrant: str, collection: str) -> None:
    publisher = Qdrant()
    publisher.configure({"url": qdrant, "collection": collection, "dimensions": 2, "tombstone_s": 0})
    with Pipeline(publisher) as pipeline:
        pipeline.push([versioned("1", {"vector": [1, 2]}), versioned("1", {"vector": [1, 2]}, id="b")])
        pipeline.push([versioned("2", requestmethod="DELETE")])
        publisher._forgot_s = -1e9
        pipeline.push([versioned("3", {"vector": [1, 2]}, id="c")])
        assert not pipeline.dead_letters
    assert [point["payload"]["id"] for point in found(qdrant, f"versions-of-{collection}")] == ["b", "c"]


def test_an_embedded_one_keeps_what_it_has(tmp_path: Path) -> None:
    """Versions that follow one another, each in a publisher of its own, as after restarts."""
    posts = [("1", ["1", "2", "3"]), ("2", ["1"]), ("3", ["1", "2"])]
    for receipt, places in posts:
        publisher = Qdrant()
        publisher.configure({"path": "vectors", "dimensions": 2})
        publisher.data_dir = str(tmp_path)
        with Pipeline(_Rows, publisher) as pipeline:
            pipeline.push([versioned(receipt, {"places": places})])
            assert not pipeline.dead_letters
    from qdrant_client import QdrantClient

    client = QdrantClient(path=str(tmp_path / "vectors"))
    points, _ = client.scroll("docs")
    client.close()
    assert sorted((point.payload or {})["part"] for point in points) == ["row=1", "row=2"]


# the client forgets to close the lock that it did not get
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_embedded_one_in_use_is_refused(tmp_path: Path) -> None:
    publishers = [Qdrant(), Qdrant()]
    for publisher in publishers:
        publisher.configure({"path": "vectors", "dimensions": 2})
        publisher.data_dir = str(tmp_path)
    with (
        Pipeline(publishers[0]),
        pytest.raises(ComponentError, match=r"vectors is in use: .*max_instances"),
        Pipeline(publishers[1]),
    ):
        pass


class _Rows(Transformer):
    """Makes a part of each place."""

    def process(self, packet: Packet) -> None:
        for place in packet["places"]:
            self.send("out", packet.derive("row", int(place), {"vector": [1.0, float(place)]}))
