"""Questions to indexes of vectors that a server makes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pypes import Packet
from pypes.component.searching import SearchQuery
from pypes.testing import run_component
from pypes.testing.node import running
from pypes_search.embedders import Embedders, embedder_for
from pypes_search.query import ask
from pypes_search.sqlite_search import SQLiteSearch
from pypes_search.vectors import Space
from pypes_text.remote_questions import DIMENSIONS, KEY, URL
from tests.needed import library

from .embeddings import Embeddings, status, vector_of

MODEL = "small"


@pytest.fixture
def server() -> Iterator[Embeddings]:
    found = Embeddings()
    yield found
    found.close()


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (URL, KEY, DIMENSIONS):
        monkeypatch.delenv(name, raising=False)


def test_without_an_address_the_reader_is_told_what_to_set() -> None:
    assert Embedders()("looms", Space(8, MODEL)) == (
        None,
        f"no embedder for model {MODEL} is known here; if a server makes its vectors (EmbedRemote), say which: {URL}",
    )


def test_the_server_embeds_a_question(server: Embeddings, monkeypatch: pytest.MonkeyPatch) -> None:
    server.key = "s3cret"
    monkeypatch.setenv(URL, server.url)
    monkeypatch.setenv(KEY, "s3cret")
    embed = Embedders()
    vector, note = embed("looms", Space(8, MODEL))
    assert vector == pytest.approx(vector_of("looms", 8))
    assert note == ""
    assert server.asked == [{"model": MODEL, "input": ["looms"]}]
    monkeypatch.setenv(DIMENSIONS, "4")
    assert len(Embedders()("looms", Space(4, MODEL))[0] or ()) == 4
    assert server.asked[-1]["dimensions"] == 4


def test_embedders_of_known_models_go_first(server: Embeddings, monkeypatch: pytest.MonkeyPatch) -> None:
    library("wordllama", "pypes-text[static]")
    monkeypatch.setenv(URL, server.url)
    embed = embedder_for("wordllama-l2-supercat-256")
    assert embed is not None
    assert len(embed(["looms"])[0]) == 256
    assert server.asked == []


def test_large_numbers_are_a_direction_as_others_are(server: Embeddings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(URL, server.url)
    server.vector = lambda text, dims: [1e30] * dims
    path = tmp_path / "search.db"
    packet = Packet({"text": "looms", "vector": [1.0] * 8}, {"id": "a"})
    packet.set_meta("model", MODEL, "vector")
    assert not run_component(SQLiteSearch, [packet], path=str(path)).dead_letters
    (hit,) = ask(path, SearchQuery("cloth"), Embedders()).hits
    assert hit.document == "a"


def test_several_texts_get_their_own_vectors(server: Embeddings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(URL, server.url)
    server.edit = lambda items: items[::-1]
    embed = embedder_for(MODEL)
    assert embed is not None
    assert embed(["one", "two"]) == [pytest.approx(vector_of(text, 8)) for text in ("one", "two")]


@pytest.mark.parametrize(
    ("said", "note"),
    [
        (status(401, "Incorrect API key provided: s3cret"), "embeddings answered 401: Incorrect API key provided: ${"),
        (status(400, "no such model"), "embeddings answered 400: no such model"),
        (status(429), "embeddings answered 429"),
        (lambda texts: (200, {}, {"data": []}), "no vector of numbers"),
        (lambda texts: (200, {}, {"data": [{"index": 3, "embedding": [1.0]}]}), "no vector of numbers"),
        (lambda texts: (200, {}, {"data": [7]}), "no vector of numbers"),
        (lambda texts: (200, {}, {"data": [{"embedding": ["x"]}]}), "no vector of numbers"),
        (lambda texts: (200, {}, {"data": [{"embedding": [1.0] * 7 + [float("nan")]}]}), "zeros alone, or numbers that are not"),
        (lambda texts: (200, {}, {"data": [{"embedding": [float("-inf")] * 8}]}), "zeros alone, or numbers that are not"),
        (lambda texts: (200, {}, {"data": [{"embedding": [0.0] * 8}]}), "zeros alone, or numbers that are not"),
    ],
)
def test_whatever_a_server_says_words_are_left(server: Embeddings, monkeypatch: pytest.MonkeyPatch, said: Any, note: str) -> None:
    monkeypatch.setenv(URL, server.url)
    monkeypatch.setenv(KEY, "s3cret")
    server.faults = [said]
    vector, reason = Embedders()("looms", Space(8, MODEL))
    assert vector is None
    assert note in reason
    assert "s3cret" not in reason


@pytest.mark.parametrize(("name", "value"), [(URL, "http://"), (DIMENSIONS, "many")])
def test_a_setting_that_is_none_is_named(server: Embeddings, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(URL, server.url)
    monkeypatch.setenv(name, value)
    assert name in Embedders()("looms", Space(8, MODEL))[1]


def test_a_node_answers_by_meaning(server: Embeddings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(URL, server.url)
    server.vector = lambda text, dims: [1.0, 0.0] if "loom" in text or text == "cloth" else [0.0, 1.0]
    graph = {
        "pypes": 1,
        "name": "meaning",
        "nodes": {
            "text": {"component": "Text"},
            "embed": {"component": "EmbedRemote", "params": {"url": server.url, "model": MODEL}},
            "index": {"component": "SQLiteSearch"},
        },
        "wires": [["text.out", "embed.in"], ["embed.out", "index.in"]],
    }
    with running(tmp_path, graph, workers=1, instances=1) as node:
        for text in ("The loom is broken.", "Tea is ready."):
            receipt = node.post(text.encode(), content_type="text/plain").json()["receipt"]
            assert node.get(f"/receipts/{receipt}?wait=30").json()["state"] == "done"
        found = json.loads(node.get("/search?q=cloth").data)
    assert found["notes"] == []
    assert "loom" in found["hits"][0]["snippet"]
