"""Components as their authors wrote them for the original Pypes, but for the syntax of Python 2."""

import os
import signal
import time
from pathlib import Path
from typing import IO, Any

from pypes.component import Component


class LineReader(Component):
    __metatype__ = "ADAPTER"

    def __init__(self) -> None:
        Component.__init__(self)

    def run(self) -> None:
        while True:
            for text in self.receive_all("in"):
                for line in text.splitlines():
                    self.send("out", line)
            self.yield_ctrl()


class Fork(Component):
    __metatype__ = "OPERATOR"

    def __init__(self) -> None:
        Component.__init__(self)
        self.add_output("out2", "a second way")

    def run(self) -> None:
        while True:
            for data in self.receive_all("in"):
                self.send("out", data)
                self.send("out2", data)
            self.yield_ctrl()


class Matching(Component):
    __metatype__ = "FILTER"

    def __init__(self, expression: str) -> None:
        Component.__init__(self)
        self.expression = expression

    def run(self) -> None:
        while True:
            for line in self.receive_all("in"):
                if self.expression in line:
                    self.send("out", line)
            self.yield_ctrl()


class Descending(Component):
    __metatype__ = "TRANSFORMER"

    def __init__(self) -> None:
        Component.__init__(self)

    def run(self) -> None:
        items: list[Any] = []
        while True:
            for item in self.receive_all("in"):
                items.append(item)
            items.sort(reverse=True)
            for item in items:
                self.send("out", item)
            items = []
            self.yield_ctrl()


class Pairs(Component):
    """A join: what comes at ``in`` and ``in2`` belongs together by its place."""

    __metatype__ = "OPERATOR"

    def __init__(self) -> None:
        Component.__init__(self)
        self.add_input("in2", "the second one")

    def run(self) -> None:
        while True:
            first, second = self.receive("in"), self.receive("in2")
            if first is not None:
                self.send("out", f"{first}+{second}")
            else:
                self.yield_ctrl()


class Doubler(Component):
    """One packet in a turn, as tests of the time had it."""

    __metatype__ = "TRANSFORMER"

    def __init__(self) -> None:
        Component.__init__(self)

    def run(self) -> None:
        while True:
            packet = self.receive("in")
            self.send("out", 2 * packet)
            self.yield_ctrl()


class Divide(Component):
    """Fails over zero, and sends to a port that it does not have."""

    __metatype__ = "TRANSFORMER"

    def __init__(self) -> None:
        Component.__init__(self)
        self.set_parameter("dividend", 12)

    def run(self) -> None:
        while True:
            for number in self.receive_all("in"):
                self.send("out", self.get_parameter("dividend") // number)
                if self.send("remainder", self.get_parameter("dividend") % number):
                    raise AssertionError("there is no such port")
            self.yield_ctrl()


class Killer(Component):
    """Ends its process over a number below zero, over the same one as often as its absolute says."""

    __metatype__ = "TRANSFORMER"

    def __init__(self, folder: str) -> None:
        Component.__init__(self)
        self.folder = folder

    def run(self) -> None:
        while True:
            for number in self.receive_all("in"):
                marks = len(list(Path(self.folder).glob(f"killed{number}-*")))
                if marks < -number:
                    Path(self.folder, f"killed{number}-{marks}").touch()
                    os.kill(os.getpid(), signal.SIGKILL)
                self.send("out", number)
            self.yield_ctrl()


class Gate(Component):
    """Waits with all that comes until there is a file ``open``; tells before that it has begun."""

    __metatype__ = "TRANSFORMER"

    def __init__(self, folder: str) -> None:
        Component.__init__(self)
        self.folder = folder

    def run(self) -> None:
        while True:
            for data in self.receive_all("in"):
                Path(self.folder, f"begun-{os.getpid()}").touch()
                while not Path(self.folder, "open").exists():
                    time.sleep(0.01)
                self.send("out", data)
            self.yield_ctrl()


class Appender(Component):
    """Writes lines to a file, each with the process that it was written by."""

    __metatype__ = "PUBLISHER"

    def __init__(self, path: str) -> None:
        Component.__init__(self)
        self.remove_output("out")
        self.path = path

    def run(self) -> None:
        while True:
            for data in self.receive_all("in"):
                with Path(self.path).open("a") as file:
                    file.write(f"{data} {os.getpid()}\n")
            self.yield_ctrl()


class Tail(Component):
    __metatype__ = "ADAPTER"

    def __init__(self, file: IO[str]) -> None:
        Component.__init__(self)
        self.file = file

    def run(self) -> None:
        while True:
            self.receive("in")
            line = self.file.readline()
            if line:
                self.send("out", line.strip())
            else:
                self.yield_ctrl()
