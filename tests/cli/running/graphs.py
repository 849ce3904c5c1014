"""A graph for tests of ``pypes run``, and the command in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

GRAPH: dict[str, Any] = {
    "pypes": 1,
    "name": "lines",
    "nodes": {
        "json": {"component": "JSON"},
        "csv": {"component": "CSV"},
        "text": {"component": "Text"},
        "drop": {"component": "DropDocument", "params": {"fields": ["drop"]}},
        "lines": {"component": "JSONLines", "params": {"path": "-"}},
    },
    "wires": [["json.out", "drop.in"], ["csv.out", "drop.in"], ["text.out", "drop.in"], ["drop.out", "lines.in"]],
}

#: Components for these tests; what they are told by their documents they do.
COMPONENTS = """
import ctypes
import os
import time

from pypes import Transformer


class Odd(Transformer):
    def process(self, packet):
        if packet.get("n") == 7:
            raise ValueError("seven")
        return packet if packet.get("n") % 2 else None


class Calls(Transformer):
    def process(self, packet):
        self.offload(time.sleep, 0.01)
        return packet


class Process(Transformer):
    def process(self, packet):
        packet.set("pid", os.getpid())
        return packet


class Hangs(Transformer):
    'Says that it is at work, and does not come back.'

    def process(self, packet):
        open("at-work", "w").close()
        getattr(self, packet.get("how"))()

    def sleep(self):
        time.sleep(60)

    def native(self):
        ctypes.CDLL(None).sleep(60)

    def call(self):
        self.offload(time.sleep, 60)

    def swallow(self):
        while True:
            try:
                time.sleep(60)
            except BaseException:
                pass


class HangsAtTheEnd(Hangs):
    def teardown(self):
        time.sleep(60)
"""


def write(place: Path, component: str, **options: Any) -> str:
    """A graph that leads JSON through one component to standard output; returns its arguments for the command."""
    graph = {
        "pypes": 1,
        "name": "tried",
        "nodes": {
            "json": {"component": "JSON"},
            "tried": {"component": component, **options},
            "lines": {"component": "JSONLines"},
        },
        "wires": [["json.out", "tried.in"], ["tried.out", "lines.in"]],
    }
    (place / "components.py").write_text(COMPONENTS)
    (place / "tried.json").write_text(json.dumps(graph))
    return "tried.json"


def command(*arguments: str) -> list[str]:
    """``pypes run``, with the components at hand."""
    return [sys.executable, "-P", "-m", "pypes", "run", *arguments]


def run(place: Path, *arguments: str, data: bytes = b"", expect: int = 0) -> tuple[list[Any], str]:
    """What came out on standard output, as JSON, and what was said on standard error."""
    done = subprocess.run(command(*arguments), cwd=place, input=data, capture_output=True, check=False, timeout=60)
    assert done.returncode == expect, done.stderr.decode()
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr.decode()
