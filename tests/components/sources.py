"""What tests of sources share."""

from __future__ import annotations

from typing import Any

from pypes.component import Source
from pypes.packet import Packet

Pairs = list[tuple[list[Packet], Any]]


def fetch(source: Source, cursor: Any = None) -> Pairs:
    assert source.fetch is not None
    source.setup()
    try:
        return list(source.fetch(cursor))
    finally:
        source.teardown()
