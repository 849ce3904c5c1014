"""Qdrant keeps whole documents as every publisher of them does; tested over its REST interface, and embedded."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
import urllib3

from pypes.component import Component
from pypes.testing import ComponentSuite, PublisherSuite
from pypes_search.qdrant import Qdrant

pytestmark = pytest.mark.servers


class TestQdrant(ComponentSuite, PublisherSuite):
    component = Qdrant
    shows_both = True
    counts_removed = False
    server: ClassVar[str]

    @pytest.fixture(autouse=True)
    def _server(self, qdrant: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(type(self), "server", qdrant, raising=False)

    def make(self) -> Component:
        made = self.component()
        made.configure({"url": self.server, "dimensions": 2})
        return made

    def parameters(self, folder: Path) -> Mapping[str, Any]:
        return {"url": self.server, "dimensions": 2, "collection": collection_of(folder)}

    def fields(self, text: str) -> Mapping[str, Any]:
        return {"text": text, "vector": [1.0, float(len(text))]}

    def seen(self, folder: Path) -> Iterable[tuple[str, str | None, str, str]]:
        answer = urllib3.request(
            "POST",
            f"{self.server}/collections/{collection_of(folder)}/points/scroll",
            json={"limit": 1_000, "with_payload": True},
        )
        return [seen_of(point["payload"]) for point in answer.json()["result"]["points"]] if answer.status == 200 else []


def collection_of(folder: Path) -> str:
    return f"t{hashlib.blake2b(str(folder).encode(), digest_size=10).hexdigest()}"


def seen_of(payload: Mapping[str, Any]) -> tuple[str, str | None, str, str]:
    return payload["route"], payload["id"] and payload["id"].replace("\\u0000", "\x00"), payload["part"], payload["text"]
