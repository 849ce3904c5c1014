"""Noting: what drivers tell the traces of an epoch, where it has any."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pypes.runtime.scheduler.core import Core, Filter
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


def note_taken(filter: Filter, epoch: Epoch, lineages: Sequence[Lineage]) -> None:
    """Tell the traces of an epoch that this turn of a filter works on packets of it."""
    filter.core.turn_times.mark(epoch.traces)
    for trace in epoch.traces:
        trace.taken(epoch, filter.name, lineages)


def note_sent(filter: Filter, out: OutPort, epoch: Epoch, values: Sequence[Any], lineages: Sequence[Lineage]) -> None:
    """Tell the traces of an epoch that a filter sends packets of it on all wires of a port."""
    targets = [filter.core.target_of(wire).name for wire in out.wires]
    for trace in epoch.traces:
        trace.sent(epoch, filter.name, out.name, targets, values, lineages)
