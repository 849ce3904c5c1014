"""Steps: functions of PipeFrame as functions of a pipeline."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from pypes import Pipeline, node, steps
from pypes.errors import InvalidInput
from pypes.pipeline.items import Done


def lower(record: str) -> tuple[str, bool]:
    return record.lower(), not record.isupper()


def mark(record: str) -> tuple[str, bool]:
    return f"{record}!", True


def forget(record: Any) -> Any:
    return record


def shown(result: Any) -> Any:
    return ("done", result.value) if isinstance(result, Done) else result


def test_a_record_goes_through_them_until_one_says_false() -> None:
    both = steps(lower, mark, mark)
    assert [shown(both(record)) for record in ("Ada", "ADA")] == ["ada!!", ("done", "ada")]
    assert steps()("Ada") == "Ada"


def test_each_of_them_may_be_a_filter() -> None:
    first, second = steps(lower, mark)
    assert (shown(first("Ada")), shown(first("ADA")), second("ada")) == ("ada", ("done", "ada"), "ada!")
    assert (first.__name__, second.__name__, steps(lower, mark).__name__) == ("lower", "mark", "steps")
    assert repr(steps(lower, mark)) == "steps(lower, mark)"


def test_they_travel_to_other_processes() -> None:
    assert pickle.loads(pickle.dumps(steps(lower, mark)))("Ada") == "ada!"


@pytest.mark.parametrize("returned", ["ada", None, ("ada",), {"a": 1, "b": 2}])
def test_a_step_that_does_not_say_whether_to_go_on(returned: Any) -> None:
    with pytest.raises(InvalidInput, match=rf"^step forget returned {type(returned).__name__}, not the record and True"):
        steps(forget)(returned)


def test_steps_are_functions() -> None:
    with pytest.raises(InvalidInput, match=r"a step is a function that returns \(record, go_on\), not 'lower'"):
        steps(lower, "lower")  # type: ignore[arg-type]


@pytest.mark.parametrize("place", [{}, {"processes": 1}], ids=["here", "processes"])
def test_a_record_that_does_not_go_on_comes_out(place: dict[str, Any]) -> None:
    with Pipeline(node(steps(lower, mark), **place), str.title) as pipeline:
        assert [*pipeline.run(["Ada", "ADA", "Alan"])] == ["Ada!", "ada", "Alan!"]
    with Pipeline(*steps(lower, mark)) as pipeline:
        assert pipeline.entries == ["lower"]
        assert [*pipeline.run(["Ada", "ADA"])] == ["ada!", "ada"]
