"""PostgreSQL keeps whole documents as every publisher of them does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pypes.testing import ComponentSuite, PublisherSuite
from pypes_search.postgresql import PostgreSQL
from tests.servers.schemas import schema_of

pytestmark = pytest.mark.servers


class TestPostgreSQL(ComponentSuite, PublisherSuite):
    component = PostgreSQL

    @pytest.fixture(autouse=True)
    def _database(self, postgresql: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        self.url = postgresql
        with psycopg.connect(postgresql, autocommit=True) as self.reader:
            monkeypatch.setattr(type(self), "environ", {"POSTGRESQL_URL": schema_of(self.reader, postgresql, "example")})
            yield

    def make(self) -> PostgreSQL:
        made = PostgreSQL()
        made.configure({"url": schema_of(self.reader, self.url, "suite")})
        return made

    def parameters(self, folder: Path) -> Mapping[str, Any]:
        return {"url": schema_of(self.reader, self.url, str(folder))}

    def seen(self, folder: Path) -> Iterable[tuple[str, str | None, str, str]]:
        schema_of(self.reader, self.url, str(folder))
        if self.reader.execute("SELECT to_regclass('docs')").fetchone() == (None,):
            return []
        rows = self.reader.execute("SELECT route, id, part, text FROM docs").fetchall()
        return [(route, id and id.replace("\\u0000", "\x00"), part, text) for route, id, part, text in rows]
