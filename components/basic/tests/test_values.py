"""Values as all destinations take them, and who may see a document."""

from __future__ import annotations

from array import array
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypes import Reject
from pypes_basic.values import NOBODY, acl_of, fitting, plain, text_of, unicode_of


@pytest.mark.parametrize(
    ("meta", "names"),
    [
        ({}, None),
        ({"acl": "ada"}, ["ada"]),
        ({"acl": ["ada", "staff of looms"]}, ["ada", "staff of looms"]),
        ({"acl": ("ada",)}, ["ada"]),
        ({"acl": {"ada"}}, ["ada"]),
        ({"acl": None}, [NOBODY]),
        ({"acl": ""}, [NOBODY]),
        ({"acl": []}, [NOBODY]),
        ({"acl": ()}, [NOBODY]),
    ],
)
def test_everybody_some_and_nobody_may_see_a_document(meta: dict[str, Any], names: list[str] | None) -> None:
    assert acl_of(meta) == names


@pytest.mark.parametrize(
    "acl", [0, 1, False, 1.5, b"ada", {}, {"ada": 1}, [None], [1], [""], [" "], [["ada"]], "a\ud800", "\x00"], ids=ascii
)
def test_what_is_no_access_list_is_refused(acl: Any) -> None:
    with pytest.raises(Reject, match="metadata 'acl' is") as caught:
        acl_of({"acl": acl})
    assert caught.value.code == "publisher.acl"


def test_binary_values_are_named_by_their_size() -> None:
    class Held:
        size = 7

    assert plain({"raw": b"12", 3: Held(), "many": array("d", [1.5])}) == {"raw": "(2 bytes)", "3": "(7 bytes)", "many": [1.5]}


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 2**64, 10**5_000], ids=["2**63", "-2**63-1", "2**64", "10**5000"])
def test_an_integer_that_is_too_long_is_refused_with_its_field(number: int) -> None:
    with pytest.raises(Reject, match=f"'n' holds an integer of {number.bit_length()} bits") as caught:
        fitting("n", [{"m": number}])
    assert caught.value.code == "publisher.value"
    assert plain([2**63 - 1, 1 - 2**63, True]) == [2**63 - 1, 1 - 2**63, True]


@given(st.text(st.characters(codec=None, categories=None)))
def test_text_is_unicode_and_stays_what_is(text: str) -> None:
    made = unicode_of(text)
    made.encode()
    try:
        text.encode()
    except UnicodeEncodeError:
        assert "\ufffd" in made or len(made) < len(text)
    else:
        assert made == text


def test_halves_are_joined_and_those_alone_replaced() -> None:
    assert unicode_of("a\ud83d\ude00b\udc80\ud800") == "a\U0001f600b\ufffd\ufffd"
    assert text_of("a\x00\ud800é") == "a\ufffd\ufffdé"
