"""Numbers of things are said as a person says them."""

import pytest

from pypes.core.wording import counted, lasting, numbered, sized


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


def test_thousands_are_apart() -> None:
    assert numbered(1, "document") == "1 document"
    assert numbered(12345, "delivery", "deliveries") == "12,345 deliveries"


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 KiB"),
        (150 * 1024, "150 KiB"),
        (5 << 20, "5.0 MiB"),
        (3 << 30, "3.0 GiB"),
        (7 << 40, "7.0 TiB"),
    ],
)
def test_sizes(size: int, text: str) -> None:
    assert sized(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (9.94, "9.9 s"),
        (10.4, "10 s"),
        (60, "1 min"),
        (185, "3 min 5 s"),
        (3600, "1 h"),
        (3660, "1 h 1 min"),
        (3605, "1 h"),
        (187200, "2 d 4 h"),
        (172860, "2 d"),
    ],
)
def test_times(seconds: float, text: str) -> None:
    assert lasting(seconds) == text
