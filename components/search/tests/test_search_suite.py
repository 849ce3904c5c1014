"""SQLiteSearch keeps whole documents as every publisher of them does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import orjson

from pypes.component.searching import SearchQuery
from pypes.testing import PublisherSuite
from pypes_search.hits import Hit
from pypes_search.query import ask, search
from pypes_search.sqlite_search import SQLiteSearch


class Unsynced(SQLiteSearch):
    """Survives the end of its process, and no power cut."""

    durability = "never"


class TestWholeDocuments(PublisherSuite):
    component = Unsynced

    def fields(self, text: str) -> Mapping[str, Any]:
        return {"text": "word", "said": text, "vector": [float(len(text)), 1.0, float(sum(map(ord, text)) % 7)]}

    def seen(self, folder: Path) -> Iterable[tuple[str, str | None, str, str]]:
        path = folder / "search.db"
        if not path.exists():
            return []
        by_words = list(map(_shown, search(path, "word", 1000)))
        by_vector = map(_shown, ask(path, SearchQuery("nothing", 1000), lambda *_: ([1.0, 2.0, 3.0], "")).hits)
        assert sorted(by_words) == sorted(by_vector)
        return by_words


def _shown(hit: Hit) -> tuple[str, str, str, str]:
    return hit.route, hit.document, hit.part, orjson.loads(hit.fields)["fields"]["said"]
