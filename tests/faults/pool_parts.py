"""Components that the node under test loads (``--load``): one that does what documents say, for pools, and those around it."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from pathlib import Path
from typing import Any

from pypes import Adapter, Packet, Parameters, Publisher, Reject, Retry, Transformer, Unreachable


def _hang() -> None:
    threading.Event().wait()


class In(Adapter):
    """Takes anything."""

    accepts = ("application/json",)

    def process(self, packet: Packet) -> Packet:
        return packet


class Work(Transformer):
    """Does what the document says, and tells where."""

    outputs = {"out": "", "more": ""}

    class Params(Parameters):
        mark: str = ""
        folder: str = ""

    params: Params

    def setup(self) -> None:
        if self.params.mark == "bad":
            raise RuntimeError("cannot be set up like this")
        if self.params.mark == "hangs":
            _hang()
        if self.params.folder and Path(self.params.folder, "away").exists():
            raise RuntimeError("the model is away")
        self.tries: dict[Any, int] = {}

    def reconfigure(self, params: Any) -> None:
        raise RuntimeError("what runs in a pool is set up anew")

    def process(self, packet: Packet) -> Packet | None:
        packet.set("pid", os.getpid())
        packet.set("mark", self.params.mark)
        do = packet.get("do")
        if do is None:
            return packet
        found: Packet | None = getattr(self, do)(packet)
        return found

    def exit(self, packet: Packet) -> None:
        os._exit(3)

    def hang(self, packet: Packet) -> None:
        _hang()

    def tools(self, packet: Packet) -> None:
        """Starts two processes, one of which leaves the process group, and ends as the document says."""
        tools = [subprocess.Popen(["sleep", "600"], start_new_session=is_apart) for is_apart in (False, True)]
        path = Path(packet.get("path"))
        path.with_suffix(".part").write_text(" ".join(str(tool.pid) for tool in tools))
        path.with_suffix(".part").rename(path)
        getattr(self, packet.get("then"))(packet)

    def memory(self, packet: Packet) -> None:
        self.kept = b"x" * (1 << 30)

    def raises(self, packet: Packet) -> None:
        raise ValueError("no good")

    def reject(self, packet: Packet) -> None:
        raise Reject("not this one", "my.code")

    def retry(self, packet: Packet) -> Packet:
        tries = self.tries[packet.get("n")] = self.tries.get(packet.get("n"), 0) + 1
        if tries < 3:
            raise Retry(0.0, "again")
        return packet

    def drop(self, packet: Packet) -> None:
        return None

    def more(self, packet: Packet) -> Packet:
        for k in range(3):
            made = packet.clone()
            made.set("k", k)
            self.send("more", made)
        return packet

    def wait(self, packet: Packet) -> Packet:
        path = Path(packet.get("path"))
        path.with_name(path.name + ".begun").touch()
        pause = threading.Event()
        while not path.exists():
            pause.wait(0.002)
        return packet

    def must_have(self, packet: Packet) -> Packet:
        if not Path(packet.get("path")).exists():
            raise Reject("it is not there", "my.code")
        return packet

    def away(self, packet: Packet) -> Packet:
        path = Path(packet.get("path"))
        if not path.exists():
            path.with_name(path.name + ".tried").touch()
            raise Unreachable("the service is away")
        return packet


class Batches(Work):
    """The same of batches; tells of each packet with how many it was done."""

    def process_batch(self, packets: list[Packet]) -> list[Packet | None]:
        for packet in packets:
            packet.set("together", len(packets))
        return [self.process(packet) for packet in packets]


class File(Publisher):
    """Appends a JSON line for each packet, which it cannot take back."""

    class Params(Parameters):
        file: str

    params: Params

    def process(self, packet: Packet) -> None:
        with Path(self.params.file).open("a") as file:
            file.write(json.dumps({key: packet.get(key) for key in ("n", "k", "pid", "mark", "together")}) + "\n")
