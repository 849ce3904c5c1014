"""Passages of long texts."""

from __future__ import annotations

import pytest

from pypes_search.passages import passage_of

LOOM = (
    "A pattern is woven by lifting some threads of the warp. "
    "Two people made about an inch of brocade a day.\n\n"
    "Where the card has a hole, the needle passes through and its hook stays over the bar. "
    "So a hole lifts one thread. One weaver does the work of two."
)


def test_a_short_text_is_all_of_it() -> None:
    assert passage_of("One\n  card. ", "thread", 40) == "One card."


@pytest.mark.parametrize(
    ("question", "passage"),
    [
        ("how do holes lift threads?", "… So a hole lifts one thread. One weaver does the work of two."),
        ("Brocade by the day", "… Two people made about an inch of brocade a day. Where the …"),
        ("which needles?", "… Where the card has a hole, the needle passes through and its …"),
        ("steam", "A pattern is woven by lifting some threads of the warp. Two …"),
    ],
)
def test_it_begins_where_a_sentence_does_that_says_most_of_the_question(question: str, passage: str) -> None:
    assert passage_of(LOOM, question, 62) == passage


def test_a_text_without_sentences_is_cut_in_a_word_at_last() -> None:
    assert passage_of("x" * 100, "x", 10) == "x" * 10 + " …"
