"""What an ingest worker knows of the node around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Topology:
    """What runs where, as the supervisor announces it: ``instances`` is id → socket path, ``graphs`` name → version.

    ``failed`` is name → reason: graphs that could not be set up, whose deliveries wait. ``ordered``: graphs with ``order_by``.
    ``retiring`` is as ``instances``: those of former generations that finish what they have.
    """

    generation: int = 0
    instances: Mapping[int, str] = field(default_factory=dict)
    graphs: Mapping[str, int] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    routes: Mapping[str, str] = field(default_factory=dict)
    default: str | None = None
    ordered: frozenset[str] = frozenset()
    retiring: Mapping[int, str] = field(default_factory=dict)
