from pypes.core.limits import Limits, quantity, table


def test_one_day_is_not_several() -> None:
    assert [quantity(days * 86400.0, "seconds") for days in (1, 1.5, 7)] == ["1 day", "1.5 days", "7 days"]


def test_every_limit_is_explained_and_has_a_default() -> None:
    rows = {row.name: row for row in table()}
    assert set(rows) == set(Limits.__dataclass_fields__)
    assert all(row.help.endswith(".") for row in rows.values())
    assert all(getattr(Limits(), name) == row.default for name, row in rows.items())
    assert rows["body_bytes"].status == 413
