"""Index truth of the publishers of whole documents to indexes: see ``tests/servers/truth.py``."""

from __future__ import annotations

import json
from contextlib import closing
from importlib import import_module
from pathlib import Path

import psycopg
import pytest
import urllib3

from pypes_search.opensearch import OpenSearch
from pypes_search.opensearch_client import Client
from pypes_search.postgresql import PostgreSQL
from pypes_search.qdrant import Qdrant
from pypes_search.query import search as search_index
from pypes_search.sqlite_search import SQLiteSearch
from tests.servers.schemas import schema_of
from tests.servers.truth import TIMEOUT_S, Destination, check_truth, made

from .test_opensearch_suite import index_of
from .test_qdrant_suite import collection_of

pytestmark = [pytest.mark.servers, pytest.mark.timeout(TIMEOUT_S)]


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


def opensearch(folder: Path, request: pytest.FixtureRequest, server: str = "opensearch") -> Destination:
    url, index = request.getfixturevalue(server), index_of(folder)

    def seen() -> set[tuple[str, str, str]]:
        with closing(Client(url)) as client:
            client.ask("POST", f"/{index}/_refresh")
            hits = client.ask("POST", f"/{index}/_search", {"size": 10_000})["hits"]["hits"]
        found = [(hit["_source"]["pypes"]["id"], hit["_source"]["pypes"]["part"], hit["_source"]["said"]) for hit in hits]
        assert len(set(found)) == len(found)
        return set(found)

    return made(OpenSearch, folder, url=url, index=index), seen


def elasticsearch(folder: Path, request: pytest.FixtureRequest) -> Destination:
    return opensearch(folder, request, "elasticsearch")


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


@pytest.fixture(params=[sqlite, postgresql, opensearch, elasticsearch, qdrant], ids=lambda made: made.__name__)
def destination(request: pytest.FixtureRequest, tmp_path: Path) -> Destination:
    found: Destination = request.param(tmp_path, request)
    return found


@pytest.mark.usefixtures("postgresql", "opensearch", "elasticsearch", "qdrant")
def test_nothing_is_stale_and_nothing_is_missing(destination: Destination) -> None:
    check_truth(*destination)
