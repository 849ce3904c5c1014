"""Settings of what a node shows of itself: section ``[observe]``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pypes.core.limits import KIB, MIB


def _key(default: Any, help: str) -> Any:
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True, slots=True)
class ObserveSettings:
    """Section ``[observe]``."""

    redact: tuple[str, ...] = _key(
        ("password", "*_token"), "Names of fields, metadata and keys whose values taps and traces hide; * stands for any text."
    )
    log_ring_bytes: int = _key(256 * KIB, "Last log lines of each process, in memory, for GET /logs; 0: none.")
    log_bytes: int = _key(4 * MIB, "Log lines that the supervisor keeps of all processes, also of those that have ended.")
