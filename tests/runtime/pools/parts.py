"""Components for tests of pools; pool workers load them from this file."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Annotated, Any

from pypes.component import Adapter, Help, Parameters, Publisher, Transformer
from pypes.errors import Reject
from pypes.packet import Packet


class In(Adapter):
    """Takes JSON."""

    accepts = ("application/json",)

    def process(self, packet: Packet) -> Packet:
        return packet


class Keep(Publisher):
    """Keeps nothing."""

    def process(self, packet: Packet) -> None: ...


class Counting(Transformer):
    """Counts packets, also those that it then refuses."""

    def process(self, packet: Packet) -> Packet:
        self.count("seen")
        self.offload(self.count, "asked", 2)
        if packet.get("n") == 1:
            raise Reject("not this one", "my.code")
        return packet


class Work(Transformer):
    """Tells of the process in which it works."""

    outputs = {"out": "", "more": "", "unwired": ""}
    max_attempts = 2

    class Params(Parameters):
        do: Annotated[str, Help("Fault of the set-up.")] = ""
        secret: str = ""

    def setup(self) -> None:
        if self.params.do == "raise":
            self.log.warning("it begins with %s", self.params.secret)
            raise RuntimeError(f"no set-up with {self.params.secret}")
        if self.params.do == "hang":
            time.sleep(600)
        self.seen = 0

    def process(self, packet: Packet) -> Any:
        self.seen += 1
        self.log.warning("at work on %s", packet.get("n"))
        packet.set("pid", os.getpid())
        packet.set("thread", threading.get_ident())
        packet.set("connected", [port for port in ("in", "out", "more", "unwired") if self.is_connected(port)])
        packet.set("sent", self.send("unwired", packet.clone()))
        packet.set("offloaded", self.offload(lambda: 7))
        if packet.get("do") == "reject":
            raise Reject("not this one", "my.code")
        if packet.get("do") == "away":
            raise ConnectionRefusedError("nobody there")
        if packet.get("do") == "drop":
            return None
        if packet.get("do") == "coroutine":
            return self.later()
        if packet.get("do") == "memory":
            raise MemoryError
        if packet.get("do") == "receive":
            return self.receive("in")
        if packet.get("do") == "twice":
            self.send("more", packet)
        for k in range(packet.get("more", 0)):
            self.send("more", Packet({"k": k}))
        return packet

    async def later(self) -> None: ...

    def teardown(self) -> None:
        if self.params.do.startswith("/"):
            Path(self.params.do).write_text(str(os.getpid()))


class Batches(Transformer):
    """Takes batches."""

    def process_batch(self, packets: list[Packet]) -> list[Packet]:
        for packet in packets:
            packet.set("size", len(packets))
        return packets
