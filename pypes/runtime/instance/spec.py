"""Orders for an instance: what the supervisor, which never imports an instance itself, hands to a fresh process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pypes.core.limits import Limits
from pypes.core.paths import Paths
from pypes.core.pools import Pool
from pypes.runtime.pools.order import PoolUse


@dataclass(frozen=True)
class InstanceSpec:
    """All an instance process needs to know; plain values, so that it travels by pickle.

    ``graphs`` is name → (version, graph JSON object as ``graph.codec.to_obj`` gives it, ``${ENV}`` not expanded);
    ``components`` is component name → ``ComponentSpec.to_obj()`` for those the graphs use (load files included).
    """

    id: int
    generation: int
    socket: str
    graphs: Mapping[str, tuple[int, Mapping[str, Any]]]
    components: Mapping[str, Mapping[str, Any]]
    limits: Limits = field(default_factory=Limits)
    durability: str = "always"
    data_dir: str = "."
    paths: Paths = field(default_factory=Paths)
    load_files: tuple[str, ...] = ()
    log_json: bool = False
    log_level: str = "INFO"
    log_ring_bytes: int = 0
    #: Patterns of names whose values are hidden from people who look at packets.
    redact: tuple[str, ...] = ()
    #: Share of all deliveries that are traced, and whether spans are made of traces.
    trace_share: float = 0.0
    exports_spans: bool = False
    #: The pools of the node that graphs may name. By graph and filter, the places of filters in its processes, and the socket at
    #: which these are reached.
    named_pools: Mapping[str, Pool] = field(default_factory=dict)
    pools: Mapping[str, Mapping[str, PoolUse]] = field(default_factory=dict)
    pools_socket: str = ""
    #: Paths of its crash record and of its tally file, made by whoever starts it; memory that it may use, 0 for no bound.
    crash_record: str = ""
    tallies: str = ""
    max_memory_bytes: int = 0

    @property
    def times(self) -> str:
        """Path of the file with the times of packets at its filters, beside its tally file; empty without one."""
        return f"{self.tallies.removesuffix('.tally')}.times" if self.tallies else ""
