"""Documents that may be unfinished: what is found in them, and passwords that were hidden when they were shown."""

from __future__ import annotations

from typing import Any

import pytest

from pypes.core.secrets import masked
from pypes.runtime.graphs.document import (
    add_filter,
    empty,
    is_same,
    names_of,
    nodes_of,
    plain,
    unmasked,
    wires_of,
    without_filter,
)

STRANGE: list[dict[str, Any]] = [
    {},
    {"nodes": None, "wires": 5},
    {"nodes": [1], "wires": {"a": 1}},
    {"nodes": {"a": 1, "b": {}, "c": {"component": 3}, "d": None}, "wires": [1, [], ["a.b"], ["a.b", 1], ["a", "b", "c"]]},
]


@pytest.mark.parametrize("graph", STRANGE)
def test_nothing_is_found_in_what_has_another_form(graph: dict[str, Any]) -> None:
    assert (nodes_of(graph), wires_of(graph), names_of(graph)) == ({}, [], {})
    assert not is_same(graph, {"name": "g"})
    assert unmasked({**graph, "text": "http://***@h"}, [graph]) == {**graph, "text": "http://***@h"}


def test_a_filter_is_added_under_a_free_name_and_taken_out_with_its_wires() -> None:
    graph = empty("g")
    assert [add_filter(graph, uid, "Null", {}) for uid in "ab"] == ["null", "null-2"]
    graph |= {"wires": [["null.out", "null-2.in"], ["null-2.out", "null-2.in"], 3], "layout": {"null": [1, 2]}}
    assert names_of(graph) == {"a": "null", "b": "null-2"}
    left = without_filter(graph, "null")
    assert (names_of(left), left["wires"], left["layout"]) == ({"b": "null-2"}, [["null-2.out", "null-2.in"], 3], {})
    assert names_of(graph) == {"a": "null", "b": "null-2"}


def test_a_document_is_held_against_the_canonical_form() -> None:
    canonical = {"pypes": 1, "name": "g", "nodes": {"a": {"component": "A", "params": {}}}, "wires": []}
    assert is_same({"nodes": {"a": {"component": "A", "uid": "x"}}, "weight": 1}, canonical)
    assert not is_same({"nodes": {"a": {"component": "A"}}, "weight": 2}, canonical)


SECRET = {"component": "A", "params": {"url": "http://me:geheim@h/", "n": 1}, "uid": "u"}
KNOWN: dict[str, Any] = {"name": "g", "description": "at http://me:geheim@h/", "nodes": {"a": SECRET, "b": {"component": "B"}}}
SHOWN: dict[str, Any] = masked(KNOWN)


def test_what_comes_back_as_it_was_shown_has_its_password_again() -> None:
    assert "geheim" not in str(SHOWN)
    assert unmasked(SHOWN, [KNOWN]) == KNOWN
    # under another name, by its uid; without one, by its name
    renamed = {**SHOWN, "nodes": {"c": SHOWN["nodes"]["a"]}}
    assert unmasked(renamed, [KNOWN])["nodes"] == {"c": SECRET}
    bare = {**SHOWN, "nodes": {"a": plain(SHOWN["nodes"]["a"])}}
    assert unmasked(bare, [KNOWN])["nodes"] == {"a": plain(SECRET)}
    # what has another form stays as it was sent
    strange = {**SHOWN, "nodes": {**SHOWN["nodes"], "b": {"component": "B", "params": ["new"]}}}
    known = {**KNOWN, "nodes": {**KNOWN["nodes"], "b": {"component": "B", "params": ["old"]}}}
    assert unmasked(strange, [known])["nodes"] == {"a": SECRET, "b": strange["nodes"]["b"]}
    # of several documents, the one that fits
    assert unmasked(SHOWN, [{"nodes": {"a": {"component": "A"}}}, KNOWN]) == KNOWN


@pytest.mark.parametrize(
    "node",
    [
        {**SHOWN["nodes"]["a"], "params": {**SHOWN["nodes"]["a"]["params"], "n": 2}},
        {**SHOWN["nodes"]["a"], "params": {**SHOWN["nodes"]["a"]["params"], "proxy": "http://elsewhere"}},
        {**SHOWN["nodes"]["a"], "params": {"url": "http://***@elsewhere/"}},
        {**SHOWN["nodes"]["a"], "component": "B"},
        {**SHOWN["nodes"]["a"], "timeout_s": 5},
    ],
)
def test_what_was_changed_has_none(node: dict[str, Any]) -> None:
    assert unmasked({**SHOWN, "nodes": {"a": node}}, [KNOWN])["nodes"] == {"a": node}


def test_a_password_that_is_sent_is_the_one_that_counts() -> None:
    new = {**SHOWN, "nodes": {"a": {**SECRET, "params": {"url": "http://me:new@h/", "n": 1}}}}
    assert unmasked(new, [KNOWN])["nodes"] == new["nodes"]
    assert unmasked(new, [KNOWN])["description"] == KNOWN["description"]
