"""Embed: static vectors say which texts are about the same things."""

from __future__ import annotations

from collections.abc import Sequence
from math import isclose, sqrt
from typing import Any

import pytest

from pypes import Packet, Pipeline
from pypes.testing import run_component
from pypes_text.embed import Embed
from pypes_text.static_vectors import StaticVectors
from tests.needed import library

library("wordllama", "pypes-text[static]")


def vectors(*texts: str, **params: Any) -> list[list[float]]:
    result = run_component(Embed, [Packet({"text": text}) for text in texts], **params)
    assert not result.dead_letters
    return [packet["vector"] for packet in result.packets]


def dot(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def test_vectors_are_of_length_1_and_near_for_texts_about_the_same() -> None:
    loom, weaver, bank = vectors(
        "A loom weaves cloth from yarn.", "The weaver makes fabric with thread.", "The bank raised interest rates on loans."
    )
    assert len(loom) == 256
    assert all(isclose(sqrt(dot(each, each)), 1, abs_tol=1e-4) for each in (loom, weaver, bank))
    assert dot(loom, weaver) > dot(loom, bank) + 0.1


def test_the_vector_of_a_text_does_not_depend_on_its_batch() -> None:
    texts = [f"Loom number {n} weaves." for n in range(5)]
    assert vectors(*texts) == [vectors(text)[0] for text in texts]


def test_field_metadata_and_parameters() -> None:
    packet = Packet({"title": "Looms", "heading": ["A", "B"], "text": "They weave."})
    [found] = run_component(Embed, [packet], fields=["title", "heading", "text"], target="v", dims=64).packets
    assert not found.is_multivalued("v")
    assert (found.get_meta("model", "v"), found.get_meta("dims", "v")) == ("wordllama-l2-supercat-64", 64)
    assert found["v"] == vectors("Looms\nA\nB\nThey weave.", dims=64)[0]


def test_half_of_a_character_is_no_fault() -> None:
    assert vectors("A loom \ud83d", "Loom") == [vectors("A loom ?")[0], vectors("Loom")[0]]


def test_what_has_no_text_fails_alone() -> None:
    packets = [Packet({"text": text}) for text in ("one", "", "x" * 100_001, "two")]
    packets.append(Packet({}, {"id": "1", "requestmethod": "DELETE"}))
    result = run_component(Embed, packets)
    assert [letter.code for letter in result.dead_letters] == ["document.no_text", "embed.too_long"]
    assert len(result.packets) == 3


def test_a_vector_that_is_missing_fails_its_text_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Forgetful(StaticVectors):
        def embed(self, texts: Sequence[str], dims: int) -> list[list[float]]:
            return super().embed([text for text in texts if text != "bank"], dims)

    monkeypatch.setattr("pypes_text.embed.StaticVectors", Forgetful)
    result = run_component(Embed, [Packet({"text": text}) for text in ("loom", "bank", "yarn")])
    assert [letter.documents for letter in result.dead_letters] == [(1,)]
    assert [packet["vector"] for packet in result.packets] == [Forgetful().embed([text], 256)[0] for text in ("loom", "yarn")]


def test_filters_share_one_table() -> None:
    one, other = Embed(), Embed()
    with Pipeline(one, other) as pipeline:
        pipeline.push([Packet({"text": "loom"})])
        assert one._model is other._model
