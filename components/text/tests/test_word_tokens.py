"""Tokens that are found word by word are those that the tokenizer finds."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypes_text import word_tokens
from pypes_text.word_tokens import WordTokens
from tests.needed import library

from .prose import Prose

tokenizers = library("tokenizers", "pypes-text[static]")
library("wordllama", "pypes-text[static]")


@pytest.fixture(scope="module")
def encode() -> Any:
    spec = find_spec("wordllama")
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin).parent / "tokenizers" / "l2_supercat_tokenizer_config.json"
    return tokenizers.Tokenizer.from_file(str(path)).encode


@pytest.fixture(scope="module")
def tokens(encode: Any) -> WordTokens:
    return WordTokens(encode)


def plain(encode: Any, texts: list[str]) -> list[list[int]]:
    return [encode(text, add_special_tokens=False).ids for text in texts]


PIECES = st.sampled_from(
    [
        *(" ", "  ", "\n", "\r\n", "\t", "\u2028", "\u00a0", "loom", "Loom", "s", ",", "._", "__init__", "(", ");", ">"),
        *("3.5", "\u2581", "\u2581\u2581the", "東京", "é", "e\u0301", "👩\u200d👧", "\0", "the", "ing", "<0x0A>"),
    ]
)


@pytest.mark.hypothesis
@given(texts=st.lists(st.lists(PIECES, min_size=1, max_size=12).map("".join), max_size=4))
def test_any_text(texts: list[str], encode: Any, tokens: WordTokens) -> None:
    assert [[*each] for each in tokens.of(texts)] == plain(encode, texts)


def test_prose_in_batches_and_with_little_room(encode: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    prose = Prose(7)
    texts = [prose.paragraph() for _ in range(60)]
    for room in (1 << 19, 500):
        monkeypatch.setattr(word_tokens, "_MOST_CHARS", room)
        tokens = WordTokens(encode)
        found = [[*each] for n in range(0, 60, 7) for each in tokens.of(texts[n : n + 7])]
        assert found == plain(encode, texts)
        assert len(tokens._known) < room


def test_the_first_batch_of_one_piece_and_of_none(encode: Any) -> None:
    tokens = WordTokens(encode)
    assert [*tokens.of([])] == []
    assert [[*each] for each in tokens.of(["loom"])] == plain(encode, ["loom"])
    assert [[*each] for each in tokens.of(["\n"])] == plain(encode, ["\n"])
