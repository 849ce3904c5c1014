"""EmbedRemote on a real node of two instances: calls are saved over restarts, and the budget is one for all."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pypes.testing.node import Node, running, until

from .embeddings import Embeddings
from .prose import Prose


@pytest.fixture
def server() -> Iterator[Embeddings]:
    made = Embeddings()
    yield made
    made.close()


def graph(server: Embeddings, before: dict[str, Any], embed: dict[str, Any], **params: Any) -> dict[str, Any]:
    nodes = {
        "json": {"component": "JSON"},
        **before,
        "embed": {"component": "EmbedRemote", "params": {"url": server.url, "model": "small", **params}, **embed},
        "index": {"component": "SQLiteSearch", "params": {"path": "search.db"}},
    }
    wires = [[f"{one}.out", f"{other}.in"] for one, other in zip([*nodes], [*nodes][1:], strict=False)]
    return {"pypes": 1, "name": "remote", "nodes": nodes, "wires": wires}


def post(node: Node, texts: list[str]) -> None:
    """Post each text by itself, and wait until all are in the index."""
    receipts = []
    for n, text in enumerate(texts):
        answer = node.post(json.dumps({"id": f"book {n}", "text": text}).encode())
        assert answer.status == 202, answer.data
        receipts.append(answer.json()["receipt"])
    for receipt in receipts:
        found = node.get(f"/receipts/{receipt}?wait=30").json()
        assert (found["state"], found["failed"]) == ("done", 0), found


def counts(node: Node) -> dict[str, int]:
    found: dict[str, int] = node.get("/graphs/remote").json().get("counts", {}).get("embed", {})
    return found


def test_a_nightly_re_post_asks_for_nothing_and_a_changed_paragraph_for_three_texts_at_most(
    server: Embeddings, tmp_path: Path
) -> None:
    prose = Prose(11)
    books = [[prose.paragraph() for _ in range(100)] for _ in range(6)]

    def said() -> list[str]:
        return ["\n\n".join(book) for book in books]

    with running(tmp_path, graph(server, {"chunk": {"component": "Chunk"}}, {}), workers=1, instances=2) as node:
        post(node, said())
        first = len(server.texts)
        assert first == len({*server.texts}) > 100
        asked = len(server.asked)
        spent = {"calls": asked, "texts": first, "tokens": sum(len(text.split()) for text in server.texts)}
        until(lambda: {name: counts(node).get(name) for name in spent} == spent, 10, f"counted: {spent}")
        for night in range(2):
            post(node, said())
            assert len(server.asked) == asked
            if not night:
                node.stop()
                node.start()
                node.wait_ready()
        books[3][40] = prose.paragraph()
        post(node, said())
        assert 1 <= len(server.texts) - first <= 3


def test_the_budget_is_one_for_all_instances(server: Embeddings, tmp_path: Path) -> None:
    bound = 30
    one_by_one = graph(server, {}, {"batch_size": 1}, requests_per_minute=bound)
    with running(tmp_path, one_by_one, workers=1, instances=2) as node:
        began_s = time.time()
        for n in range(bound + 10):
            assert node.post(json.dumps({"text": f"text number {n}"}).encode()).status == 202
        until(lambda: counts(node).get("waits"), 20, "the budget used up")
        asked, passed_s = len(server.asked), time.time() - began_s
        assert asked <= bound + passed_s * bound / 60
