"""Batch: several packets as one."""

from __future__ import annotations

from typing import Annotated, Any

from pypes import Example, Help, Operator, Packet, Parameters


class Batch(Operator):
    """Make one packet of up to ``size`` packets: ``items`` holds the fields of each as an object, in their order.

    For what follows that is cheaper for many at once, such as a request or a file for each batch (a component of your own gets
    batches by ``batch_size``, and needs no Batch). A batch goes on when it is full, when its first packet has waited ``wait_s``,
    and before that when nothing more can come, at drain for instance. The new packet belongs to all documents of the batch: they
    are published, or fail, together, and it has no id. Metadata that are the same in all packets are kept. Where a field has
    several values, the object has a list. A deletion sends the batch before it and goes on by itself. What runs again after a
    crash may come in other batches.
    """

    icon = "package"
    tags = ("documents", "flow")
    holds = True
    example = Example(
        takes=[Packet({"n": 1}), Packet({"n": 2}), Packet({"n": 3})],
        gives=[Packet.from_document({"items": [{"n": 1}, {"n": 2}]}), Packet.from_document({"items": [{"n": 3}]})],
        params={"size": 2},
    )

    class Params(Parameters):
        size: Annotated[int, Help("Most packets in a batch.", ge=1, le=100_000)] = 100
        max_bytes: Annotated[int, Help("A batch that has about so many bytes is full.", ge=1)] = 8 * 1024 * 1024
        wait_s: Annotated[float, Help("Longest wait for a full batch, at most hold_s of the node.", ge=0, le=3600)] = 1.0
        field: Annotated[str, Help("Field for the packets.", min_length=1)] = "items"

    def setup(self) -> None:
        self.max_hold_s = self.params.wait_s
        self._held: list[Packet] = []
        self._bytes = 0

    def process(self, packet: Packet) -> None:
        if packet.is_deletion:
            for each in (*self.flush(), packet):
                self.send("out", each)
            self.release()
            return
        self._held.append(packet)
        self._bytes += packet.size_bytes()
        if len(self._held) >= self.params.size or self._bytes >= self.params.max_bytes:
            for each in self.flush():
                self.send("out", each)
            self.release()

    def flush(self) -> list[Packet]:
        held, self._held, self._bytes = self._held, [], 0
        if not held:
            return []
        metas = [packet.get_metas()[0] for packet in held]
        common = {name: value for name, value in metas[0].items() if all(_same(each, name, value) for each in metas)}
        items = [{name: packet.get(name) for name in packet.get_attribute_names()} for packet in held]
        return [Packet.from_document({self.params.field: items}, common)]


def _same(meta: dict[str, Any], name: str, value: Any) -> bool:
    return name in meta and name not in _OWN and meta[name] == value


#: Metadata that say which document a packet is, and where it came from: a batch is none of them.
_OWN = frozenset({"id", "route", "receipt", "origin", "index", "document", "part", "run", "filename"})
