"""Settings of who may do what."""

from __future__ import annotations

from pathlib import Path

import pytest

from pypes.access.budget import Budget
from pypes.config import load_settings
from pypes.errors import InvalidConfig


def test_nobody_has_a_budget_unless_it_is_set(tmp_path: Path) -> None:
    assert load_settings(environ={}, folder=tmp_path).access.budget == Budget()


def test_a_budget_of_those_that_have_none(tmp_path: Path) -> None:
    (tmp_path / "pypes.ini").write_text("[access]\nrequests_per_s = 0.5\nbytes_per_s = 5MiB\ndocuments_per_s = 0\n")
    found = load_settings(environ={"PYPES_ACCESS_REQUESTS_PER_S": "20"}, folder=tmp_path)
    assert found.access.budget == Budget(requests_per_s=20, bytes_per_s=5 << 20)


@pytest.mark.parametrize("number", ["-1", "many", "inf"])
def test_what_is_no_number_is_refused(tmp_path: Path, number: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        load_settings(environ={"PYPES_ACCESS_BYTES_PER_S": number}, folder=tmp_path)
    assert [problem.path for problem in caught.value.problems] == ["PYPES_ACCESS_BYTES_PER_S"]
