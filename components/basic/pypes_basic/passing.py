"""Packets that adapters of documents pass on as they are."""

from __future__ import annotations

from pypes import Packet, Reject


def passes(packet: Packet) -> bool:
    """True for a deletion, and for a packet with fields but without ``data``, which needs no reading any more.

    An edited dead letter of an adapter is one: somebody has given it the text that the adapter could not read. Raises ``Reject``
    for a packet that has neither.
    """
    if packet.is_deletion:
        return True
    if packet.has("data"):
        return False
    if packet.get_attribute_names():
        return True
    raise Reject("there are no bytes to read (field data) and no fields; give the packet one of them", "document.no_data")
