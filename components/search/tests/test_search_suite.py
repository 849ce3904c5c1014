"""SQLiteSearch keeps whole documents as every publisher of them does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import orjson

from pypes.testing import PublisherSuite
from pypes_search.query import search
from pypes_search.sqlite_search import SQLiteSearch


class Unsynced(SQLiteSearch):
    """Survives the end of its process, and no power cut."""

    durability = "never"


class TestWholeDocuments(PublisherSuite):
    component = Unsynced

    def fields(self, text: str) -> Mapping[str, Any]:
        return {"text": "word", "said": text}

    def seen(self, folder: Path) -> Iterable[tuple[str, str | None, str, str]]:
        if not (folder / "search.db").exists():
            return []
        hits = search(folder / "search.db", "word", 1000)
        return [(hit.route, hit.document, hit.part, orjson.loads(hit.fields)["fields"]["said"]) for hit in hits]
