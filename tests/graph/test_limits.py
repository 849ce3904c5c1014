"""The limits of a graph, as they are written and read."""

from typing import Any

import pytest

from pypes.core.graph_limits import GraphLimits
from pypes.errors import InvalidGraph
from pypes.graph.codec import from_obj, to_obj

GOOD: dict[str, Any] = {"pypes": 1, "name": "g", "nodes": {}}
SIZE = 'must be a size greater than zero, such as 1048576 or "64MiB"'
WHOLE = "must be a whole number greater than zero"


def problems(limits: Any) -> dict[str, str]:
    with pytest.raises(InvalidGraph) as refused:
        from_obj({**GOOD, "limits": limits})
    assert {problem.code for problem in refused.value.problems} == {"graph.form"}
    return {problem.path: problem.message for problem in refused.value.problems}


def test_sizes_are_text_or_numbers() -> None:
    given = {"queue_max_bytes": "64MiB", "disk_bytes": 1000, "queue_max_deliveries": 5, "receipts_s": 3600}
    graph = from_obj({**GOOD, "limits": given})
    assert graph.limits == GraphLimits(queue_max_bytes=64 << 20, disk_bytes=1000, queue_max_deliveries=5, receipts_s=3600.0)
    assert to_obj(graph)["limits"] == {
        "queue_max_bytes": 64 << 20,
        "queue_max_deliveries": 5,
        "receipts_s": 3600.0,
        "disk_bytes": 1000,
    }
    assert "limits" not in to_obj(from_obj({**GOOD, "limits": {}}))


def test_everything_that_is_wrong_is_named_at_once() -> None:
    assert problems({"queue_max_bytes": 0, "dead_letters_kept": -1, "more": 1, "keys_kept": 5}) == {
        "limits.queue_max_bytes": SIZE,
        "limits.dead_letters_kept": WHOLE,
        "limits.more": (
            "unknown limit; a graph may have queue_max_bytes, queue_max_deliveries, dead_letters_kept, dead_letters_bytes, "
            "receipts_bytes, receipts_s, keys_kept, disk_bytes"
        ),
    }


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("queue_max_bytes", "many", SIZE),
        ("queue_max_bytes", True, SIZE),
        ("queue_max_bytes", 1e6, SIZE),
        ("queue_max_bytes", None, SIZE),
        ("disk_bytes", "0", SIZE),
        ("disk_bytes", "0.3 KiB", "must be a whole number of bytes, not 307.2"),
        ("disk_bytes", "9000000TiB", "must be at most 9223372036854775807"),
        ("disk_bytes", 2**63, "must be at most 9223372036854775807"),
        ("keys_kept", "5", WHOLE),
        ("keys_kept", 1.5, WHOLE),
        ("receipts_s", 0, "must be a number of seconds greater than zero"),
        ("receipts_s", "1h", "must be a number of seconds greater than zero"),
        ("queue_bytes", 1, "unknown limit; did you mean queue_max_bytes?"),
        (
            "dead_letter_body_bytes",
            1,
            "is a limit of the whole node, not of a graph; set it in [limits] of pypes.ini. Did you mean dead_letters_bytes?",
        ),
    ],
)
def test_what_is_no_limit_says_what_to_write(name: str, value: Any, message: str) -> None:
    assert problems({name: value}) == {f"limits.{name}": message}


def test_limits_are_an_object() -> None:
    assert problems([1]) == {"limits": "must be an object"}
