"""Fetched: what sources found, in batches that each end with a cursor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from pypes import Packet, Reject


class Fetched(NamedTuple):
    """Packets that belong together, about how many bytes they have, and what makes the cursor know that they were fetched."""

    packets: list[Packet]
    size: int
    remember: Callable[[], object]


def in_batches(
    found: Iterable[Fetched], most_bytes: int, most_packets: Callable[[], int], cursor: Callable[[], Any]
) -> Iterator[tuple[list[Packet], Any]]:
    """Batches as ``fetch`` yields them. One of them has more than ``most_bytes`` only where its first packets alone have."""
    packets: list[Packet] = []
    size = 0
    for some, added, remember in found:
        if packets and size + added > most_bytes:
            yield packets, cursor()
            packets, size = [], 0
        packets += some
        size += added
        remember()
        if len(packets) >= most_packets():
            yield packets, cursor()
            packets, size = [], 0
    if packets:
        yield packets, cursor()


def longest_data(fetched_bytes: int, meta_bytes: int) -> int:
    """The most bytes of data that can be handed over at once, beside so many of metadata: base64 makes four of three."""
    return max(1, (fetched_bytes - meta_bytes) // 4 * 3)


def too_large(what: str, limit: int, max_bytes: int, again: str, code: str) -> Reject:
    """The fault of what has more than ``limit`` bytes, of parameter ``max_bytes`` or of the node; ``again`` has it fetched."""
    which = "max_bytes" if limit >= max_bytes else "limits.json_bytes, which bounds what can be handed over,"
    return Reject(f"{what} has more than {limit} bytes; raise {which} and {again}", code)
