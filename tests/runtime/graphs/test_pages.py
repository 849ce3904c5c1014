from typing import Any

import pytest

from pypes.runtime.contracts.control import Page
from pypes.runtime.graphs.pages import COMPONENTS, FILTERS, GRAPHS, PAGE_BYTES, VERSIONS, Listing, page


def walked(of: Listing, entries: list[dict[str, Any]], limit: int, field: str) -> list[list[Any]]:
    """The pages of a list, each as what its entries are called."""
    pages: list[list[Any]] = []
    after = None
    while True:
        found = page(of, entries, limit, after)
        pages.append([entry[field] for entry in found.entries])
        after = found.next
        if after is None:
            return pages


@pytest.mark.parametrize(
    ("of", "field", "names", "pages"),
    [
        (GRAPHS, "name", ["b", "a", "c"], [["a", "b"], ["c"]]),
        (VERSIONS, "version", [1, 2, 3, 10], [[10, 3], [2, 1]]),
        (FILTERS, "id", ["0192", "g.b", "0191", "g-h.a", "g.a"], [["g.a", "g.b"], ["g-h.a", "0191"], ["0192"]]),
        (COMPONENTS, "name", [], [[]]),
    ],
    ids=["graphs", "versions", "filters", "components"],
)
def test_every_entry_is_on_one_page(of: Listing, field: str, names: list[Any], pages: list[list[Any]]) -> None:
    assert walked(of, [{field: name} for name in names], 2, field) == pages


def test_a_page_goes_on_where_an_entry_was() -> None:
    entries = [{"name": name} for name in "acd"]
    assert page(GRAPHS, entries, 1, "b") == Page([{"name": "c"}], "c")
    assert page(GRAPHS, entries, 1, "d") == Page([], None)


def test_large_entries_make_short_pages() -> None:
    large = "x" * (PAGE_BYTES // 2 + 1)
    entries = [{"id": f"{number}", "params": large} for number in range(5)]
    assert walked(FILTERS, entries, 1000, "id") == [["0", "1"], ["2", "3"], ["4"]]
