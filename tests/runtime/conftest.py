"""A real node for tests: ``pypes serve`` as a process, its log read as events, its control socket at hand."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from pypes.runtime.folders import find_runtime_dir
from pypes.runtime.rpc import RpcClient
from pypes.testing.node import runs, share_descriptions
from pypes.testing.node import until as poll

WAIT_S = 20.0

#: Components of the test graphs. Nodes load them from one place, so that they are described once.
PARTS = Path(__file__).with_name("node_parts.py")


def graph(name: str = "g", out: str = "", **params: Any) -> dict[str, Any]:
    """In → Odd (with ``params``) → Out, which writes to the file ``out``."""
    nodes = {
        "in": {"component": "In"},
        "odd": {"component": "Odd", "params": params},
        "out": {"component": "Out", "params": {"file": out}},
    }
    return {
        "pypes": 1,
        "name": name,
        "nodes": nodes,
        "wires": [["in.out", "odd.in"], ["odd.out", "out.in"]],
    }


def until(predicate: Callable[[], Any], what: str = "condition", timeout_s: float = WAIT_S) -> Any:
    """Poll until ``predicate`` is true; returns what it returned."""
    return poll(predicate, timeout_s, what)


class Node:
    """One ``pypes serve``. ``events`` are the lines of its log; ``seen`` all processes that were ever found under it."""

    def __init__(self, folder: Path, *arguments: str, **environ: str) -> None:
        self.folder = folder
        (folder / "graphs").mkdir(exist_ok=True)
        share_descriptions(folder / "data")
        self.socket = str(find_runtime_dir(folder / "data") / "control.sock")
        self.events: list[dict[str, Any]] = []
        self.seen: dict[int, psutil.Process] = {}
        command = [sys.executable, "-P", "-m", "pypes", "serve", "--bind", "127.0.0.1:0", "--load", str(PARTS)]
        self.process = subprocess.Popen(
            [*command, "--log-level", "DEBUG", "--log-format", "json", "--instances", "2", "--workers", "1", *arguments],
            cwd=folder,
            env={**os.environ, **environ},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            try:
                self.events.append(json.loads(line))
            except ValueError:
                self.events.append({"event": line.decode(errors="replace").rstrip(), "process": "?"})

    def event(self, name: str, count: int = 1, **values: Any) -> dict[str, Any]:
        """Wait for the ``count``-th event of that name and values."""

        def found() -> dict[str, Any] | None:
            hits = [e for e in list(self.events) if e["event"] == name and all(e.get(k) == v for k, v in values.items())]
            assert hits or self.process.poll() is None, f"the server ended without {name!r}: {self.events}"
            return hits[count - 1] if len(hits) >= count else None

        try:
            found_event: dict[str, Any] = until(found, f"event {name!r} {values}")
        except AssertionError as error:
            raise AssertionError(f"{error}; log: {json.dumps(self.events[-20:], indent=1)}") from None
        self.children()
        return found_event

    def event_seen(self, name: str) -> dict[str, Any]:
        """The event of that name in the log of a node that has ended."""
        return next(event for event in self.events if event["event"] == name)

    def ready(self) -> str:
        """Wait until it is ready; returns its URL."""
        url: str = self.event("ready")["url"]
        return url

    def call(self, method: str, **params: Any) -> Any:
        """Ask the supervisor as an ingest worker would."""

        async def ask() -> Any:
            client = await RpcClient.connect(self.socket)
            try:
                return await client.call(method, timeout_s=WAIT_S, **params)
            finally:
                await client.close()

        return asyncio.run(ask())

    def listed(self, what: str, **params: Any) -> list[dict[str, Any]]:
        """All entries of a list, such as ``graphs``."""
        found: list[dict[str, Any]] = self.call(f"{what}.page", limit=1000, **params)["entries"]
        return found

    def children(self) -> list[psutil.Process]:
        """All living processes under the supervisor."""
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.process.pid).children(recursive=True):
                self.seen.setdefault(child.pid, child)
        return [child for child in self.seen.values() if runs(child)]

    def instances(self) -> dict[int, int]:
        """Instances that are ready: id → pid."""
        return {i["id"]: i["pid"] for i in self.call("status")["instances"] if i["state"] == "ready"}

    def worker_pids(self) -> set[int]:
        """Ingest workers that are ready."""
        return {w["pid"] for w in self.call("status")["workers"] if w["state"] == "ready"}

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Signal it and wait for its end; returns the exit status."""
        self.children()
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        status = self.process.wait(WAIT_S)
        self._reader.join(WAIT_S)
        return status

    def assert_no_orphans(self) -> None:
        until(lambda: not self.children(), f"end of {self.children()}", 10.0)

    def close(self) -> None:
        """End it and whatever is left of it, by id."""
        self.children()
        if self.process.poll() is None:
            self.process.kill()  # how it stops in order is tested where it is told to
            self.process.wait()
        for child in self.children():
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        self._reader.join(WAIT_S)
        shutil.rmtree(Path(self.socket).parent, ignore_errors=True)
        assert self.process.stderr is not None
        self.process.stderr.close()
        for event in self.events:  # shown by pytest when a test fails
            sys.stdout.write(json.dumps(event)[:2000] + "\n")


@pytest.fixture
def start_node(tmp_path: Path) -> Iterator[Callable[..., Node]]:
    """Start nodes on ``tmp_path``; all of them are ended with the test."""
    nodes: list[Node] = []

    def start(*arguments: str, **environ: str) -> Node:
        node = Node(tmp_path, *arguments, **environ)
        nodes.append(node)
        return node

    try:
        yield start
    finally:
        for node in nodes:
            node.close()


@pytest.fixture
def node(start_node: Callable[..., Node]) -> Node:
    """A node with one instance and no graph, ready."""
    started = start_node("--instances", "1", SECRET="hunter2-hunter2")
    started.ready()
    return started


@pytest.fixture(scope="module")
def lasting_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """As ``node``, for all tests of a module."""
    started = Node(tmp_path_factory.mktemp("lasting"), "--instances", "1", SECRET="hunter2-hunter2")
    try:
        started.ready()
        yield started
    finally:
        started.close()


@pytest.fixture
def empty_node(lasting_node: Node) -> Iterator[Node]:
    """That node, on which the tests before have left no graph, and no instance; the versions of their graphs stay known."""
    yield lasting_node
    for graph in lasting_node.listed("graphs"):
        lasting_node.call("graphs.delete", name=graph["name"], force=True)
    until(lambda: not lasting_node.call("status")["instances"], "end of all instances")


@pytest.fixture
def a_graph() -> Callable[..., dict[str, Any]]:
    return graph


@pytest.fixture
def wait_until() -> Callable[..., Any]:
    return until
