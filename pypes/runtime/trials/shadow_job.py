"""The job of a shadow: plain data, so that the supervisor need not import the shadow."""

from __future__ import annotations

from typing import Any

import msgspec

from pypes.core.limits import Limits
from pypes.core.paths import Paths
from pypes.core.pools import Pool

#: Bounds of what may be asked for.
MAX_DOCUMENTS = 1_000_000
MAX_RECORDED = 1000


class Job(msgspec.Struct, kw_only=True):
    """The input of a shadow. It ends after so many ``documents``, or posts when it is to ``record``."""

    socket: str
    live: dict[str, Any]
    candidate: dict[str, Any] | None = None
    components: dict[str, dict[str, Any]]
    documents: int
    record: int = 0
    #: Fields that are replaced in what is recorded, and patterns of names whose values are hidden in all reports.
    redact: list[str] = []
    hides: tuple[str, ...] = ()
    paths: Paths = msgspec.field(default_factory=Paths)
    limits: Limits = msgspec.field(default_factory=Limits)
    pools: dict[str, Pool] = {}
    max_memory_bytes: int = 0
    log_json: bool = False
    log_level: str = "INFO"
    log_ring_bytes: int = 0
