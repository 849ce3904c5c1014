"""Noting: what drivers tell of the packets that they take and send, where an epoch is traced or fields are marked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pypes.runtime.scheduler.context import FilterContext
from pypes.runtime.scheduler.core import Core
from pypes.runtime.scheduler.epoch import Epoch
from pypes.runtime.scheduler.lineage import Lineage
from pypes.runtime.scheduler.outport import OutPort


def count_special(core: Core, epoch: Epoch, change: int) -> None:
    """An epoch begins (1) or has ended (-1) that is traced, or of which something was committed in an earlier run."""
    core.special += change
    if epoch.feed.committed:
        core.reruns += change
    if epoch.traces:
        core.turn_times.epochs += change


def note_taken(filter: FilterContext, epoch: Epoch, values: Sequence[Any], lineages: Sequence[Lineage]) -> None:
    """Tell that this turn of a filter works on packets."""
    if filter.provenance is not None:
        filter.provenance.taken(values, filter.attempts)
    if epoch.traces:
        filter.core.turn_times.mark(epoch.traces)
        for trace in epoch.traces:
            trace.taken(epoch, filter.name, lineages)


def note_sent(filter: FilterContext, out: OutPort, epoch: Epoch, values: Sequence[Any], lineages: Sequence[Lineage]) -> None:
    """Tell that a filter sends packets on all wires of a port."""
    if filter.provenance is not None:
        filter.provenance.sent(values)
    if epoch.traces:
        targets = [filter.core.target_of(wire).name for wire in out.wires]
        for trace in epoch.traces:
            trace.sent(epoch, filter.name, out.name, targets, values, lineages)


def forget_taken(filter: FilterContext) -> None:
    """Forget packets that a filter worked on, but for those that it holds or is to try again."""
    assert filter.provenance is not None
    held = {id(value) for pairs in filter.held.values() for value, _ in pairs}
    filter.provenance.forget({*filter.attempts, *held} if filter.attempts or held else ())
