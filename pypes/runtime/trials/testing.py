"""Testing: the tests that a graph carries, run one by one."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec

from pypes.core.pools import NO_POOLS, Pool
from pypes.errors import PypesError
from pypes.graph.cases import Case, Difference, compare
from pypes.graph.model import Graph
from pypes.graph.spec import ComponentSpec
from pypes.observe.hiding import Hiding
from pypes.runtime.making import Site
from pypes.runtime.trials.cutting import Cutter
from pypes.runtime.trials.trial import Trial

#: Packets that are shown with a failure.
MAX_RECEIVED = 20


class Failure(msgspec.Struct):
    """A failure of a test: the filter that it is about, in words and as JSON values, with what came to that filter."""

    filter: str
    text: str
    what: str
    expected: Any
    found: Any
    received: list[dict[str, Any]]


class Result(msgspec.Struct):
    """The result of a test; ``error`` (``{code, message, where}``) if it could not be run at all."""

    name: str
    index: int = 0
    passed: bool = False
    seconds: float = 0.0
    failures: list[Failure] = []
    error: dict[str, str] | None = None


def run_case(
    graph: Graph, case: Case, specs: Mapping[str, ComponentSpec], site: Site, pools: Mapping[str, Pool] = NO_POOLS
) -> Result:
    """Run one test in this process, with a copy of the graph of its own; what is told of it has no secrets."""
    begin = time.perf_counter()
    result = Result(case.name)
    at = {post.at for post in case.posts if post.at}
    try:
        with site.secrets.kept(), Trial(graph, specs, site=site, at=at, pools=pools) as trial:
            report = trial.run(case.posts)
    except PypesError as error:
        result.error = {"code": error.code, "message": str(error), "where": error.where}
    else:
        differences = compare(case, report.arrived, report.dropped, report.failures)
        shown = report.shown(site.hiding, Cutter()) if differences else report
        result.failures = [_failure(difference, site.hiding, shown.arrived) for difference in differences]
        result.passed = not differences
    result.seconds = round(time.perf_counter() - begin, 6)
    return result


def _failure(difference: Difference, hiding: Hiding, arrived: Mapping[str, list[dict[str, Any]]]) -> Failure:
    told = replace(difference, expected=hiding.value(difference.expected), found=hiding.value(difference.found))
    received = arrived.get(told.filter, [])[:MAX_RECEIVED]
    return Failure(told.filter, hiding.secrets.clean_text(told.text), told.what, told.expected, told.found, received)
