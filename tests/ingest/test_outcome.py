"""What is told of a delivery with documents that failed."""

from __future__ import annotations

from typing import Any

import pytest

from pypes.core.identity import Named
from pypes.ingest.outcome import DeadLetter, Outcome, failure_log_fields


def letter(**fields: Any) -> DeadLetter:
    known = {
        "id": "r-1",
        "documents": (4,),
        "graph": "g",
        "version": 1,
        "filter": "f",
        "component": "F",
        "code": "c",
        "error": "e",
    }
    return DeadLetter(**{**known, "traceback": "", "attempts": 1, "packet": b"", "time": 1.0, **fields})


BASE = {"receipt": "r", "graph": "g", "failed": 1, "dead_letters": 1, "filter": "f", "code": "c", "error": "e"}


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, {"index": 4}),
        ({"named": Named("a", "x.csv", "r")}, {"index": 4, "id": "a", "file": "x.csv", "route": "r"}),
        ({"documents": (), "named": Named(None, "x.csv")}, {"file": "x.csv"}),
        ({"documents": (), "spans": (7, 3)}, {"index": 7}),
        ({"attempts": 5}, {"index": 4, "attempts": 5}),
    ],
)
def test_a_log_line_says_which_document_failed(fields: dict[str, Any], told: dict[str, Any]) -> None:
    assert failure_log_fields("r", "g", Outcome(failed=1, dead_letters=(letter(**fields),))) == {**BASE, **told}


def test_without_letters_it_says_how_many_failed() -> None:
    assert failure_log_fields("r", "g", Outcome(failed=2)) == {"receipt": "r", "graph": "g", "failed": 2}
