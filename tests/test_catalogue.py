"""docs/components.md tells of all components, as they are."""

from __future__ import annotations

from tests.catalogue import PAGE, page, specs


def test_the_page_is_that_of_these_components() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(specs()), "python -m tests.catalogue writes it anew"


def test_every_component_says_what_it_is_and_shows_how_it_works() -> None:
    for spec in specs():
        assert spec["doc"].strip(), spec["name"]
        assert spec["icon"], spec["name"]
        assert spec["tags"], spec["name"]
        assert spec["example"], spec["name"]
