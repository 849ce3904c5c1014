"""Policies: those that all filters of a graph share."""

from __future__ import annotations

from typing import NamedTuple

from pypes.runtime.scheduler.breaker import Breakers
from pypes.runtime.scheduler.jams import Jams
from pypes.runtime.scheduler.published import Published


class Policies(NamedTuple):
    """Relief of jams, rest where a service is away, and reports of what publishers have committed, if anybody wants them."""

    jams: Jams
    resting: Breakers
    published: Published | None
    #: True if filters rest at all; else their packets fail.
    has_breakers: bool
    #: True if somebody asks of which document a packet is: filters name what they make.
    wants_names: bool = False
