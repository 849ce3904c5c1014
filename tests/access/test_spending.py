"""The file that workers share."""

from __future__ import annotations

from pathlib import Path

import pytest

from pypes.access.budget import KINDS
from pypes.access.spending import EVERYBODY, Spending
from pypes.access.token import MAX_TOKENS
from pypes.errors import StoreError


def test_what_one_writes_the_other_reads(tmp_path: Path) -> None:
    Spending.create(tmp_path)
    one, other = Spending(tmp_path), Spending(tmp_path)
    for place in (EVERYBODY, 1, MAX_TOKENS):
        assert [*other.cells(place)] == [0.0] * len(KINDS)
        one.cells(place)[1] = 5.0 + place
    for place in (EVERYBODY, 1, MAX_TOKENS):
        assert [*other.cells(place)] == [0.0, 5.0 + place, 0.0]


def test_a_file_that_is_made_anew_is_empty(tmp_path: Path) -> None:
    Spending.create(tmp_path)
    Spending(tmp_path).cells(1)[0] = 9.0
    Spending.create(tmp_path)
    assert Spending(tmp_path).cells(1)[0] == 0.0


def test_without_a_file_a_process_has_numbers_of_its_own(tmp_path: Path) -> None:
    one, other = Spending(tmp_path / "nowhere"), Spending()
    one.cells(1)[0] = 5.0
    assert other.cells(1)[0] == 0.0
    assert not [*tmp_path.iterdir()]


def test_a_file_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be written"):
        Spending.create(tmp_path / "nowhere")
