"""Which modules one POST, one deployment and one replay pass: ``python -m benchmarks.walks`` prints them and their number.

A real node of one worker and one instance runs with a mark at the beginning of every function of ``pypes``. Each walk is made
twice: the first time imports what is imported late, the second time counts. A module is passed if one of its functions is
called between the request and the end of the walk, and that function is not called while the node is idle.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pypes
from pypes.testing.node import Node, until

ROOT = Path(pypes.__file__).parent
IDLE_S = 12.0
#: The first start compiles everything, with marks.
READY_S = 120.0
#: What follows an answer: the acknowledgement of a delivery, the end of the instances that were replaced.
AFTER_S = 2.0

#: Loaded by every process of the node. Greenlets and threads are seen as well, since the mark is in the code itself.
MARKS = """
import ast, builtins, importlib.machinery, os, time
out = os.open({out!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
latest = {{}}
def mark(key):
    now = time.monotonic()
    if now - latest.get(key, 0.0) > 0.05:
        latest[key] = now
        os.write(out, f"{{now}} {{key}}\\n".encode())
builtins.__walk__ = mark
compiled = importlib.machinery.SourceFileLoader.source_to_code
def source_to_code(self, data, path, **options):
    if not str(path).startswith({root!r}):
        return compiled(self, data, path, **options)
    tree = ast.parse(data)
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            at = int(ast.get_docstring(node, clean=False) is not None)
            key = f"{{os.path.relpath(path, {root!r})}}:{{node.name}}:{{node.lineno}}"
            node.body[at:at] = ast.parse(f"__walk__({{key!r}})").body
    return compile(ast.fix_missing_locations(tree), path, "exec", dont_inherit=True)
importlib.machinery.SourceFileLoader.source_to_code = source_to_code
"""

GRAPH: dict[str, Any] = {
    "pypes": 1,
    "name": "walk",
    "nodes": {"json": {"component": "JSON"}, "text": {"component": "Text"}, "lines": {"component": "JSONLines"}},
    "wires": [["json.out", "lines.in"], ["text.out", "lines.in"]],
}


class Walks:
    """A node with marks, and what it wrote of the functions that were called."""

    def __init__(self, base: Path) -> None:
        (base / "site").mkdir()
        self.calls = base / "calls"
        marks = MARKS.format(out=str(self.calls), root=str(ROOT))
        (base / "site" / "sitecustomize.py").write_text(marks, encoding="utf-8")
        environ = {
            "PYTHONPATH": os.pathsep.join([str(base / "site"), str(ROOT.parent)]),
            "PYTHONPYCACHEPREFIX": str(base / "cache"),
        }
        self.node = Node(base, GRAPH, workers=1, instances=1, environ=environ)

    def called(self, since: float, to: float) -> dict[str, float]:
        """Functions called in that time, each with when it was first."""
        found: dict[str, float] = {}
        for line in self.calls.read_text(encoding="utf-8").splitlines():
            at, _, key = line.partition(" ")
            if since <= float(at) <= to:
                found.setdefault(key, float(at))
        return found

    def walk(self, make: Callable[[], Any], idle: set[str]) -> list[str]:
        """Makes a walk twice; returns the modules that the second one passed, in the order of the first call."""
        for _ in range(2):
            began = time.monotonic()
            make()
            time.sleep(AFTER_S)
        found: dict[str, float] = {}
        for key, at in self.called(began, time.monotonic()).items():
            if key not in idle:
                module = key.partition(":")[0]
                found[module] = min(at, found.get(module, at))
        return sorted(found, key=found.__getitem__)

    def send(self, method: str, path: str, body: object = None) -> Any:
        """Makes a request of JSON, which must succeed."""
        payload = None if body is None else json.dumps(body).encode()
        headers = {} if body is None else {"Content-Type": "application/json"}
        answer = self.node.http.request(method, self.node.url + path, body=payload, headers=headers)
        assert answer.status < 400, answer.data
        return json.loads(answer.data) if answer.data else None


def main() -> None:
    """Prints each walk with its modules."""
    with tempfile.TemporaryDirectory() as folder:
        walks = Walks(Path(folder))
        try:
            walks.node.start()
            until(walks.node.is_ready, READY_S, "ready")
            began = time.monotonic()
            time.sleep(IDLE_S)
            idle = set(walks.called(began + AFTER_S, time.monotonic()))
            versions = iter(range(1, 10))

            def deploy() -> None:
                nodes = {
                    **GRAPH["nodes"],
                    "lines": {"component": "JSONLines", "params": {"max_bytes": next(versions) * 1_000_000}},
                }
                walks.send("PUT", "/graphs/walk", {**GRAPH, "nodes": nodes})

            made: dict[str, Callable[[], Any]] = {
                "one POST": lambda: walks.send("POST", "/docs", {"text": "hello"}),
                "one deployment": deploy,
            }
            for name, make in made.items():
                show(name, walks.walk(make, idle))
            for _ in range(2):
                walks.node.post(b"%PDF-1.7", content_type="application/pdf")
            until(lambda: len(walks.send("GET", "/deadletters")["deadletters"]) == 2, 10.0, "two dead letters")
            letters = iter([letter["id"] for letter in walks.send("GET", "/deadletters")["deadletters"]])
            show("one replay", walks.walk(lambda: walks.send("POST", f"/deadletters/{next(letters)}/replay"), idle))
        finally:
            walks.node.close()


def show(name: str, modules: list[str]) -> None:
    """Prints a walk."""
    sys.stdout.write("\n  ".join([f"{name}: {len(modules)} modules", *modules]) + "\n")


if __name__ == "__main__":
    main()
