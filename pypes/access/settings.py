"""Settings of who may do what: section ``[access]``."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class AccessSettings:
    """Section ``[access]``."""

    open: tuple[str, ...] = field(
        default=("healthz", "readyz"),
        metadata={
            "help": "Addresses that need no token, where others do: some of healthz, readyz, metrics, openapi.json.",
            "options": ("healthz", "readyz", "metrics", "openapi.json"),
        },
    )
