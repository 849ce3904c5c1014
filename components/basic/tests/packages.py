"""Real documents that are on every machine that runs these tests: what the installed distributions say of themselves."""

from __future__ import annotations

from importlib import metadata

from pypes.packet import Packet


def packages() -> list[Packet]:
    """A packet for each distribution, with ``name``, ``version``, ``requires`` (several) and ``text``; the id is the name."""
    found = {}
    for each in metadata.distributions():
        name = each.metadata["Name"]
        text = each.read_text("METADATA") or each.read_text("PKG-INFO") or ""
        packet = Packet({"name": name, "version": each.version, "text": text}, {"id": name, "route": "packages"})
        packet.set("requires", each.requires or [], multi=True)
        found[name] = packet
    assert len(found) > 20
    return [found[name] for name in sorted(found)]
