"""Batching parameters: how many packets go into one call of ``process_batch``, and how long it waits for them."""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple, Protocol

from pypes.component.base import Component
from pypes.core.shown import shown
from pypes.errors import InvalidComponent

#: Names of the parameters, as attributes of a component and as options of a filter in a graph.
BATCH_OPTIONS: Final = ("batch_size", "batch_bytes", "batch_s")

#: Packets that a batch may have at most: so many may wait for it in memory.
MOST_BATCH_SIZE: Final = 10_000


class BatchOptions(Protocol):
    """A filter of a graph, as far as it says how batches are made; ``None``: as the component has it."""

    @property
    def batch_size(self) -> int | None: ...
    @property
    def batch_bytes(self) -> int | None: ...
    @property
    def batch_s(self) -> float | None: ...


class Batching(NamedTuple):
    """Bounds of the batches of one filter: packets, bytes, and seconds for which the first packet waits for others."""

    batch_size: int | None = None
    batch_bytes: int | None = None
    batch_s: float = 0.0

    @property
    def is_given(self) -> bool:
        """True if batches are bounded otherwise than by what happens to wait."""
        return self != _AS_IT_COMES

    @classmethod
    def of(cls, component: Component, options: BatchOptions | None = None) -> Batching:
        """The parameters of a component; those that a filter of a graph gives go before."""
        own: dict[str, Any] = {name: getattr(component, name) for name in BATCH_OPTIONS}
        given = {name: value for name in BATCH_OPTIONS if (value := getattr(options, name, None)) is not None}
        return cls(**{**own, **given})


_AS_IT_COMES: Final = Batching()


def batch_problem(option: str, value: Any) -> str:
    """The fault in the value of an option; empty if it has none."""
    if option == "batch_s":
        is_time = type(value) in (int, float) and 0 <= value < math.inf
        return "" if is_time else "must be a number of seconds, 0 or more"
    most = MOST_BATCH_SIZE if option == "batch_size" else math.inf
    if type(value) is int and 0 < value <= most:
        return ""
    return f"must be a whole number from 1 to {most:,}" if math.isfinite(most) else "must be a whole number greater than zero"


def takes_batches(component: Component) -> bool:
    """True if the runtime gathers packets for a component."""
    return not _why_no_batches(component)


def check_batching(component: Component, batching: Batching | None = None) -> None:
    """Raise :class:`InvalidComponent` for parameters that are none, or on a component for which nothing is gathered."""
    where = type(component).__name__
    found = Batching.of(component) if batching is None else batching
    for option, value in zip(BATCH_OPTIONS, found, strict=True):
        reason = "" if value is None and option != "batch_s" else batch_problem(option, value)
        if reason:
            raise InvalidComponent(f"{option} {reason}, not {shown(value)}", where=where)
    if found.is_given and (reason := _why_no_batches(component)):
        raise InvalidComponent(f"{reason}; leave out {', '.join(BATCH_OPTIONS)}", where=where)


def _why_no_batches(component: Component) -> str:
    if component.is_original_style():
        return "a component with a run loop takes its packets itself"
    if component.process_batch is None:
        return "only a component with process_batch gets batches"
    if component.holds:
        return "a component that holds packets gathers them itself"
    if component.isolated:
        return "an isolated component gets one packet at a time"
    return ""
