"""An index of static vectors is asked by words and by vectors, with nothing set beyond its graph."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pypes.testing.node import Node, running
from pypes_search.embedders import Embedders, embedder_for
from pypes_search.vectors import Space
from pypes_text.static_vectors import INSTALL
from tests.needed import library

library("wordllama", "pypes-text[static]")

GRAPH: dict[str, Any] = {
    "pypes": 1,
    "name": "meaning",
    "nodes": {
        "text": {"component": "Text"},
        "chunk": {"component": "Chunk"},
        "embed": {"component": "Embed", "params": {"dims": 128}},
        "index": {"component": "SQLiteSearch", "params": {"path": "search.db"}},
    },
    "wires": [["text.out", "chunk.in"], ["chunk.out", "embed.in"], ["embed.out", "index.in"]],
}
DOCUMENTS = {
    "looms": "The weaver makes fabric with thread.",
    "bank": "The bank raised interest rates on loans.",
    "tea": "Pour boiling water over the leaves, and wait four minutes.",
}
#: None of its words stands in a document.
QUESTION = "cloth from yarn"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with running(tmp_path_factory.mktemp("meaning"), GRAPH, workers=1, instances=1) as node:
        for id, text in DOCUMENTS.items():
            answer = node.post(text.encode(), content_type="text/plain", **{"Pypes-Id": id})
            assert answer.status == 202, answer.data
            receipt = node.get(f"/receipts/{answer.json()['receipt']}?wait=30").json()
            assert (receipt["state"], receipt["failed"]) == ("done", 0), receipt
        yield node


def ask_by(*command: str | Path) -> tuple[list[dict[str, Any]], str]:
    """The hits that a command prints, and its standard error."""
    ran = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    found = [json.loads(line) for line in ran.stdout.splitlines()]
    return found[0].get("hits", found), ran.stderr


@pytest.mark.parametrize("way", ["pypes-search", "pypes ask", "GET /search"])
def test_a_document_is_found_by_what_it_means(node: Node, way: str) -> None:
    index = node.base / "data" / "search.db"
    if way == "GET /search":
        answer = node.http.request("GET", f"{node.url}/search", fields={"q": QUESTION}).json()
        hits, notes = answer["hits"], "".join(answer["notes"])
    else:
        command = {"pypes-search": ("pypes_search.command",), "pypes ask": ("pypes", "ask")}[way]
        hits, notes = ask_by(sys.executable, "-m", *command, index, QUESTION, "--json")
    assert notes == ""
    assert hits[0]["document"] == "looms"
    assert hits[0]["ranks"] == {"vector": 1}
    assert len(hits) == 3


def test_words_and_vectors_find_it_together(node: Node) -> None:
    [first, *_] = node.http.request("GET", f"{node.url}/search", fields={"q": "interest"}).json()["hits"]
    assert (first["document"], first["ranks"]) == ("bank", {"words": 1, "vector": 1})


@pytest.mark.parametrize("missing", ["numpy", "safetensors", "tokenizers", "wordllama"])
def test_without_the_extra_the_reader_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    for module in [name for name in sys.modules if name.startswith("safetensors.")]:
        monkeypatch.delitem(sys.modules, module)
    vector, note = Embedders()("loom", Space(256, "wordllama-l2-supercat-256"))
    assert vector is None
    assert missing in note
    assert INSTALL in note


@pytest.mark.parametrize(
    "model", ["small", "wordllama-l2-supercat", "wordllama-l2-supercat-0", "wordllama-l2-supercat-257", "supercat-256"]
)
def test_models_of_others_are_left_to_them(model: str) -> None:
    assert embedder_for(model) is None
