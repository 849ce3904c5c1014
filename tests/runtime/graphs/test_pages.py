from typing import Any

import pytest

from pypes.runtime.graphs.pages import PAGE_BYTES, page


def walked(of: str, entries: list[dict[str, Any]], limit: int, field: str) -> list[list[Any]]:
    """The pages of a list, each as what its entries are called."""
    pages: list[list[Any]] = []
    after = None
    while True:
        found = page(of, entries, limit, after)
        pages.append([entry[field] for entry in found["entries"]])
        after = found["next"]
        if after is None:
            return pages


@pytest.mark.parametrize(
    ("of", "field", "names", "pages"),
    [
        ("graphs.list", "name", ["b", "a", "c"], [["a", "b"], ["c"]]),
        ("graphs.versions", "version", [1, 2, 3, 10], [[10, 3], [2, 1]]),
        ("filters.list", "id", ["0192", "g.b", "0191", "g-h.a", "g.a"], [["g.a", "g.b"], ["g-h.a", "0191"], ["0192"]]),
        ("components.list", "name", [], [[]]),
    ],
)
def test_every_entry_is_on_one_page(of: str, field: str, names: list[Any], pages: list[list[Any]]) -> None:
    assert walked(of, [{field: name} for name in names], 2, field) == pages


def test_a_page_goes_on_where_an_entry_was() -> None:
    entries = [{"name": name} for name in "acd"]
    assert page("graphs.list", entries, 1, "b") == {"entries": [{"name": "c"}], "next": "c"}
    assert page("graphs.list", entries, 1, "d") == {"entries": [], "next": None}


def test_large_entries_make_short_pages() -> None:
    large = "x" * (PAGE_BYTES // 2 + 1)
    entries = [{"id": f"{number}", "params": large} for number in range(5)]
    assert walked("filters.list", entries, 1000, "id") == [["0", "1"], ["2", "3"], ["4"]]
