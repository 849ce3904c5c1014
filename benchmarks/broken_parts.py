"""Components that break their graph, each in one way: for ``benchmarks.shares``, loaded by its nodes."""

from __future__ import annotations

import os
import socket
from typing import Annotated

from pypes import Help, Packet, Parameters, Publisher, Transformer


class Reject(Transformer):
    """Fails with every packet."""

    def process(self, packet: Packet) -> Packet:
        raise ValueError("this filter is misconfigured")


class Deadly(Transformer):
    """Ends its process where the field ``deadly`` is true."""

    def process(self, packet: Packet) -> Packet:
        if packet.get("deadly"):
            os._exit(3)
        return packet


class Refused(Publisher):
    """Publishes to a port of this machine on which nobody listens."""

    class Params(Parameters):
        port: Annotated[int, Help("The port.", ge=1, le=65535)]

    def process_batch(self, packets: list[Packet]) -> None:
        socket.create_connection(("127.0.0.1", self.params.port), timeout=5).close()
