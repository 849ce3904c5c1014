from tests.covered import counts, page


def measured(statements: int, ran: int) -> dict[str, dict[str, int]]:
    return {"summary": {"num_statements": statements, "covered_lines": ran}}


def test_statements_are_counted_by_package() -> None:
    found = counts(
        {
            "pypes/api/docs.py": measured(10, 5),
            "pypes/api/deep/er.py": measured(10, 10),
            "pypes/errors.py": measured(4, 4),
            "components/basic/pypes_basic/csv_adapter.py": measured(2, 1),
            "pypes/api/__init__.py": measured(0, 0),
        }
    )
    assert found == {"pypes": (4, 4), "pypes/api": (20, 15), "pypes_basic": (2, 1)}
    text = page(found, ["tests/core"], "abc1234", "2026-01-02", "Linux")
    assert "| `pypes/api` | 20 | 75.0 % |" in text
    assert "| `all` | 26 | 76.9 % |" in text
    assert "of `tests/core`;" in text
