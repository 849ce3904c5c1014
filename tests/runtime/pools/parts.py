"""Components for tests of pools; pool workers load them from this file."""

from __future__ import annotations

import logging
import os
import threading
import time
from pathlib import Path
from typing import Annotated, Any

from pypes.component import Adapter, Help, Parameters, Publisher, Transformer
from pypes.errors import Reject, Retry
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
        if self.params.do == "file" and Path(self.params.secret).exists():
            raise RuntimeError("not now")
        if self.params.do == "die":
            os._exit(3)
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


class SpeaksBadly(Transformer):
    """Logs lines that cannot be formatted, at set-up and of each packet."""

    class Params(Parameters):
        secret: str = ""

    def setup(self) -> None:
        self.log.warning("set up %d", self.params.secret)

    def process(self, packet: Packet) -> Packet:
        logging.getLogger("lib").warning("a %s %s", 1, extra={"path": Path(self.params.secret), "mute": Mute()})
        return packet


class Mute:
    """Has no text."""

    def __repr__(self) -> str:
        raise LookupError("no text")


class Batches(Transformer):
    """Takes batches, and does with them what its parameter says."""

    outputs = {"out": "", "more": ""}
    max_attempts = 2
    batch_size = 8

    class Params(Parameters):
        does: str = "mark"

    params: Params

    def process_batch(self, packets: list[Packet]) -> Any:
        for packet in packets:
            packet.set("size", len(packets))
        return getattr(self, self.params.does)(packets)

    def mark(self, packets: list[Packet]) -> list[Packet]:
        return packets

    def anew(self, packets: list[Packet]) -> list[Packet | None]:
        return [Packet({"n": packet.get("n")}) if packet.get("n") % 2 else None for packet in packets]

    def some(self, packets: list[Packet]) -> Any:
        yield from (packet for packet in packets if packet.get("n") % 2)

    def twice(self, packets: list[Packet]) -> list[Packet]:
        return [made for packet in packets for made in (packet, Packet({"n": -packet.get("n")}))]

    def sums(self, packets: list[Packet]) -> list[Packet]:
        self.send("more", Packet({"n": sum(packet.get("n") for packet in packets)}))
        return packets

    def only_sums(self, packets: list[Packet]) -> None:
        self.sums(packets)

    def many(self, packets: list[Packet]) -> Any:
        for k in range(1000):
            yield Packet({"n": k, "size": len(packets)})

    def keeps(self, packets: list[Packet]) -> list[Packet]:
        for packet in packets:
            self.keep(packet)
        return [packet for packet in packets if packet.get("n") == 0]

    def bad(self, packets: list[Packet]) -> list[Packet]:
        self.sums(packets)
        if any(packet.get("n") == 3 for packet in packets):
            raise Reject("not with 3", "my.code")
        return packets

    def late(self, packets: list[Packet]) -> list[Packet]:
        raise Retry(0.0, "not yet")

    def odd(self, packets: list[Packet]) -> list[Any]:
        return [packets[0], ["no packet"]]

    def coroutine(self, packets: list[Packet]) -> Any:
        return self.later()

    async def later(self) -> None: ...
