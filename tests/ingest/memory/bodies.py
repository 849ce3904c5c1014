"""Large bodies of a queue in memory, which are files."""

from __future__ import annotations

from pathlib import Path

from pypes.errors import Conflict
from pypes.ingest.delivery import Spooled


def link_body(body: Spooled, path: str) -> Spooled:
    try:
        Path(path).hardlink_to(body.path)
    except FileNotFoundError:
        raise Conflict("the file with the body is gone; post it again", code="deadletters.not_kept") from None
    return Spooled(path, body.size)


def discard(body: bytes | Spooled) -> None:
    if isinstance(body, Spooled):
        Path(body.path).unlink(missing_ok=True)
