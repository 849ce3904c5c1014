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

    def setup(self) -> None:
        self.reconfigure(self.params)

    def reconfigure(self, params: Any) -> None:
        self._field, self._value, self._multi = params.field, params.value, params.multi
        #: The value can be given to every packet as it is.
        self._is_plain = params.field and not params.multi and not isinstance(params.value, (list, dict))

    def process(self, packet: Packet) -> Packet:
        if self._is_plain:
            packet.set(self._field, self._value)
        elif self._field:
            # a list or dict of the parameters must not be shared by all packets
            packet.set(self._field, _copy(self._value), multi=self._multi)
        return packet


def _copy(value: Any) -> Any:
    """Copy of a JSON value."""
    if isinstance(value, list):
        return [_copy(item) for item in value]
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return value
