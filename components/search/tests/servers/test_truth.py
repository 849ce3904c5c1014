"""Index truth: after thousands of random operations with two instances that are killed now and then, nothing is stale or missing.

``PYPES_TRUTH_OPERATIONS`` sets how many there are (2,000), ``PYPES_TRUTH_SEED`` repeats a run.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

import psycopg
import pytest
import urllib3

from pypes.component import Component
from pypes_search.opensearch import OpenSearch
from pypes_search.opensearch_client import Client
from pypes_search.postgresql import PostgreSQL
from pypes_search.qdrant import Qdrant
from pypes_search.query import search as search_index
from pypes_search.sqlite_search import SQLiteSearch
from tests.servers.schemas import schema_of

from .test_opensearch_suite import index_of
from .test_qdrant_suite import collection_of
from .truth_worker import Delivery, post, work

OPERATIONS = int(os.environ.get("PYPES_TRUTH_OPERATIONS", "2000"))
SEED = int(os.environ.get("PYPES_TRUTH_SEED", random.randrange(1_000_000)))

pytestmark = [pytest.mark.servers, pytest.mark.timeout(max(120, OPERATIONS // 5))]

IDS = 60
#: One delivery of so many is interrupted, and one of so many waits until younger ones are through.
KILLED, LATE = 8, 5

#: What a reader sees: id, part, text.
Reader = Callable[[], set[tuple[str, str, str]]]
#: What makes a publisher, and a reader.
Destination = tuple[Callable[[], Component], Reader]


class Instance:
    """A process with a publisher."""

    def __init__(self, make: Callable[[], Component]) -> None:
        self._make = make
        self.kills = 0
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("fork")
        self._child, theirs = context.Pipe()
        self._process = context.Process(target=work, args=(self._make, theirs), daemon=True)
        with warnings.catch_warnings():
            # other threads of a test may be alive: the child needs nothing that they hold
            warnings.simplefilter("ignore", DeprecationWarning)
            self._process.start()
        theirs.close()

    def begin(self, run: int, delivery: Delivery) -> None:
        self._child.send((run, delivery))

    def end(self, kill_at: int | None) -> bool:
        """Wait until a delivery is published; with ``kill_at``, only for so many steps: false if it was killed then."""
        steps = 0
        while steps != kill_at:
            said = self._child.recv()
            assert not said.startswith("failed"), said
            if said == "done":
                return True
            steps += 1
        self.close()
        self.kills += 1
        self._start()
        return False

    def close(self) -> None:
        self._process.kill()
        self._process.join()
        self._process.close()
        self._child.close()


def deliveries(chance: random.Random) -> Iterator[Delivery]:
    """Versions of some documents, up to the number of operations."""
    made = receipt = 0
    while made < OPERATIONS:
        receipt += 1
        ids = chance.sample(range(IDS), chance.randint(1, 16))
        yield receipt, [(f"doc-{id}", chance.choice((-1, 0, 1, 1, 1, 2, 3, 6))) for id in ids]
        made += len(ids)


def made(component: type[Component], folder: Path, **params: Any) -> Callable[[], Component]:
    """What makes a publisher with these parameters."""

    def make() -> Component:
        publisher = component()
        publisher.configure(params)
        publisher.data_dir = str(folder)
        return publisher

    return make


def sqlite(folder: Path, request: pytest.FixtureRequest) -> Destination:
    def seen() -> set[tuple[str, str, str]]:
        path = folder / "search.db"
        hits = search_index(path, "word", 10_000) if path.exists() else []
        return {(hit.document or "", hit.part, json.loads(hit.fields)["fields"]["said"]) for hit in hits}

    return made(SQLiteSearch, folder), seen


def postgresql(folder: Path, request: pytest.FixtureRequest) -> Destination:
    url = request.getfixturevalue("postgresql")
    with psycopg.connect(url, autocommit=True) as db:
        own = schema_of(db, url, str(folder))

    def seen() -> set[tuple[str, str, str]]:
        with psycopg.connect(own) as db:
            rows = db.execute("SELECT id, part, fields->>'said' FROM docs").fetchall()
        assert len(set(rows)) == len(rows)
        return set(rows)

    return made(PostgreSQL, folder, url=own, dimensions=2), seen


def opensearch(folder: Path, request: pytest.FixtureRequest) -> Destination:
    url, index = request.getfixturevalue("opensearch"), index_of(folder)

    def seen() -> set[tuple[str, str, str]]:
        with closing(Client(url)) as client:
            client.ask("POST", f"/{index}/_refresh")
            hits = client.ask("POST", f"/{index}/_search", {"size": 10_000})["hits"]["hits"]
        found = [(hit["_source"]["pypes"]["id"], hit["_source"]["pypes"]["part"], hit["_source"]["said"]) for hit in hits]
        assert len(set(found)) == len(found)
        return set(found)

    return made(OpenSearch, folder, url=url, index=index), seen


def qdrant(folder: Path, request: pytest.FixtureRequest) -> Destination:
    import_module("qdrant_client")  # for seconds; processes that are forked have it then
    url, name = request.getfixturevalue("qdrant"), collection_of(folder)

    def seen() -> set[tuple[str, str, str]]:
        asked = {"limit": 10_000, "with_payload": True}
        answer = urllib3.request("POST", f"{url}/collections/{name}/points/scroll", json=asked).json()
        payloads = [point["payload"] for point in answer["result"]["points"]]
        found = [(payload["id"], payload["part"], payload["fields"]["said"]) for payload in payloads]
        assert len(set(found)) == len(found)
        return set(found)

    return made(Qdrant, folder, url=url, collection=name, dimensions=2), seen


@pytest.fixture(params=[sqlite, postgresql, opensearch, qdrant], ids=lambda made: made.__name__)
def destination(request: pytest.FixtureRequest, tmp_path: Path) -> Destination:
    found: Destination = request.param(tmp_path, request)
    return found


@pytest.mark.usefixtures("postgresql", "opensearch", "qdrant")
def test_nothing_is_stale_and_nothing_is_missing(destination: Destination) -> None:
    make, seen = destination
    chance = random.Random(SEED)
    #: By id the newest version and what a reader sees of it.
    newest: dict[str, tuple[int, set[tuple[str, str, str]]]] = {}
    instances = [Instance(make), Instance(make)]
    waiting: list[Delivery] = []
    runs = 0

    def publish(pair: list[Delivery]) -> None:
        """Have both instances publish at the same time, again as long as one is killed."""
        nonlocal runs
        left = dict(zip(instances, pair, strict=False))
        while left:
            for instance, delivery in left.items():
                runs += 1
                instance.begin(runs, delivery)
            for instance in list(left):
                if instance.end(chance.randint(0, 6) if chance.randrange(KILLED) == 0 else None):
                    del left[instance]
        for receipt, documents in pair:
            for index, (id, parts) in enumerate(documents):
                if newest.get(id, (0,))[0] < receipt:
                    parts_of_it = post(receipt, 1, index, id, parts).made()
                    newest[id] = receipt, {(id, each.part, each.text) for each in parts_of_it}

    try:
        pair: list[Delivery] = []
        for number, delivery in enumerate(deliveries(chance)):
            (waiting if chance.randrange(LATE) == 0 else pair).append(delivery)
            if waiting and chance.randrange(LATE) == 0:
                pair.append(waiting.pop(chance.randrange(len(waiting))))
            while len(pair) >= 2:
                publish([pair.pop(0), pair.pop(0)])
            if number % 50 == 49:
                _compare(newest, seen())
        for delivery in pair + waiting:
            publish([delivery])
        _compare(newest, seen())
        assert sum(instance.kills for instance in instances) >= OPERATIONS // 400, SEED
    finally:
        for instance in instances:
            instance.close()


def _compare(newest: dict[str, tuple[int, set[tuple[str, str, str]]]], seen: set[tuple[str, str, str]]) -> None:
    expected: set[tuple[str, str, str]] = set().union(*(parts for _, parts in newest.values()))
    stale, missing = seen - expected, expected - seen
    assert not stale, f"{len(stale)} are stale, such as {sorted(stale)[:3]} (PYPES_TRUTH_SEED={SEED})"
    assert not missing, f"{len(missing)} are missing, such as {sorted(missing)[:3]} (PYPES_TRUTH_SEED={SEED})"
