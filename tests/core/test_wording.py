"""Numbers of things are said as a person says them."""

import pytest

from pypes.core.wording import counted


@pytest.mark.parametrize(
    ("number", "words", "text"),
    [
        (0, ("document",), "0 documents"),
        (1, ("document",), "1 document"),
        (2, ("document",), "2 documents"),
        (1, ("delivery", "deliveries"), "1 delivery"),
        (12345, ("delivery", "deliveries"), "12345 deliveries"),
    ],
)
def test_one_is_not_several(number: int, words: tuple[str, ...], text: str) -> None:
    assert counted(number, *words) == text
