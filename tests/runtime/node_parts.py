"""Components of the graphs under test: an adapter, a publisher, and filters of which one misbehaves at set-up as it is told."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Annotated

from pypes import Adapter, Help, Packet, Parameters, Publisher, Transformer


class In(Adapter):
    """Takes anything."""

    accepts = ("*/*",)

    def process(self, packet: Packet) -> Packet:
        return packet


class Out(Publisher):
    """Appends field ``n`` to a file."""

    class Params(Parameters):
        file: Annotated[str, Help("Where to write; nowhere if empty.")] = ""

    def process(self, packet: Packet) -> None:
        if self.params.file:
            with Path(self.params.file).open("a") as file:
                file.write(f"{packet.get('n')}\n")


class Tuned(Transformer):
    """Writes how often it was set up; takes new parameters as it runs, but not a bad one."""

    class Params(Parameters):
        file: Annotated[str, Help("Where to write.")] = ""
        mark: Annotated[str, Help("Value of field mark.")] = ""

    def setup(self) -> None:
        with Path(self.params.file).open("a") as file:
            file.write("set up\n")
        if self.params.mark == "worse":
            raise RuntimeError("cannot be marked like this")

    def reconfigure(self, params: Params) -> None:
        if params.mark in ("bad", "worse"):
            raise RuntimeError("not in place")

    def process(self, packet: Packet) -> Packet:
        packet.set("n", f"{packet.get('n')}-{self.params.mark}")
        return packet


class Odd(Transformer):
    """Does at set-up what it is told."""

    class Params(Parameters):
        do: Annotated[str, Help("What to do.")] = "nothing"
        file: Annotated[str, Help("Where to write.")] = ""

    def setup(self) -> None:
        do = self.params.do
        if do == "raise":
            raise RuntimeError(f"no such thing as {self.params.file}")
        if do == "hang":
            time.sleep(3600)
        if do == "wait":  # until there is a file, and say so
            Path(f"{self.params.file}.waiting").touch()
            while not Path(self.params.file).exists():
                time.sleep(0.01)
        if do == "die-once":
            try:
                Path(self.params.file).touch(exist_ok=False)
            except FileExistsError:
                return
        if do in ("die", "die-once"):
            os.kill(os.getpid(), signal.SIGKILL)
        if do == "raise-if-missing" and not Path(self.params.file).exists():
            raise RuntimeError("it is missing")
        if do == "child":
            child = subprocess.Popen(["sleep", "3600"])
            with Path(self.params.file).open("a") as file:
                file.write(f"{child.pid}\n")

    def process(self, packet: Packet) -> Packet:
        if self.params.do == "dawdle":
            time.sleep(float(self.params.file))
        return packet
