"""Schedules: the times at which the sources of a graph run. They are in UTC: no hour comes twice a year, and none is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from cronsim import CronSim, CronSimError

from pypes.component import ERROR_PORT
from pypes.graph.model import Graph
from pypes.graph.spec import ComponentSpec

#: Minute, hour, day of the month, month, day of the week.
_FIELDS = 5

#: A time that was noted and lies further ahead than this was noted by a clock that was wrong, in seconds.
AHEAD_S = 60.0


def why_invalid(schedule: str) -> str:
    """The fault of a schedule in words, empty if it has none."""
    if len(schedule.split()) != _FIELDS:
        return "it has five fields: minute, hour, day of the month, month, day of the week"
    try:
        CronSim(schedule, datetime(2000, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        return str(error).lower()
    return ""


def latest(schedule: str, now: float) -> float | None:
    """The last scheduled time not after ``now``, in seconds since the epoch; ``None`` if there was none in decades."""
    # what it yields first is before the time that it is given
    after = datetime.fromtimestamp(int(now) + 1, UTC)
    found = next(CronSim(schedule, after, reverse=True), None)
    return None if found is None else found.timestamp()


def following(schedule: str, now: float) -> float | None:
    """The first scheduled time after ``now``; ``None`` if there is none in decades."""
    found = next(CronSim(schedule, datetime.fromtimestamp(int(now), UTC)), None)
    return None if found is None else found.timestamp()


def sources(graph: Graph, catalogue: Mapping[str, ComponentSpec]) -> list[str]:
    """The filters that a trigger runs: those that fetch.

    In a graph without any, ``[""]`` stands for the filters that no wire leads to, if one of them can do without input: it has
    its own loop, or no input port.
    """
    specs = {name: spec for name, node in graph.nodes.items() if (spec := catalogue.get(node.component)) is not None}
    fetching = [name for name, spec in specs.items() if spec.fetches]
    if fetching:
        return sorted(fetching)
    fed = {wire.target for wire in graph.wires}
    return [""] if any(name not in fed and (spec.original or not spec.inputs) for name, spec in specs.items()) else []


def loose_sources(graph: Graph, fetching: Iterable[str]) -> frozenset[str]:
    """Of the filters that fetch, those that no wire leads on from: what they fetch goes to the adapters by media type.

    A wire from the ``error`` port leads nothing on.
    """
    wired = {wire.source for wire in graph.wires if wire.output != ERROR_PORT}
    return frozenset(name for name in fetching if name not in wired)
