"""Functions for pipelines in tests, in a module that pool workers can import."""

from __future__ import annotations

from typing import Any


def add(value: int) -> int:
    return value + 1


def double(value: int) -> int:
    return value * 2


def odd(value: int) -> int | None:
    return value if value % 2 else None


def no_three(value: int) -> int:
    if value == 3:
        raise ValueError("three")
    return value


def same(value: Any) -> Any:
    return value


def pair(left: Any, right: Any) -> tuple[Any, Any]:
    return left, right
