"""Typed parameters: defaults, schema, all problems at once."""

from __future__ import annotations

from typing import Annotated, Literal

import jsonschema_rs

from pypes.component.parameters import Help, Parameters, convert, schema_of


class Params(Parameters):
    fields: Annotated[list[str], Help("Fields to work on.")] = ["title"]
    size: Annotated[int, Help("Rows per batch.", ge=1)] = 100
    mode: Annotated[Literal["a", "b"], Help("How.")] = "a"
    path: Annotated[str, Help("Where to.")]


def test_defaults_are_not_shared() -> None:
    first, second = Params(path="x"), Params(path="y")
    first.fields.append("more")
    assert second.fields == ["title"]


def test_the_schema_says_what_convert_checks() -> None:
    schema = schema_of(Params)
    assert schema["required"] == ["path"]
    assert schema["properties"]["fields"] == {
        "description": "Fields to work on.",
        "type": "array",
        "items": {"type": "string"},
        "default": ["title"],
    }
    validator = jsonschema_rs.validator_for(schema)
    for given in ({"path": "x"}, {"path": "x", "size": 0}, {}, {"path": "x", "mode": "c"}, {"path": "x", "more": 1}):
        assert validator.is_valid(given) == (convert(Params, given)[0] is not None)


def test_all_problems_are_named_at_once() -> None:
    made, problems = convert(Params, {"size": 0, "mode": "c", "colour": "red"})
    assert made is None
    assert {(p.path, p.code) for p in problems} == {
        ("size", "param.invalid"),
        ("mode", "param.invalid"),
        ("colour", "param.unknown"),
        ("path", "param.missing"),
    }


def test_parameters_checked_against_each_other() -> None:
    class Range(Parameters):
        low: int = 0
        high: int = 1

        def __post_init__(self) -> None:
            if self.low > self.high:
                raise ValueError("low is above high")

    made, problems = convert(Range, {"low": 5})
    assert made is None
    assert "low is above high" in problems[0].message
