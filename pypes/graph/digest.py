"""The digest of a graph: two nodes have the same one just if they have the same definition."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

_BYTES = 16


def digest_of(graph: Mapping[str, Any] | None) -> str:
    """The digest of a graph in canonical form, 32 hexadecimal digits; empty for none."""
    if graph is None:
        return ""
    return hashlib.blake2b(msgspec.json.encode(graph, order="deterministic"), digest_size=_BYTES).hexdigest()
