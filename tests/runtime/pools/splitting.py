"""Components that make very many packets of one; pool workers load them from this file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pypes.component import Parameters, Publisher, Transformer
from pypes.packet import Packet


def memory(field: str) -> int:
    """Memory of this process, in bytes: ``VmRSS`` now, ``VmHWM`` at most since :func:`forget_peak`."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) << 10
    raise LookupError(field)


def forget_peak() -> int:
    """Begin anew with the most memory; returns what there is now."""
    Path("/proc/self/clear_refs").write_text("5")
    return memory("VmRSS")


class Split(Transformer):
    """Makes so many packets of one, and a last one that tells how much memory that took."""

    class Params(Parameters):
        count: int = 1
        size: int = 1

    params: Params

    def process(self, packet: Packet) -> Packet:
        before = forget_peak()
        for n in range(self.params.count):
            self.send("out", Packet({"n": n, "text": "x" * self.params.size}))
        packet.set("grown", memory("VmHWM") - before)
        return packet


class SplitBatch(Split):
    """The same of a batch."""

    def process_batch(self, packets: list[Packet]) -> Iterator[Packet]:
        before = forget_peak()
        for n in range(self.params.count):
            yield Packet({"n": n, "text": "x" * self.params.size})
        yield Packet({"grown": memory("VmHWM") - before})


class SplitApart(Split):
    isolated = True


class Count(Publisher):
    """Counts what it gets, and keeps the last number."""

    def setup(self) -> None:
        self.numbers = 0
        self.is_in_order = True
        self.grown: list[int] = []

    def process(self, packet: Packet) -> None:
        if packet.has("grown"):
            self.grown.append(packet.get("grown"))
        else:
            self.is_in_order = self.is_in_order and packet.get("n") == self.numbers
            self.numbers += 1
