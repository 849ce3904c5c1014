"""Writers whose requests are durable one by one leave nothing older behind, whatever other instances do between these."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import urllib3

from pypes import Packet
from pypes.core.identity import Completed, Identity, Version
from pypes_basic.records import Record, Shape, Told, record_of, told_of
from pypes_basic.whole_publisher import WholePublisher
from pypes_search.opensearch import OpenSearch
from pypes_search.opensearch_client import Client
from pypes_search.qdrant import Qdrant

from .test_opensearch_suite import index_of

KINDS = ("opensearch", "elasticsearch", "qdrant")

pytestmark = [pytest.mark.servers, pytest.mark.usefixtures(*KINDS)]

SHAPE = Shape("title", "text", "vector", 0, "")


class Destination:
    """A new destination with publishers to it."""

    def __init__(self, kind: str, url: str, folder: Path) -> None:
        self._is_qdrant, self._url, self._name = kind == "qdrant", url, index_of(folder)
        self._made: list[WholePublisher] = []

    def publisher(self) -> Any:
        made = Qdrant() if self._is_qdrant else OpenSearch()
        own = {"collection": self._name, "dimensions": 2} if self._is_qdrant else {"index": self._name}
        made.configure({"url": self._url, **own})
        made.setup()
        self._made.append(made)
        return made

    def write(self, publisher: WholePublisher, records: Sequence[Record], told: Sequence[Told]) -> None:
        publisher.write([each._replace(into=self._name) for each in records], told)

    def seen(self) -> list[str]:
        if self._is_qdrant:
            asked = {"limit": 1_000, "with_payload": True}
            path = f"{self._url}/collections/{self._name}/points/scroll"
            points = urllib3.request("POST", path, json=asked).json()["result"]["points"]
            return sorted(point["payload"]["text"] for point in points)
        with closing(Client(self._url)) as client:
            client.ask("POST", f"/{self._name}/_refresh")
            hits = client.ask("POST", f"/{self._name}/_search", {"size": 1_000})["hits"]["hits"]
        return sorted(hit["_source"]["text"] for hit in hits)

    def close(self) -> None:
        for each in self._made:
            each.teardown()


@pytest.fixture(params=KINDS)
def destination(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Destination]:
    made = Destination(request.param, request.getfixturevalue(request.param), tmp_path)
    yield made
    made.close()


def record(receipt: str, part: str = "", run: int = 1) -> Record:
    """Part of a version; of ``run`` 0, nobody tells of its end."""
    packet = Packet(meta={"id": "a", "route": "docs", "receipt": receipt, "run": run})
    if part:
        kind, _, place = part.partition("=")
        packet = packet.derive(kind, int(place))
    packet.set("text", f"{receipt} {part}".strip())
    made = record_of(packet, SHAPE, Counter())
    assert isinstance(made, Record)
    return made


def end(receipt: str, *, is_whole: bool = True, is_deleted: bool = False) -> Told:
    return told_of(Completed(Identity("docs", "a"), Version(receipt, 0, 1), is_whole, is_deleted))


def before(publisher: Any, name: str, act: Callable[[], None]) -> None:
    """Have another instance act before the next request of that name."""
    writer = publisher._writer
    own = getattr(writer, name)

    def acting(*args: Any) -> Any:
        setattr(writer, name, own)
        act()
        return own(*args)

    setattr(writer, name, acting)


@pytest.mark.parametrize(
    ("request_name", "is_whole", "is_known"),
    [
        *(("create", is_whole, False) for is_whole in (True, False)),
        *(("put", is_whole, is_known) for is_whole in (True, False) for is_known in (True, False)),
        *(("move", True, is_known) for is_known in (True, False)),
    ],
)
def test_an_older_version_goes_that_another_instance_is_ahead_of(
    destination: Destination, request_name: str, is_whole: bool, is_known: bool
) -> None:
    older, newer = destination.publisher(), destination.publisher()
    if is_known:
        destination.write(newer, [record("1")], [end("1")])
    before(older, request_name, lambda: destination.write(newer, [record("3", "row=1")], [end("3")]))
    destination.write(older, [record("2", "row=1"), record("2", "row=2")], [end("2", is_whole=is_whole)])
    assert destination.seen() == ["3 row=1"]


@pytest.mark.parametrize("request_name", ["create", "put", "move"])
def test_an_older_version_goes_that_another_instance_puts_meanwhile(destination: Destination, request_name: str) -> None:
    older, newer = destination.publisher(), destination.publisher()
    before(newer, request_name, lambda: destination.write(older, [record("2", "row=2")], [end("2")]))
    destination.write(newer, [record("3", "row=1")], [end("3")])
    assert destination.seen() == ["3 row=1"]


def test_parts_of_which_nobody_tells_the_end_go_with_the_next_version(destination: Destination) -> None:
    publisher = destination.publisher()
    destination.write(publisher, [record("1", "row=1", run=0), record("1", "row=2", run=0)], [])
    assert destination.seen() == ["1 row=1", "1 row=2"]
    destination.write(publisher, [record("2", "row=1")], [end("2")])
    assert destination.seen() == ["2 row=1"]
    # in the place of one part, beside a version that was whole
    destination.write(publisher, [record("3", "row=1", run=0), record("3", "row=5", run=0)], [])
    destination.write(publisher, [record("4", "row=1")], [end("4")])
    assert destination.seen() == ["4 row=1"]


def test_a_part_of_which_nobody_tells_the_end_goes_if_another_instance_is_ahead(destination: Destination) -> None:
    older, newer = destination.publisher(), destination.publisher()
    before(older, "put", lambda: destination.write(newer, [record("3", "row=1")], [end("3")]))
    destination.write(older, [record("2", "row=2", run=0)], [])
    assert destination.seen() == ["3 row=1"]


@pytest.mark.parametrize("is_deleted", [True, False])
def test_a_version_of_another_turn_goes_with_the_next(destination: Destination, is_deleted: bool) -> None:
    publisher = destination.publisher()
    destination.write(publisher, [record("1", "row=1")], [])
    destination.write(publisher, [] if is_deleted else [record("2", "row=2")], [end("1"), end("2", is_deleted=is_deleted)])
    assert destination.seen() == ([] if is_deleted else ["2 row=2"])
