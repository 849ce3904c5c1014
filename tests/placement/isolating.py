"""Isolated components as tests run them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pypes.component import Component
from pypes.core.limits import MIB, Limits
from pypes.graph.model import Graph, GraphNode, Wire
from pypes.packet import Packet
from pypes.placement import isolate
from pypes.runtime.scheduler import Failure
from pypes.testing import run_component
from pypes.testing.component import Result
from tests.placement import samples

LIMITS = Limits(isolated_bytes=400 * MIB)


def run(component: Component, packets: list[Any], timeout_s: float = 60.0, data_dir: Path | None = None) -> Result:
    made = isolate(component, limits=LIMITS, timeout_s=timeout_s)
    made.data_dir = str(data_dir or ".")
    return run_component(made, packets)


def does(*what: str, data_dir: Path | None = None, timeout_s: float = 60.0) -> tuple[list[Any], list[Failure]]:
    """What comes of packets that ask for ``what``, each between two good ones."""
    packets = [Packet({"id": "good"})]
    for each in what:
        packets += [Packet({"id": "bad", "do": each}), Packet({"id": "good"})]
    found = run(samples.Apart(), packets, timeout_s, data_dir)
    good = [packet for packet in found.packets if packet.get("id") == "good"]
    assert len(good) == len(what) + 1
    return [packet for packet in found.packets if packet.get("id") == "bad"], list(found.dead_letters)


def graph(*names: str, wires: tuple[Wire, ...] = ()) -> Graph:
    return Graph(name="test", nodes={name: GraphNode(name, "x", {}) for name in names}, wires=wires)
