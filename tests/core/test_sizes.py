"""Sizes as people write them."""

import pytest

from pypes.core.sizes import size_of


@pytest.mark.parametrize(
    ("text", "size"),
    [("1048576", 1 << 20), ("64MiB", 64 << 20), (" 64 m ", 64 << 20), ("1_000 KB", 1_000 << 10), ("1.5g", 3 << 29), ("7B", 7)],
)
def test_sizes_have_units(text: str, size: int) -> None:
    assert size_of(text) == size


@pytest.mark.parametrize("text", ["", "MiB", "-1", "1 PiB", "1e3", "one", "9" * 400])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a size, such as"):
        size_of(text)
