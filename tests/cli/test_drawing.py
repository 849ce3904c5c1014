"""Tables in a terminal: within its width and height, whatever stands in them."""

from __future__ import annotations

import click
import pytest
from rich.cells import cell_len

from pypes.cli.drawing import concern_lines, cut, fitted, table_lines
from pypes.observe.picture import Table

TABLE = Table(
    "Graphs",
    ("Graph", "State", "In/s"),
    [("shop", "live", "12"), ("a long name of a graph", "failed", "1,234")],
    frozenset({"In/s"}),
)


def plain(lines: list[str]) -> list[str]:
    return [click.unstyle(line) for line in lines]


def test_columns_are_as_wide_as_what_is_in_them() -> None:
    assert plain(table_lines(TABLE, 80, 10)) == [
        "Graphs",
        "Graph                   State    In/s",
        "shop                    live       12",
        "a long name of a graph  failed  1,234",
    ]


def test_states_have_colours() -> None:
    lines = table_lines(TABLE, 80, 10)
    assert click.style("live", fg="green") in lines[2]
    assert click.style("failed", fg="red") in lines[3]


def test_what_has_no_room_is_left_out() -> None:
    assert plain(table_lines(TABLE, 32, 1)) == ["Graphs (1 more)", "Graph  State  In/s", "shop   live     12"]
    # a column of text is cut, a number is whole or not there
    assert plain(table_lines(TABLE, 34, 2))[3] == "a long name of a graph  failed"
    assert plain(table_lines(TABLE, 10, 2))[3] == "a long na…"


@pytest.mark.parametrize("width", range(1, 60))
def test_no_line_is_longer_than_the_terminal_is_wide(width: int) -> None:
    wide = Table(
        "Wide 表", ("Graph", "State", "n"), [("見出し" * 10, "\x1b[31mred", "1"), ("é" * 40, "live", "22")], frozenset({"n"})
    )
    for line in plain(table_lines(wide, width, 5)):
        assert "\x1b" not in line
        assert cell_len(line) <= max(width, cell_len("Wide 表"))


@pytest.mark.parametrize("height", range(1, 30))
def test_tables_share_the_lines_that_there_are(height: int) -> None:
    tables = [Table(str(n), ("Name",), [(f"row {n}.{row}",) for row in range(9)]) for n in range(3)]
    lines = plain(fitted(tables, 40, height))
    assert len(lines) <= height
    if height >= 12:
        assert all(any(line.startswith(f"row {n}") for line in lines) for n in range(2))


def test_tables_without_room_are_named() -> None:
    tables = [Table(name, ("Name",), [("row",)] * 3) for name in ("Graphs", "Pools")]
    assert plain(fitted(tables, 40, 8))[-1] == "No room for Pools (3)"


def test_a_table_that_is_empty_says_so() -> None:
    assert plain(fitted([Table("Pools", ("Pool",), []), Table("Letters", ("Code",), [], empty="None.")], 40, 10)) == [
        "",
        "Letters",
        "None.",
    ]


@pytest.mark.parametrize(
    ("text", "width", "shown"), [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("a\nb\x1b", 9, "a b "), ("ab", 1, "…"), ("ab", 0, "")]
)
def test_texts_are_cut(text: str, width: int, shown: str) -> None:
    assert cut(text, width) == shown


def test_what_needs_a_look_is_whole_as_far_as_there_is_room() -> None:
    texts = ["one two three four five", "six", "seven eight nine"]
    assert plain(concern_lines(texts, 12, 20)) == ["! one two", "  three four", "  five", "! six", "! seven", "  eight nine"]
    assert plain(concern_lines(texts, 12, 5)) == ["! one two", "  three four", "  five", "! six", "! 1 more: s…"]
    # the first one always
    assert plain(concern_lines(texts, 12, 1))[:3] == ["! one two", "  three four", "  five"]
    assert concern_lines([], 12, 5) == ["Nothing nee…"]
    assert plain(concern_lines(["a\x1b[2J"], 12, 5)) == ["! a [2J"]
