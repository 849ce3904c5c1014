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

    def reconfigure(self, params: Any) -> None:
        """Nothing is kept beside the parameters."""

    def process(self, packet: Packet) -> Packet:
        source, target, mode = self.params.source, self.params.target, self.params.mode
        if target and source != target and packet.has(source) and not (mode == "keep" and packet.has(target)):
            copy_field(packet, source, target, mode)
            packet.delete(source)
        return packet
