"""Disturbing: kills, pauses, deployments of other chunkers, jumps of the clock."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Final

from pypes.testing.clock import WallClock
from pypes.testing.node import Node
from tests.faults.chaos.faults import ROLES, WEIGHTS, Disk, Faults
from tests.faults.operations.node import GRAPHS, SPLITTERS, Folders, graph

#: A test of seconds has the time for kills of instances and ingest workers, and for a deployment now and then.
QUICK: Final[Mapping[str, float]] = {"kill": 8, "deploy": 2, "jump_clock": 2}
QUICK_WAIT_S: Final = 1.6
#: Everything but what needs a destination, or fills the disk.
LONG: Final[Mapping[str, float]] = {name: WEIGHTS[name] for name in ("kill", "pause", "deploy", "roll", "restart", "jump_clock")}
LONG_WAIT_S: Final = 2.0


class Disturbing(Faults):
    """The faults of :mod:`tests.faults.chaos` without a destination, and deployments that split texts in another way."""

    def __init__(self, node: Node, disk: Disk, clock: WallClock, folders: Folders, rng: random.Random, *, is_long: bool) -> None:
        weights, roles, wait_s = (LONG, ROLES, LONG_WAIT_S) if is_long else (QUICK, ROLES[:2], QUICK_WAIT_S)
        super().__init__(node, None, disk, clock, rng, weights=weights, roles=roles, longest_wait_s=wait_s)
        self._folders = folders

    def _next_version(self) -> dict[str, object]:
        splitter = SPLITTERS[self._version % len(SPLITTERS)]
        return graph(self._rng.choice(GRAPHS), self._folders, splitter)
