"""SearchQuery: text that is no Unicode is refused before anybody is asked."""

from __future__ import annotations

from typing import Any

import pytest

from pypes.component.searching import SearchQuery
from pypes.errors import BadRequest


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"text": "a\ud800"}, "the question"),
        ({"route": "\udfff"}, "the route"),
        ({"filters": ("n=1", "n=\ud800")}, "a filter"),
        ({"principals": ("ada", "\ud800")}, "a principal"),
    ],
)
def test_half_a_surrogate_pair_is_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(BadRequest, match=f"{says} holds half a surrogate pair") as caught:
        SearchQuery(**{"text": "loom", **given})
    assert caught.value.code == "search.bad_text"


def test_all_of_unicode_may_be_asked() -> None:
    assert SearchQuery("\U0001f600 \x00 \ue000", filters=("n=é",), principals=("文",)).principals == ("文",)
