"""CopyField: copy a field to another name."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pypes import Example, Help, Packet, Parameters, Transformer


class CopyField(Transformer):
    """Copy the values and the metadata of one field to another."""

    icon = "copy"
    tags = ("fields",)
    example = Example(
        takes=Packet({"name": "Ada"}),
        gives=Packet({"name": "Ada", "title": "Ada"}),
        params={"source": "name", "target": "title"},
    )

    class Params(Parameters):
        source: Annotated[str, Help("Field to copy; packets without it pass unchanged.")] = ""
        target: Annotated[str, Help("Field that takes the copy.")] = ""
        mode: Annotated[Literal["keep", "append", "overwrite"], Help("What to do where the target is there already.")] = (
            "overwrite"
        )

    def setup(self) -> None:
        self.reconfigure(self.params)

    def reconfigure(self, params: Any) -> None:
        self._source, self._target, self._mode = params.source, params.target, params.mode
        self._copies = params.target and params.source != params.target

    def process(self, packet: Packet) -> Packet:
        if self._copies and packet.has(self._source):
            copy_field(packet, self._source, self._target, self._mode)
        return packet


def copy_field(packet: Packet, source: str, target: str, mode: str) -> None:
    """Copy field ``source``, which is there, to ``target`` with its metadata. ``mode`` as the parameter of that name."""
    is_there = packet.has(target)
    if is_there and mode == "keep":
        return
    is_multi = packet.is_multivalued(source)
    if is_there and mode == "append":
        packet.append(target, packet.get(source), extend=is_multi)
    else:
        packet.set(target, packet.get(source), multi=is_multi, keep_meta=False)
    for name, value in packet.get_metas()[1].get(source, {}).items():
        packet.set_meta(name, value, attr=target)
