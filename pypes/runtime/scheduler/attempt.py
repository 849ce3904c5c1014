"""Attempt: one packet that is tried again."""

from __future__ import annotations

from typing import Any

from pypes.runtime.scheduler.epoch import Epoch
from pypes.runtime.scheduler.lineage import Lineage


class Attempt:
    """A packet that is tried again, or stands aside while the one after it is tried."""

    __slots__ = ("epoch", "lineage", "since_s", "tries", "value", "waiting")

    def __init__(self, value: Any, epoch: Epoch, lineage: Lineage, since_s: float, tries: int = 1) -> None:
        self.value = value
        self.epoch = epoch
        self.lineage = lineage
        self.tries = tries
        #: Clock time of the first try.
        self.since_s = since_s
        #: True until it is due and back on a wire, and while it stands aside.
        self.waiting = True
