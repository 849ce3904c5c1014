"""Reading one document with one adapter, in the process of the test."""

from __future__ import annotations

from typing import Any

from pypes.component import Adapter
from pypes.packet import Packet
from pypes.structure import Block, blocks_of
from pypes.testing import run_component


def read(adapter: type[Adapter], data: bytes, meta: dict[str, Any] | None = None, **params: Any) -> Packet:
    """The one packet that comes of a document."""
    result = run_component(adapter, [Packet({"data": data}, meta)], **params)
    assert not result.dead_letters, result.dead_letters[0].error
    (packet,) = result.packets
    assert isinstance(packet, Packet)
    assert not packet.has("data")
    return packet


def refused(adapter: type[Adapter], data: bytes, meta: dict[str, Any] | None = None, **params: Any) -> tuple[str, str]:
    """Code and reason of the dead letter that a document becomes."""
    result = run_component(adapter, [Packet({"data": data}, meta)], **params)
    assert not result.packets, result.packets
    (letter,) = result.dead_letters
    return letter.code, letter.error


def outline(packet: Packet) -> list[str]:
    """Each block of a packet in a line: kind, level and page where there are such, and its text."""
    return [_line(block, packet["text"]) for block in blocks_of(packet)]


def _line(block: Block, text: str) -> str:
    kind = block.kind + (str(block.level) if block.level else "") + (f"@{block.page}" if block.page else "")
    content = block.rows if block.rows is not None else text[block.start : block.end]
    return f"{kind}: {content}"
