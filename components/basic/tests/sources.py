"""What tests of sources share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pypes.component import Source
from pypes.packet import Packet
from pypes_basic.files import Files

Pairs = list[tuple[list[Packet], Any]]


def fetch(source: Source, cursor: Any = None) -> Pairs:
    assert source.fetch is not None
    source.setup()
    try:
        return list(source.fetch(cursor))
    finally:
        source.teardown()


def write(path: Path, data: str, modified: float = 1000.0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(data)
    os.utime(path, (modified, modified))


def files_in(tmp_path: Path, **params: Any) -> Files:
    """Files of the folder ``in``, which it makes."""
    (tmp_path / "in").mkdir(exist_ok=True)
    source = Files()
    source.configure({"directory": "in", "settle_s": 0, **params})
    source.data_dir = str(tmp_path)
    return source


def names(pairs: Pairs) -> list[list[str]]:
    """The paths of what was fetched, pair by pair; of what is deleted, the id."""
    return [[f"-{packet.id}" if packet.is_deletion else packet.get_meta("path") for packet in packets] for packets, _ in pairs]


def flat(pairs: Pairs) -> list[str]:
    return [name for each in names(pairs) for name in each]
