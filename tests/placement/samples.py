"""Components for the tests of isolation; a module of its own, because the child process imports it."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import signal
import subprocess
import sys
import threading
import urllib.error
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from pypes.component import Adapter, Operator, Transformer
from pypes.component.functions import component
from pypes.component.parameters import Parameters
from pypes.core.values import Body
from pypes.errors import Reject, Retry, Unreachable
from pypes.packet import Packet
from pypes.registry.loading import load_file


class Gather(Operator):
    """Two inputs; leaves its process id in metadata."""

    isolated = True
    inputs: ClassVar[Mapping[str, str]] = {"in": "", "in2": ""}

    def process(self, packet: Packet) -> Packet:
        packet.set_meta("pid", os.getpid())
        return packet


class Tells(Transformer):
    """Knows one secret more, and tells it everywhere."""

    isolated = True

    def process(self, packet: Packet) -> Packet:
        known, more = packet.get("password"), packet.get("more")
        self.secrets.add(more)
        logging.getLogger(f"client {more}").warning("took %s", packet, extra={"password": known})
        sys.stdout.write(f"{known} {more}\n")
        raise ValueError(f"{known} {more}")


class Apart(Transformer):
    """Does what a packet's field ``do`` says, and leaves its process id in metadata."""

    isolated = True

    class Params(Parameters):
        marks: list[str] = ["a"]

    def process(self, packet: Any) -> Any:
        if isinstance(packet, Packet):
            packet.set_meta("pid", os.getpid())
            packet.set_meta("marks", self.params.marks)
            if packet.has("do"):
                return getattr(self, packet.get("do"))(packet)
        return packet

    def drop(self, packet: Packet) -> None:
        return None

    def value(self, packet: Packet) -> Any:
        raise ValueError(f"bad {packet.get('id')}")

    def reject(self, packet: Packet) -> Any:
        raise Reject("not wanted", "sample.rejected")

    def retry(self, packet: Packet) -> Any:
        raise Retry(0.0, "later")

    def unreachable(self, packet: Packet) -> Any:
        raise Unreachable(0.0, "nobody there")

    def refused(self, packet: Packet) -> Any:
        raise urllib.error.URLError(ConnectionRefusedError("nobody there"))

    def exit(self, packet: Packet) -> Any:
        sys.exit(3)

    def die(self, packet: Packet) -> Any:
        os._exit(3)

    def crash(self, packet: Packet) -> Any:
        ctypes.string_at(0)

    def abort(self, packet: Packet) -> Any:
        os.abort()

    def killed_once(self, packet: Packet) -> Any:
        """Somebody kills it the first time."""
        mark = Path(self.data_dir, "killed")
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return packet

    def hang(self, packet: Packet) -> Any:
        while True:
            pass

    def hang_deaf(self, packet: Packet) -> Any:
        """Hang in C, where no signal handler and no thread of Python's runs."""
        ctypes.PyDLL(None).pause()

    def hang_with_tool(self, packet: Packet) -> Any:
        with subprocess.Popen(["sleep", "60"]) as tool:
            Path(self.data_dir, "tool").write_text(str(tool.pid))

    def exhaust(self, packet: Packet) -> Any:
        return bytearray(4 << 30)

    def leak(self, packet: Packet) -> Packet:
        self.__dict__.setdefault("leaked", []).append(bytearray(100 << 20))
        return packet

    def odd(self, packet: Packet) -> Packet:
        packet.set("lock", threading.Lock())
        return packet

    def speak(self, packet: Packet) -> Packet:
        self.log.warning("look at %s", packet.get("id"), extra={"n": 1})
        try:
            raise KeyError("gone")
        except KeyError:
            self.log.exception("odd", extra={"lock": threading.Lock()})
        return packet

    def read(self, packet: Packet) -> Packet:
        with packet.open("data") as stream:
            packet.set("size", len(stream.read()))
        return packet

    def own_body(self, packet: Packet) -> Packet:
        packet.set("made", Made())
        return packet

    def no_port(self, packet: Packet) -> None:
        self.send("nowhere", packet)


class Made(Body):
    """A body that exists only in the child."""

    size = 3

    def open(self) -> Any:
        raise NotImplementedError

    def read(self) -> bytes:
        return b"abc"


class Reader(Adapter):
    """Accepts something."""

    isolated = True
    accepts: ClassVar[tuple[str, ...]] = ("text/x-sample",)
    max_attempts = 2
    timeout_s = 7.0


