"""Discovery finds out what components are without their constructors, or without what these do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pypes.registry import discover

pytestmark = pytest.mark.usefixtures("site")

SOURCE = """
import os, pathlib, socket, sqlite3, subprocess, sys, threading
from pypes import Component, Help, Packet, Parameters, Publisher, Transformer

HERE = {here!r}

def touch(name):
    pathlib.Path(HERE, name).write_text("acted")


class Slow(Transformer):
    "Its ports and parameters are those of the class."
    outputs = {{"out": "Usual", "odd": "Odd"}}

    class Params(Parameters):
        field: str = "text"

    def __init__(self):
        super().__init__()
        self.models = self.load()

    def load(self):
        touch("slow")
        threading.Event().wait()

    def process(self, packet):
        return packet


class Declares(Component):
    __metatype__ = "TRANSFORMER"

    def __init__(self):
        Component.__init__(self)
        self.declare()

    def declare(self):
        self.set_parameter("tag", "new", ["new", "old"])
        self.add_output("second", "Another")

    def run(self):
        pass


class Writes(Declares):
    def __init__(self):
        super().__init__()
        touch("writes")


class Deletes(Declares):
    def __init__(self):
        super().__init__()
        os.remove(os.path.join(HERE, "precious"))


class Connects(Declares):
    def __init__(self):
        super().__init__()
        socket.create_connection(("127.0.0.1", 9))


class Stores(Declares):
    def __init__(self):
        super().__init__()
        self.db = sqlite3.connect(os.path.join(HERE, "stored.db"))


class Starts(Declares):
    def __init__(self):
        super().__init__()
        subprocess.run([sys.executable, "-c", "pass"])


class Hushed(Declares):
    "What it tries is not done; it does not mind."
    def __init__(self):
        super().__init__()
        try:
            touch("hushed")
        except OSError:
            pass
        self.text = open(__file__).read()


class Needs(Transformer):
    def __init__(self, service):
        super().__init__()
"""


def test_constructors_delay_nothing_and_act_nowhere(tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    (here / "precious").write_text("kept")
    path = tmp_path / "acting.py"
    path.write_text(SOURCE.format(here=str(here)))
    found = discover(load_files=[path])
    assert (found["Slow"].error, dict(found["Slow"].outputs)) == (None, {"out": "Usual", "odd": "Odd"})
    assert list(found["Slow"].schema["properties"]) == ["field"]
    for name in ("Declares", "Hushed"):
        assert (found[name].error, sorted(found[name].outputs)) == (None, ["out", "second"])
        assert found[name].schema["properties"]["tag"]["default"] == "new"
    told = {
        "Writes": "writes' to write",
        "Deletes": "os.remove",
        "Connects": "socket.getaddrinfo",
        "Stores": "sqlite3.connect",
        "Starts": "subprocess.Popen",
    }
    for name, what in told.items():
        error = found[name].error or ""
        assert what in error, name
        assert "move that to setup()" in error, name
    assert "service" in (found["Needs"].error or "")
    assert os.listdir(here) == ["precious"]  # noqa: PTH208


def test_a_constructor_that_declares_and_never_ends_costs_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "hanging.py"
    path.write_text(
        "import threading\nimport pypes.registry.constructing as constructing\nfrom pypes import Component, Transformer\n"
        "constructing.INIT_S = 0.1\n"
        "class Hangs(Transformer):\n    def __init__(self):\n        super().__init__()\n        self.add_output('x')\n"
        "        threading.Event().wait()\n"
        "class Sound(Transformer):\n    def process(self, packet):\n        return packet\n"
    )
    found = discover(load_files=[path])
    assert found["Hangs"].error == "its __init__ took more than 0.1 s; move what takes long to setup()"
    assert found["Sound"].error is None
