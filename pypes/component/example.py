"""Worked examples: what a component makes of a packet or two, shown by the catalogue and run as a test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pypes.packet import Packet

#: One packet, several, or the packets of several ports by port.
Packets = Packet | Sequence[Packet] | Mapping[str, Packet | Sequence[Packet]]


@dataclass(frozen=True, slots=True)
class Example:
    """One worked example of a component: with ``params``, the packets of ``takes`` become those of ``gives``.

    ``takes`` and ``gives`` are one packet, a list of them, or a mapping of ports to either; without ports, they are those of
    ``in`` and ``out``. Packets that come out have exactly the fields shown, and at least the metadata. ``files`` are there
    before, ``leaves`` afterwards (``None``: with any content); both map a path in the data directory to a text. A source takes
    nothing; a publisher gives nothing. :func:`pypes.testing.run_example` runs it.
    """

    takes: Packets = ()
    gives: Packets = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    leaves: Mapping[str, str | None] = field(default_factory=dict)

    def taken(self) -> dict[str, list[Packet]]:
        """The packets that go in by port, each a copy."""
        return _by_port(self.takes, "in")

    def given(self) -> dict[str, list[Packet]]:
        """The packets that come out by port, each a copy."""
        return _by_port(self.gives, "out")

    def to_obj(self) -> dict[str, Any]:
        """As JSON values: packets by port in their JSON form (``Packet.to_json``)."""
        return {
            "params": dict(self.params),
            "takes": {port: [packet.to_json() for packet in packets] for port, packets in self.taken().items()},
            "gives": {port: [packet.to_json() for packet in packets] for port, packets in self.given().items()},
            "files": dict(self.files),
            "leaves": dict(self.leaves),
        }


def _by_port(packets: Packets, port: str) -> dict[str, list[Packet]]:
    by_port = packets if isinstance(packets, Mapping) else {port: packets}
    listed = {name: [each] if isinstance(each, Packet) else each for name, each in by_port.items()}
    return {name: [packet.clone() for packet in each] for name, each in listed.items() if each}
