"""SetField: give a field a value."""

from __future__ import annotations

from typing import Annotated, Any

from pypes import Example, Help, Packet, Parameters, Transformer


class SetField(Transformer):
    """Set a field to a fixed value, whether or not it is there."""

    icon = "pencil"
    tags = ("fields",)
    example = Example(
        takes=Packet({"title": "Ada"}),
        gives=Packet({"title": "Ada", "kind": "person"}),
        params={"field": "kind", "value": "person"},
    )

    class Params(Parameters):
        field: Annotated[str, Help("Field to set; while empty, packets pass unchanged.")] = ""
        value: Annotated[Any, Help("Value to set, any JSON value.")] = ""
        multi: Annotated[bool, Help("A list stands for many values instead of being one.")] = False

    def reconfigure(self, params: Any) -> None:
        """Nothing is kept beside the parameters."""

    def process(self, packet: Packet) -> Packet:
        params = self.params
        if params.field:
            value = params.value
            # a list or dict of the parameters must not be shared by all packets
            packet.set(params.field, _copy(value) if isinstance(value, (list, dict)) else value, multi=params.multi)
        return packet


def _copy(value: Any) -> Any:
    """Copy of a JSON value."""
    if isinstance(value, list):
        return [_copy(item) for item in value]
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return value