class Parts(Operator):
    """Sends ``n`` packets to each of its ports, in turn, and returns one."""

    isolated = True
    outputs: ClassVar[dict[str, str]] = {"out": "", "odd": "", "unwired": ""}

    def process(self, packet: Packet) -> Packet:
        for number in range(packet.get("n")):
            part = packet.clone()
            part.set("part", number)
            self.send("odd" if number % 2 else "out", part)
        if packet.get("fails"):
            raise ValueError("after sending")
        packet.set("unwired", self.send("unwired", packet))
        return packet


class Batch(Transformer):
    """Works on lists."""

    isolated = True

    def process_batch(self, packets: list[Packet]) -> Any:
        for packet in packets:
            packet.set("of", len(packets))
            yield packet
            yield None


@contextlib.contextmanager
def says_when_closed(path: str) -> Iterator[None]:
    yield
    with Path(path).open("a") as file:
        file.write("closed\n")


class SetUp(Transformer):
    """Writes down its life in its data directory; set up for the second time, it fails."""

    isolated = True

    def setup(self) -> None:
        lives = Path(self.data_dir, "lives")
        with lives.open("a") as file:
            file.write("setup\n")
        self.shared(says_when_closed, str(lives))
        if lives.read_text().count("setup") == 2:
            raise OSError("no licence left")

    def process(self, packet: Packet) -> Packet:
        if packet.get("do") == "crash":
            os.abort()
        return packet

    def teardown(self) -> None:
        with Path(self.data_dir, "lives").open("a") as file:
            file.write("teardown\n")


class Mute:
    """Has no text."""

    def __repr__(self) -> str:
        raise LookupError("no text")


class SpeaksBadly(Transformer):
    """Logs lines that cannot be formatted, at set-up and of each packet."""

    isolated = True

    def setup(self) -> None:
        self.log.warning("set up %d", "x")

    def process(self, packet: Packet) -> Packet:
        itself: list[object] = []
        itself.append(itself)
        self.log.warning("a %s %s", 1)
        logging.getLogger("lib").warning("b %s", Mute(), extra={"mute": Mute(), "itself": itself, "pair": {(1, 2): Mute()}})
        logging.getLogger("lib").warning("c", exc_info=(1,))  # type: ignore[arg-type]
        return packet


class NeverReady(Transformer):
    """Cannot be set up."""

    isolated = True

    class Params(Parameters):
        how: str = "raise"

    def setup(self) -> None:
        if self.params.how == "crash":
            os.abort()
        raise LookupError("no model")


class SlowToStart(Transformer):
    """Its set-up does not end."""

    isolated = True

    def setup(self) -> None:
        Path(self.data_dir, "started").touch()
        while True:
            pass


class Stays(Transformer):
    """Does not want to go."""

    isolated = True

    def process(self, packet: Packet) -> Packet:
        return packet

    def teardown(self) -> None:
        while True:
            pass


class WaitsForFile(Transformer):
    """Done when the file ``go`` is there."""

    isolated = True

    def process(self, packet: Packet) -> Packet:
        Path(self.data_dir, "waits").write_text(str(os.getpid()))
        while not Path(self.data_dir, "go").exists():
            pass
        return packet


@component(name="Doubled")
def double(packet: Packet, field: str = "n") -> Packet:
    packet.set(field, packet.get(field) * 2)
    return packet


double.isolated = True


class Raises(Transformer):
    """Raises what the packet says."""

    isolated = True
    max_attempts = 1

    def setup(self) -> None:
        # the child does not know the tests by name
        self.raising = load_file(Path(__file__).parents[1] / "runtime/scheduler/exceptions.py").RAISING

    def process(self, packet: Packet) -> Packet:
        if packet.has("kind"):
            self.raising[packet.get("kind")]()
        return packet


class Returns(Transformer):
    """Returns what the packet says."""

    isolated = True

    def process(self, packet: Packet) -> Any:
        kind = packet.get("kind")
        if kind == "coroutine":
            return _promised(packet)
        return {"list": [packet], "true": True, "generator": (each for each in [packet])}.get(kind, packet)


class ReturnsInBatch(Returns):
    def process_batch(self, packets: list[Packet]) -> list[Any]:
        return [self.process(packet) for packet in packets]


async def _promised(packet: Packet) -> Packet:
    return packet
