"""RenameField: move a field to another name."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pypes import Example, Help, Packet, Parameters, Transformer
from pypes_basic.copy_field import copy_field


class RenameField(Transformer):
    """Move the values and the metadata of one field to another name."""

    icon = "tag"
    tags = ("fields",)
    example = Example(
        takes=Packet({"name": "Ada"}),
        gives=Packet({"title": "Ada"}),
        params={"source": "name", "target": "title"},
    )

    class Params(Parameters):
        source: Annotated[str, Help("Field to rename; packets without it pass unchanged.")] = ""
        target: Annotated[str, Help("Its new name.")] = ""
        mode: Annotated[
            Literal["keep", "append", "overwrite"],
            Help("What to do where the target is there already; keep leaves both fields as they are."),
        ] = "overwrite"

    def setup(self) -> None:
        self.reconfigure(self.params)

    def reconfigure(self, params: Any) -> None:
        self._source, self._target, self._mode = params.source, params.target, params.mode
        self._renames = params.target and params.source != params.target

    def process(self, packet: Packet) -> Packet:
        if self._renames and packet.has(self._source) and not (self._mode == "keep" and packet.has(self._target)):
            copy_field(packet, self._source, self._target, self._mode)
            packet.delete(self._source)
        return packet
