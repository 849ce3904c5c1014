"""Settings of who may do what: section ``[access]``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pypes.access.budget import KINDS, Budget


def _per_second(what: str) -> Any:
    whose = "of each token that has no number of its own; where no token is needed, of all clients together"
    return field(default=0.0, metadata={"help": f"{what} in a second {whose}; 0: no bound."})


#: Longest time for which a session may last: a year.
MAX_SESSION_S = 365 * 86400


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
    session_s: float = field(
        default=12 * 3600.0,
        metadata={"help": "Longest time for which a browser that has signed in stays so.", "least": 1, "most": MAX_SESSION_S},
    )
    session_idle_s: float = field(
        default=30 * 60.0,
        metadata={"help": "Time without a request after which it has to sign in again; 0: only after session_s."},
    )
    requests_per_s: float = _per_second("Requests")
    bytes_per_s: float = _per_second("Bytes of bodies, as sent,")
    documents_per_s: float = _per_second("Documents")

    @property
    def budget(self) -> Budget:
        """The budget of tokens that have none."""
        return Budget(**{kind: number for kind in KINDS if (number := getattr(self, kind))})
