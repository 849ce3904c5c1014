"""Batch: several packets as one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pypes import Example, Help, Operator, Packet, Parameters

#: Metadata in which the packets of a batch agree, inherited or not.
APART: Final = ("acl",)

_ABSENT: Final = object()


class Batch(Operator):
    """Make one packet of up to ``size`` packets: ``items`` holds the fields of each as an object, in their order.

    For what follows that is cheaper for many at once, such as a request or a file for each batch (a component of your own gets
    batches by ``batch_size``, and needs no Batch). A batch goes on when it is full, when its first packet has waited ``wait_s``,
    and before that when nothing more can come, at drain for instance. The packets of a batch agree in who may read them
    (metadata ``acl``) and in all metadata that the graph inherits: one that differs begins a batch, and so does a deletion, which
    goes on by itself. The new packet belongs to all documents of the batch: they are published, or fail, together, and it has no
    id. Metadata that are the same in all packets are kept. Where a field has several values, the object has a list. What runs
    again after a crash may come in other batches.
    """

    icon = "package"
    tags = ("documents", "flow")
    example = Example(
        takes=[Packet({"n": 1}), Packet({"n": 2}), Packet({"n": 3})],
        gives=[Packet.from_document({"items": [{"n": 1}, {"n": 2}]}), Packet.from_document({"items": [{"n": 3}]})],
        params={"size": 2},
    )

    class Params(Parameters):
        size: Annotated[int, Help("Most packets in a batch.", ge=1, le=10_000)] = 100
        max_bytes: Annotated[int, Help("Most bytes of a batch, about; a larger packet is one by itself.", ge=1)] = 8 * 1024 * 1024
        wait_s: Annotated[float, Help("Longest wait for a full batch, at most hold_s of the node.", ge=0, le=3600)] = 1.0
        field: Annotated[str, Help("Field for the packets.", min_length=1)] = "items"

    def configure(self, given: Mapping[str, Any]) -> None:
        super().configure(given)
        params = self.params
        self.batch_size, self.batch_bytes, self.batch_s = params.size, params.max_bytes, params.wait_s

    def batch_key(self, packet: Packet) -> Any:
        if packet.is_deletion:
            return object()
        return [packet.get_meta(name) if packet.has_meta(name) else _ABSENT for name in (*APART, *self.inherits)]

    def process_batch(self, packets: list[Packet]) -> None:
        batch: list[Packet] = []
        key: Any = None
        for packet in packets:  # in a pool, they may differ
            own = self.batch_key(packet)
            if batch and own != key:
                self.send("out", self._made_of(batch))
                batch = []
            batch.append(packet)
            key = own
        self.send("out", self._made_of(batch))

    def _made_of(self, packets: list[Packet]) -> Packet:
        if packets[0].is_deletion:
            return packets[0]
        metas = [packet.get_metas()[0] for packet in packets]
        common = {name: value for name, value in metas[0].items() if all(_same(each, name, value) for each in metas)}
        items = [{name: packet.get(name) for name in packet.get_attribute_names()} for packet in packets]
        return Packet.from_document({self.params.field: items}, common)


def _same(meta: dict[str, Any], name: str, value: Any) -> bool:
    return name in meta and name not in _OWN and meta[name] == value


#: Metadata that say which document a packet is, and where it came from: a batch is none of them.
_OWN = frozenset({"id", "route", "receipt", "origin", "index", "document", "part", "run", "filename"})
