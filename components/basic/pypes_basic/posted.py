"""Posted: takes documents of all types as they are."""

from __future__ import annotations

from typing import ClassVar

from pypes import Adapter, Example, Packet


class Posted(Adapter):
    """Take documents of all types as they were posted, for a filter that stands before the adapters.

    A file is bytes in field ``data``; a JSON object, which the server has parsed already, has its fields. Metadata ``mimetype``
    says which type it is. Wire it to the filter, such as ``Unchanged`` or ``Throttle``, and that to an adapter, or to ``Route``
    where there are several.
    """

    icon = "inbox"
    tags = ("format",)
    example = Example(
        takes=Packet({"data": b"caf\xe9"}, {"mimetype": "text/plain", "charset": "latin1"}),
        gives=Packet({"data": b"caf\xe9"}, {"mimetype": "text/plain", "charset": "latin1"}),
    )

    accepts: ClassVar[tuple[str, ...]] = ("*/*",)

    def process_batch(self, packets: list[Packet]) -> list[Packet]:
        return packets
