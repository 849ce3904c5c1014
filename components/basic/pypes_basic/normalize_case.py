"""NormalizeCase: bring the values of fields to one case."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pypes import Example, Help, Packet, Parameters, Transformer

CASES: Mapping[str, Callable[[str], str]] = MappingProxyType({"lower": str.lower, "upper": str.upper, "title": str.title})


class NormalizeCase(Transformer):
    """Bring every string of the chosen fields to lower, upper or title case; other values stay as they are."""

    icon = "type"
    tags = ("fields", "text")
    example = Example(
        takes=Packet({"title": "HELLO"}),
        gives=Packet({"title": "hello"}),
        params={"fields": ["title"]},
    )

    class Params(Parameters):
        fields: Annotated[list[str], Help("Fields to change; those that are not there are passed over.")] = []
        case: Annotated[Literal["lower", "upper", "title"], Help("The case to bring them to.")] = "lower"

    def setup(self) -> None:
        self.reconfigure(self.params)

    def reconfigure(self, params: Any) -> None:
        self._fields, self._change = params.fields, CASES[params.case]

    def process(self, packet: Packet) -> Packet:
        change = self._change
        for name in self._fields:
            if not packet.has(name):
                continue
            value: Any = packet.get(name)
            if packet.is_multivalued(name):
                packet.set(name, [change(one) if isinstance(one, str) else one for one in value], multi=True)
            elif isinstance(value, str):
                packet.set(name, change(value))
        return packet
