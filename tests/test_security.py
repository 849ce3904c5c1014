"""SECURITY.md: each row of the threat model names tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent.parent
#: A reference: ``file::test``, the file below ``tests`` or ``components``.
REFERENCE = re.compile(r"`((?:tests|components)/[\w/]+\.py)(?:::(\w+))?`")

TEXT = (HERE / "SECURITY.md").read_text(encoding="utf-8")
ROWS = [line for line in TEXT.splitlines() if line.startswith("| ") and not line.startswith("| Who ")]


def test_there_are_rows_for_everybody() -> None:
    assert len(ROWS) > 30


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[2].strip()[:40])
def test_a_row_names_tests_that_there_are(row: str) -> None:
    found = REFERENCE.findall(row)
    assert found, "a promise without a test"
    for name, test in found:
        tree = ast.parse((HERE / name).read_text(encoding="utf-8"))
        assert not test or any(
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == test for node in ast.walk(tree)
        )
