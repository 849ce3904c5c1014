"""Limits of a graph: bounds of its own in place of its share of those of the node (:mod:`pypes.core.limits`)."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Final, NamedTuple


class GraphLimit(NamedTuple):
    """One row of the table; ``status`` is the HTTP status when the limit is reached, ``None`` where no client sees it."""

    name: str
    unit: str
    help: str
    status: int | None


def _limit(help: str, *, unit: str, status: int | None = None) -> Any:
    return field(default=None, metadata={"help": help, "unit": unit, "status": status})


@dataclass(frozen=True, slots=True)
class GraphLimits:
    """The limits of one graph, named as those of the node; ``None`` where it has none of its own.

    In a graph, each is for the whole node. :meth:`in_shard` gives what one shard enforces.
    """

    queue_max_bytes: int | None = _limit("Waiting bodies.", unit="bytes", status=429)
    queue_max_deliveries: int | None = _limit("Waiting deliveries.", unit="deliveries", status=429)
    dead_letters_kept: int | None = _limit(
        "Dead letters. At the limit, nothing of the graph is taken or run.", unit="dead letters", status=507
    )
    dead_letters_bytes: int | None = _limit("Dead letters with their bodies; likewise.", unit="bytes", status=507)
    receipts_bytes: int | None = _limit("Receipts of finished deliveries; the oldest go first.", unit="bytes")
    receipts_s: float | None = _limit("Time for which receipts of finished deliveries are kept.", unit="seconds")
    keys_kept: int | None = _limit("Idempotency keys that are remembered.", unit="keys", status=429)
    disk_bytes: int | None = _limit(
        "Waiting bodies, dead letters with their bodies, and receipts together; receipts take at most half of it.",
        unit="bytes",
        status=507,
    )

    def in_shard(self, shards: int) -> GraphLimits:
        """The part of these limits that each of so many shards enforces: rounded up, a time whole.

        Receipts are given at most half of ``disk_bytes``: the oldest of them go before documents are refused for their sake.
        """
        if self == NO_LIMITS:
            return self
        parts = {
            each.name: value if each.name.endswith("_s") else -(-value // shards)
            for each in fields(self)
            if (value := getattr(self, each.name)) is not None
        }
        if "disk_bytes" in parts:
            half = max(1, parts["disk_bytes"] // 2)
            parts["receipts_bytes"] = min(parts.get("receipts_bytes", half), half)
        return GraphLimits(**parts)

    def to_obj(self) -> dict[str, float]:
        """As JSON values, by name, without those that are not set."""
        return {each.name: value for each in fields(self) if (value := getattr(self, each.name)) is not None}


#: The limits of a graph that has none of its own.
NO_LIMITS: Final = GraphLimits()


def table() -> list[GraphLimit]:
    """All limits that a graph may have, in the order in which they are declared."""
    return [GraphLimit(f.name, f.metadata["unit"], f.metadata["help"], f.metadata["status"]) for f in fields(GraphLimits)]
