"""OpenSearch and Elasticsearch keep whole documents as every publisher of them does; tested with emulators of their protocols."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from pypes.component import Component
from pypes.testing import ComponentSuite, PublisherSuite
from pypes_search.opensearch import Elasticsearch, OpenSearch
from pypes_search.opensearch_client import Client

pytestmark = pytest.mark.servers


class SearchServerSuite(ComponentSuite, PublisherSuite):
    shows_both = True
    counts_removed = False
    server: ClassVar[str]

    def make(self) -> Component:
        made = self.component()
        made.configure({"url": self.server})
        return made

    def parameters(self, folder: Path) -> Mapping[str, Any]:
        return {"url": self.server, "index": index_of(folder)}

    def seen(self, folder: Path) -> Iterable[tuple[str, str | None, str, str]]:
        client = Client(self.server)
        index = index_of(folder)
        client.ask("POST", f"/{index}/_refresh", missing={})
        found = client.ask("POST", f"/{index}/_search", {"size": 1_000}, missing={"hits": {"hits": []}})["hits"]["hits"]
        client.close()
        return [seen_of(hit["_source"]) for hit in found]


class TestOpenSearch(SearchServerSuite):
    component = OpenSearch

    @pytest.fixture(autouse=True)
    def _server(self, opensearch: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(type(self), "server", opensearch, raising=False)
        monkeypatch.setattr(type(self), "environ", {"SEARCH_URL": opensearch})


class TestElasticsearch(SearchServerSuite):
    component = Elasticsearch

    @pytest.fixture(autouse=True)
    def _server(self, elasticsearch: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(type(self), "server", elasticsearch, raising=False)
        monkeypatch.setattr(type(self), "environ", {"SEARCH_URL": elasticsearch})


def index_of(folder: Path) -> str:
    return f"t{hashlib.blake2b(str(folder).encode(), digest_size=10).hexdigest()}"


def seen_of(source: Mapping[str, Any]) -> tuple[str, str | None, str, str]:
    own = source["pypes"]
    return own["route"], own["id"] and own["id"].replace("\\u0000", "\x00"), own["part"], source["text"]
