"""The job of a trial for the node: plain data, so that the supervisor need not import the trial."""

from __future__ import annotations

from typing import Any

import msgspec

from pypes.core.paths import Paths
from pypes.core.pools import Pool

#: Longest report that a trial may give, in bytes.
MAX_REPORT_BYTES = 32 << 20


class Job(msgspec.Struct, kw_only=True):
    """The input of a trial; ``posts`` are as in the tests of a graph."""

    graph: dict[str, Any]
    components: dict[str, dict[str, Any]]
    posts: list[dict[str, Any]]
    paths: Paths = msgspec.field(default_factory=Paths)
    pools: dict[str, Pool] = {}
    #: Patterns of names whose values are hidden in the report.
    hides: tuple[str, ...] = ()
    max_memory_bytes: int = 0
