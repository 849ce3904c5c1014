"""Settings of what a node shows of itself: section ``[observe]``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pypes.core.limits import KIB, MIB


def _key(default: Any, help: str, **more: Any) -> Any:
    return field(default=default, metadata={"help": help, **more})


@dataclass(frozen=True, slots=True)
class ObserveSettings:
    """Section ``[observe]``."""

    redact: tuple[str, ...] = _key(
        ("password", "*_token"),
        "Names of fields, metadata and keys whose values are hidden where documents are shown; * is any text.",
    )
    log_ring_bytes: int = _key(256 * KIB, "Last log lines of each process, in memory, for GET /logs; 0: none.", least=0)
    log_bytes: int = _key(4 * MIB, "Log lines that the supervisor keeps of all processes, also of those that have ended.")
    trace_share: float = _key(
        0.0, "Share of all deliveries that are traced, 0 to 1; graphs may have a larger one (option trace).", least=0, most=1
    )
    otlp_endpoint: str = _key(
        "", "Collector of OpenTelemetry to which traces and metrics are sent by HTTP, such as http://localhost:4318; empty: none."
    )
    otlp_headers_file: Path | None = _key(  # noqa: RUF009 - a field
        None, "File with header fields for the collector, such as a key: name=value lines."
    )
    otlp_interval_s: float = _key(60.0, "Time between two times that metrics are sent to the collector; 0: never.")
    caller_traces_per_s: float = _key(
        10.0,
        "Deliveries a second, in each ingest worker, that are traced because their callers are (traceparent); with a collector.",
    )
