"""{{cookiecutter.component}}: what it does, in one sentence."""

from __future__ import annotations

from typing import Annotated

from pypes.component import Example, Transformer
from pypes.component.parameters import Help, Parameters
from pypes.packet import Packet


class {{cookiecutter.component}}(Transformer):
    """Strip white space around the values of a field. (Replace this by what yours does: it is shown in the catalogue.)"""

    icon = "pencil"
    tags = ("fields", "text")
    #: Shown in the catalogue, and run as a test by ComponentSuite.
    example = Example(takes=Packet({"title": "  Ada "}), gives=Packet({"title": "Ada"}), params={"field": "title"})

    class Params(Parameters):
        field: Annotated[str, Help("Field to strip.")] = "title"

    def setup(self) -> None:
        """Load models and open clients here: it runs once per process."""

    def process(self, packet: Packet) -> Packet | None:
        """Return the packet (or another), None to drop it, or self.send(port, packet) any number of times."""
        value = packet.get(self.params.field)
        if isinstance(value, str):
            packet.set(self.params.field, value.strip())
        return packet
