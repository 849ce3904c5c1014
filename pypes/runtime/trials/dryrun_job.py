"""The jobs of a trial for the node: plain data, so that the supervisor need not import the trial."""

from __future__ import annotations

from typing import Any

import msgspec

from pypes.core.paths import Paths
from pypes.core.pools import Pool

#: Longest line that a trial may answer with, in bytes.
MAX_REPORT_BYTES = 32 << 20


class Job(msgspec.Struct, kw_only=True):
    """The input of a trial: a graph with a ``post``, as in the tests of a graph, or with ``tests``, places among its own.

    ``left_out`` are filters that stand there for their wires only. ``record``: the name of the test that is to be made of the
    post, or ``None``.
    """

    graph: dict[str, Any]
    components: dict[str, dict[str, Any]]
    post: dict[str, Any] = {}
    left_out: tuple[str, ...] = ()
    record: str | None = None
    tests: list[int] | None = None
    paths: Paths = msgspec.field(default_factory=Paths)
    pools: dict[str, Pool] = {}
    #: Patterns of names whose values are hidden in the report.
    hides: tuple[str, ...] = ()
    max_memory_bytes: int = 0
