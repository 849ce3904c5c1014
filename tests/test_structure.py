"""Structure of a text: what builders write, readers find, also when somebody changed the text meanwhile."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypes import Packet
from pypes.structure import Block, TextBuilder, blocks_of, markdown_table, with_headings


def built() -> TextBuilder:
    builder = TextBuilder()
    builder.add("Looms", "heading", level=1, page=1)
    builder.add(" Cards choose the threads.\n", page=1)
    builder.add("  ", page=1)
    builder.add("Sizes", "heading", level=2, page=2)
    builder.add_table([["name", "cm"], ["a|b", "3"], ["", ""]], page=2)
    builder.add("  if x:\n    y\n", "code", page=3)
    builder.add("Ends", "heading", level=1, page=3)
    return builder


def test_each_block_is_found_at_its_place() -> None:
    packet = Packet()
    built().put(packet)
    text = packet["text"]
    assert [(text[b.start : b.end], b.kind, b.page) for b in blocks_of(packet)] == [
        ("Looms", "heading", 1),
        ("Cards choose the threads.", "paragraph", 1),
        ("Sizes", "heading", 2),
        ("| name | cm |\n| --- | --- |\n| a\\|b | 3 |", "table", 2),
        ("  if x:\n    y", "code", 3),
        ("Ends", "heading", 3),
    ]
    assert blocks_of(packet)[3].rows == [["name", "cm"], ["a|b", "3"]]
    assert text.startswith("Looms\n\nCards")


def test_structure_is_json_and_goes_where_the_text_goes() -> None:
    packet = Packet()
    built().put(packet)
    back = Packet.from_json(json.loads(json.dumps(packet.to_json())))
    assert blocks_of(back) == blocks_of(packet)
    packet.delete("text")
    assert blocks_of(packet) == []
    packet.set("text", "new")
    assert blocks_of(packet) == [Block(0, 3)]


def test_headings_are_a_path() -> None:
    builder = built()
    assert [path for _, path in with_headings(builder.text, builder.blocks)] == [
        ("Looms",),
        ("Looms",),
        ("Looms", "Sizes"),
        ("Looms", "Sizes"),
        ("Looms", "Sizes"),
        ("Ends",),
    ]


def test_a_text_without_structure_has_its_paragraphs() -> None:
    text = "\n one\n still one \n\n \n two\n"
    assert [text[b.start : b.end] for b in blocks_of(Packet({"text": text}))] == ["one\n still one", "two"]
    assert blocks_of(Packet({"text": " \n"})) == blocks_of(Packet({"text": 3})) == blocks_of(Packet()) == []


@pytest.mark.parametrize(
    "entry",
    [
        None,
        {},
        {"start": 0},
        {"start": -1, "end": 1},
        {"start": 0, "end": 99},
        {"start": 2, "end": 2},
        {"start": True, "end": 3},
        {"start": 0, "end": 2, "kind": "shout"},
        {"start": 0, "end": 2, "page": "3"},
    ],
)
def test_entries_that_fit_no_text_are_passed_over(entry: Any) -> None:
    packet = Packet({"text": "abcd"})
    packet.set_meta("blocks", [entry, {"start": 1, "end": 4}], "text")
    assert blocks_of(packet) == [Block(1, 4)]


def test_blocks_that_overlap_are_passed_over() -> None:
    packet = Packet({"text": "abcd"})
    packet.set_meta("blocks", [{"start": 0, "end": 3}, {"start": 2, "end": 4}, {"start": 3, "end": 4}], "text")
    assert blocks_of(packet) == [Block(0, 3), Block(3, 4)]


def test_tables_without_cells_are_nothing() -> None:
    builder = TextBuilder()
    builder.add_table([])
    builder.add_table([["", " "], []])
    assert (builder.text, builder.blocks) == ("", [])
    assert markdown_table([["a"], ["b", "c\nd"]]) == "| a |  |\n| --- | --- |\n| b | c d |"


@given(st.lists(st.tuples(st.text(max_size=12), st.sampled_from(["paragraph", "heading", "code"]), st.integers(0, 3))))
def test_whatever_is_added_lies_where_its_block_says(pieces: list[tuple[str, str, int]]) -> None:
    builder = TextBuilder()
    for text, kind, page in pieces:
        builder.add(text, kind, level=1, page=page)
    packet = Packet()
    builder.put(packet)
    found = [(packet["text"][b.start : b.end].strip(), b.kind, b.page) for b in blocks_of(packet)]
    assert found == [(text.strip(), kind, page) for text, kind, page in pieces if text.strip()]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("one\ntwo\n\nthree", ["one\ntwo", "three"]),
        ("  one \r\n \t\r\n  two  ", ["one", "two"]),
        ("\n\n\n", []),
        ("one", ["one"]),
        ("one\n \n\n \n two\n", ["one", "two"]),
    ],
)
def test_blank_lines_part_paragraphs(text: str, found: list[str]) -> None:
    assert [text[block.start : block.end] for block in blocks_of(Packet({"text": text}))] == found


@pytest.mark.timeout(20)
@pytest.mark.parametrize("text", ["a" + " " * 1_000_000 + "b", "a" + "\n " * 500_000 + "b", "\n" + " " * 1_000_000])
def test_long_white_space_is_looked_at_once(text: str) -> None:
    """Looked at again from each of its places, it would take hours."""
    assert len(blocks_of(Packet({"text": text}))) <= 2
