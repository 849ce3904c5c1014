"""Reading what a graph has published to a file by JSONLines in the form packet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def receipts(key: str, *paths: Path) -> dict[Any, set[str]]:
    """The receipts under which each document was published; ``key`` is a field, or metadata, that tells documents apart.

    A document that a source fetched twice has two. A line may stand in a file twice: what was published when a process was
    killed, but not yet noted, is published again under its receipt. A file need not be there yet.
    """
    found: dict[Any, set[str]] = {}
    for path in paths:
        for line in path.read_bytes().splitlines(keepends=True) if path.exists() else []:
            if line.endswith(b"\n"):
                packet = json.loads(line)
                document = packet["meta"].get(key, packet["fields"].get(key))
                found.setdefault(document, set()).add(packet["meta"]["receipt"])
    return found
