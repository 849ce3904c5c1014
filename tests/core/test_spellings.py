"""Forms of a text, as those who write them make them."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable
from urllib.parse import quote, quote_plus, urlencode, urlsplit

import pytest
import urllib3
from hypothesis import given
from hypothesis import strategies as st

from pypes.core.spellings import any_of, disguises, in_base64, spellings

ODD = "q\"u\\o'te <&> ü/%41+ \n end"

WRITERS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "query": lambda text: urlencode({"a": text}),
    "path": quote,
    "plus": quote_plus,
    "all": lambda text: quote(text, safe=""),
    "small": lambda text: re.sub("%..", lambda found: found[0].lower(), quote(text, safe="")),
    "twice": lambda text: quote(quote(text, safe="")),
    "urllib3": lambda text: str(urllib3.util.parse_url("http://h/?" + text.replace("\n", "").replace("%", "%25")).query),
    "json": lambda text: json.dumps({"a": text}),
    "json of everything": lambda text: json.dumps(text, ensure_ascii=False),
    "json in json": lambda text: json.dumps(json.dumps(text)),
    "json with slashes": lambda text: json.dumps(text).replace("/", "\\/"),
    "repr": lambda text: repr([text]),
    "ascii": ascii,
    "bytes": lambda text: repr(text.encode()),
    "html": html.escape,
    "page": lambda text: html.escape(text, quote=False),
}


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("text", [ODD, "plain-text-4711"])
def test_each_way_to_write_a_text_is_known(writer: str, text: str) -> None:
    if writer == "urllib3":
        text = text.replace("\n", "").replace("%", "")
    written = WRITERS[writer](text)
    assert any(form in written for form in spellings(text)), written


@given(st.text(min_size=6, max_size=30), st.binary(max_size=5), st.binary(max_size=5))
def test_base64_is_known_within_anything(text: str, before: bytes, behind: bytes) -> None:
    known = [form for form in disguises(text) if form]
    for code in (base64.b64encode, base64.urlsafe_b64encode):
        written = code(before + text.encode() + behind).decode()
        found = [form for form in known if form in written]
        # what its neighbours have no part in
        assert max(map(len, found)) >= 8 * len(text.encode()) // 6 - 2


def test_other_disguises() -> None:
    text = "Mark-Host-4711/+"
    known = {*disguises(text)}
    host = urlsplit(f"http://{text.replace('/+', '')}.example/").hostname
    assert host is not None
    assert host.removesuffix(".example") in {form[:14] for form in known}
    assert {text.encode().hex(), text.encode().hex().upper(), text.upper(), text.lower()} <= known
    assert {*in_base64(text)} == {base64.b64encode(text.encode()).decode(), base64.urlsafe_b64encode(text.encode()).decode()}


def test_a_word_is_known_in_its_own_case_only() -> None:
    assert not {"production", "PRODUCTION"} & {*disguises("Production")}


def test_halves_of_characters_have_forms_too() -> None:
    for text in ("key-\udcff-1234", "key-\ud800-1234"):
        assert text in {*spellings(text)}
        assert all(isinstance(form, str) for form in disguises(text))


@given(st.lists(st.text("ab.|", min_size=1, max_size=6), min_size=1, max_size=8), st.text("ab.|", max_size=30))
def test_the_longest_that_begins_at_a_place_is_found(texts: list[str], within: str) -> None:
    longest = "|".join(map(re.escape, sorted(texts, key=len, reverse=True)))
    assert re.findall(any_of(texts), within) == re.findall(longest, within)
