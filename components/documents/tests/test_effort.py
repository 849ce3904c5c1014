"""Pages that would take the parser minutes."""

from __future__ import annotations

import tracemalloc

import pytest

from pypes.packet import Packet
from pypes.testing import run_component
from pypes_documents.effort import FEW_OPTIONS, eased, is_too_nested
from pypes_documents.html_adapter import HTML

MANY = 16_000


@pytest.mark.parametrize(
    "page",
    [
        "<div>" * MANY,
        "<ul><li>" * MANY,
        "<UL>\n<LI>x</LI>\n" * MANY,
        "<b><div></b>" * MANY,
        "<span><div></span>" * MANY,
        "<form><div></form>" * MANY,
        "<svg><script>" + "<div>" * MANY,
        "<b>" * MANY + "<div></div>" * MANY,
        "<a " + " ".join(map("b{}".format, range(MANY))) + ">",
    ],
    ids=lambda page: page[:20],
)
def test_too_much_nesting(page: str) -> None:
    assert is_too_nested(page)
    assert is_too_nested(page.encode())


@pytest.mark.parametrize(
    "page",
    [
        "<div><p>Some <b>bold</b> <a href=x>link</a><br><img src=a></div>" * MANY,
        "<p>text" * MANY,
        "<p><span>text" * MANY,
        "<ul>" + "<li>x" * MANY,
        "<dl>" + "<dt>x<dd>y" * MANY,
        "<table>" + "<tr><td>a<td>b" * MANY,
        "<a name=x>" * MANY,
        "<center><font color=red>t</center>" * 5000,
        "<pre>" + "x" * 100_000,
        "<div>" * 1000 + "x" * 100_000,
    ],
    ids=lambda page: page[:20],
)
def test_ordinary_pages_of_any_size(page: str) -> None:
    assert not is_too_nested(page)


def test_a_long_page_is_followed_tag_by_tag() -> None:
    page = "<a name=x>" * 100_000
    tracemalloc.start()
    try:
        assert not is_too_nested(page)
        assert tracemalloc.get_traced_memory()[1] < len(page)
    finally:
        tracemalloc.stop()


def test_a_page_that_is_nested_too_deeply_fails() -> None:
    (failure,) = run_component(HTML, [Packet.from_document({"data": b"<div>" * MANY})]).dead_letters
    assert failure.code == "html.too_nested"


@pytest.mark.parametrize("options", [3, FEW_OPTIONS + 1])
def test_long_lists_to_select_from_are_text_as_short_ones(options: int) -> None:
    listed = "".join(f"<option value={n}>o{n}</option>" for n in range(options))
    page = f"<p>a{' ' * 9000}<SELECT name=x>{listed}</select\n>b<selected>c"
    (packet,) = run_component(HTML, [Packet.from_document({"data": page.encode()})]).packets
    assert isinstance(packet, Packet)
    assert packet.get("text").split() == ["a", *map("o{}".format, range(options)), "b", "c"]
    changed = eased(page)
    assert str(eased(page.encode()), "ascii") == changed  # type: ignore[arg-type]
    assert isinstance(changed, str)
    assert changed.count("x-select") == (0 if options == 3 else 2)
