"""The graph ``rag-postgres`` on a real node and a real PostgreSQL: words, vectors, and another embedder beside it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pypes.testing.node import Node, running
from tests.snippets import ROOT

pytestmark = pytest.mark.servers

GRAPH = json.loads((ROOT / "graphs" / "examples" / "rag-postgres.json").read_text(encoding="utf-8"))
SAMPLES = sorted(path for path in (ROOT / "samples").iterdir() if path.name != "README.md")
SCHEMA = "rag"
NEAREST = "SELECT filename, page FROM {view} ORDER BY vector <=> (SELECT vector FROM {view} WHERE text ~ %s LIMIT 1) LIMIT 2"


@pytest.fixture
def db(postgresql: str) -> Iterator[Any]:
    with psycopg.connect(postgresql, autocommit=True) as db:
        db.execute(f"CREATE SCHEMA {SCHEMA}")
        db.execute(f"SET search_path TO {SCHEMA}, public")
        yield db


@pytest.fixture
def node(db: Any, postgresql: str, tmp_path: Path) -> Iterator[Node]:
    url = f"{postgresql}?options=-csearch_path%3D{SCHEMA}%2Cpublic"
    with running(tmp_path, GRAPH, workers=1, instances=2, environ={"POSTGRESQL_URL": url}) as node:
        yield node


def feed(node: Node, route: str) -> set[str]:
    """Post all samples; returns what became of them."""
    outcomes = set()
    for path in SAMPLES:
        headers = {"Content-Disposition": f"attachment; filename={path.name}"}
        answer = node.post(path.read_bytes(), f"/docs/{route}/{path.name}", "application/octet-stream", **headers)
        assert answer.status == 202, answer.data
        receipt = answer.json()["receipt"]
        assert node.get(f"/receipts/{receipt}?wait=30").json()["state"] == "done"
        outcomes |= {each["outcome"] for each in node.get(f"/receipts/{receipt}/documents").json()["documents"]}
    return outcomes


def with_dimensions(count: int) -> dict[str, Any]:
    """The graph with vectors of another length, and a table of its own for them."""
    graph = json.loads(json.dumps(GRAPH))
    graph |= {"name": "rag-b", "routes": ["rag-b"], "tests": []}
    graph["nodes"]["vectors"]["params"]["dims"] = count
    graph["nodes"]["database"]["params"] |= {"table": "docs_b", "dimensions": count}
    return dict(graph)


def test_files_are_found_and_another_embedder_takes_over_without_a_gap(db: Any, node: Node) -> None:
    assert feed(node, "rag-postgres") == {"published"}
    assert feed(node, "rag-postgres") == {"dropped"}
    words = "SELECT filename, page FROM docs WHERE words @@ websearch_to_tsquery('simple', 'hole thread card') ORDER BY filename"
    assert db.execute(words).fetchall() == [("jacquard-loom.pdf", 2), ("talk.pptx", 2)]
    assert db.execute(NEAREST.format(view="docs"), [r"hole\s+lifts\s+one\s+thread"]).fetchall() == [
        ("jacquard-loom.pdf", 2),
        ("talk.pptx", 2),
    ]
    db.execute("CREATE VIEW current AS SELECT * FROM docs")

    answer = node.http.request("PUT", f"{node.url}/graphs/rag-b", json=with_dimensions(128))
    assert answer.status == 201, answer.data
    with Reader(db.info.dsn) as reader:
        assert feed(node, "rag-b") == {"published"}
        assert db.execute("SELECT count(*) FROM docs_b").fetchone() == db.execute("SELECT count(*) FROM docs").fetchone()
        with db.transaction():
            db.execute("DROP VIEW current")
            db.execute("CREATE VIEW current AS SELECT * FROM docs_b")
        reader.wait_for_dimensions(128)
    assert reader.seen == {(256, len(SAMPLES)), (128, len(SAMPLES))}
    assert db.execute(NEAREST.format(view="current"), [r"hole\s+lifts\s+one\s+thread"]).fetchone() == ("jacquard-loom.pdf", 2)
    assert node.http.request("DELETE", f"{node.url}/graphs/rag-postgres").status in (200, 202, 204)


class Reader:
    """Asks all the time which vectors there are, and of how many documents; both must always be those of one version."""

    def __init__(self, dsn: str) -> None:
        self.seen: set[tuple[int, int]] = set()
        self._db = psycopg.connect(dsn, autocommit=True)
        self._db.execute(f"SET search_path TO {SCHEMA}, public")
        self._changed = threading.Condition()
        self._is_over = False
        self._thread = threading.Thread(target=self._read)

    def _read(self) -> None:
        while not self._is_over:
            rows = self._db.execute("SELECT vector_dims(vector), count(DISTINCT id) FROM current GROUP BY 1").fetchall()
            with self._changed:
                self.seen |= {(dims, count) for dims, count in rows} or {(0, 0)}
                self._changed.notify_all()

    def wait_for_dimensions(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: any(dims == count for dims, _ in self.seen), 10)

    def __enter__(self) -> Reader:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._is_over = True
        self._thread.join(10)
        self._db.close()
