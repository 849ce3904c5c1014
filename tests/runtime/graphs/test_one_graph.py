"""Deploying one graph of two on a live node: the other one is not set up again, and goes on in the same process."""

from __future__ import annotations

import json
import os
import signal
import threading
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pypes.errors import ComponentError

COUNTS = '''
import os
from typing import Annotated

from pypes import Help, Parameters, Publisher


class Counts(Publisher):
    """Writes when it is set up, and every document, each with its process."""

    class Params(Parameters):
        file: Annotated[str, Help("Where to write.")]
        version: Annotated[int, Help("What to write.")] = 1

    def write(self, line):
        with open(self.params.file, "a") as file:
            file.write(f"{os.getpid()} {line}\\n")

    def setup(self):
        self.write(f"set-up {self.params.version}")
        if self.params.version < 0:
            raise RuntimeError("a bad version")

    def process(self, packet):
        if self.params.version == 99:
            raise ConnectionError("nobody listens")
        self.write(f"{packet.get('n')} {self.params.version}")
'''


#: A version whose destination is away.
AWAY = 99


class Graphs:
    """Graphs ``a`` and ``b``, and what their publishers have written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "counts.py").write_text(COUNTS)
        (folder / "graphs").mkdir()
        for name in "ab":
            (folder / "graphs" / f"{name}.json").write_text(json.dumps(self.graph(name)))

    def graph(self, name: str, version: int = 1) -> dict[str, Any]:
        params = {"file": str(self.folder / f"{name}.out"), "version": version}
        nodes = {"in": {"component": "JSON"}, "out": {"component": "Counts", "params": params}}
        return {"pypes": 1, "name": name, "routes": [name], "nodes": nodes, "wires": [["in.out", "out.in"]]}

    def lines(self, name: str) -> list[list[str]]:
        return [line.split() for line in (self.folder / f"{name}.out").read_text().splitlines()]

    def setups(self, name: str) -> list[int]:
        """The versions that were set up, in order."""
        return [int(version) for _, what, version in self.lines(name) if what == "set-up"]

    def published(self, name: str) -> Counter[int]:
        return Counter(int(what) for _, what, _ in self.lines(name) if what != "set-up")


class Feed(threading.Thread):
    """Posts numbered documents to both graphs until it is told to stop; counts how many were accepted."""

    def __init__(self, url: str, first: int) -> None:
        super().__init__(daemon=True)
        self.url = url
        self.n = self.first = first
        self.is_over = threading.Event()
        self.start()

    def run(self) -> None:
        while not self.is_over.is_set():
            for name in "ab":
                request = urllib.request.Request(
                    f"{self.url}/docs/{name}", b'{"n": %d}' % self.n, {"Content-Type": "application/json"}
                )
                with urllib.request.urlopen(request, timeout=20) as answer:
                    assert answer.status == 202
            self.n += 1

    def stop(self) -> range:
        """The numbers that were accepted."""
        self.is_over.set()
        self.join()
        return range(self.first, self.n)


def test_a_deployment_starts_only_what_it_changes(
    start_node: Callable[..., Any], tmp_path: Path, wait_until: Callable[..., Any]
) -> None:
    graphs = Graphs(tmp_path)
    node = start_node("--instances", "1", "--load", "counts.py", "--grace", "1")
    url = node.ready()

    def hosts() -> dict[int, list[str]]:
        """Processes that run → their graphs, once nothing starts or ends."""
        found = node.call("status")["instances"]
        return {i["pid"]: i["graphs"] for i in found} if all(i["state"] == "ready" for i in found) else {}

    def settled(*expected: list[str]) -> dict[int, list[str]]:
        found: dict[int, list[str]] = wait_until(
            lambda: sorted((at := hosts()).values()) == sorted(expected) and at, f"instances of {expected}, not {hosts()}"
        )
        return found

    def at(found: dict[int, list[str]], *names: str) -> int:
        return next(pid for pid, graphs in found.items() if graphs == list(names))

    def renewed(reloads: int) -> int:
        """Change the code of the component and reload: one generation has both graphs then. Returns its process."""
        (tmp_path / "counts.py").write_text(f"{COUNTS}# {reloads}\n")
        node.process.send_signal(signal.SIGHUP)
        node.event("reloaded", reloads)
        return at(settled(["a", "b"]), "a", "b")

    def post(n: int) -> None:
        request = urllib.request.Request(f"{url}/docs/a", b'{"n": %d}' % n, {"Content-Type": "application/json"})
        urllib.request.urlopen(request, timeout=20).close()

    both = at(settled(["a", "b"]), "a", "b")
    feed = Feed(url, 0)
    # a deployment of one takes it from an instance that keeps the other, and again from one that ends with it
    for version in (2, 3):
        node.call("graphs.put", name="a", obj=graphs.graph("a", version))
        wait_until(lambda n=feed.n: feed.n > n + 20, "documents that flow")
    found = settled(["b"], ["a"])
    assert at(found, "b") == both
    # one that cannot be set up changes nothing
    with pytest.raises(ComponentError, match="a bad version"):
        node.call("graphs.put", name="a", obj=graphs.graph("a", -4))
    assert settled(["b"], ["a"]) == found
    posted = feed.stop()
    for name in "ab":
        wait_until(lambda name=name: len(graphs.published(name)) == len(posted), f"all of {name}")
        assert graphs.published(name) == Counter(posted)
    assert (graphs.setups("a"), graphs.setups("b")) == ([1, 2, 3, -4], [1])
    assert {int(pid) for pid, *_ in graphs.lines("b")} == {both}
    # what takes the place of an instance has what that one had at last
    os.kill(both, signal.SIGKILL)
    wait_until(lambda: both not in hosts(), "the end of what was killed")
    kept = at(settled(["b"], ["a"]), "b")
    assert (graphs.setups("a"), graphs.setups("b")) == ([1, 2, 3, -4], [1, 1])
    # on SIGHUP nothing is set up again, unless the code of its components has changed
    node.process.send_signal(signal.SIGHUP)
    node.event("reloaded")
    assert at(settled(["b"], ["a"]), "b") == kept
    node.call("graphs.put", name="a", obj=graphs.graph("a", AWAY))
    both = renewed(2)
    assert (graphs.setups("a"), graphs.setups("b")) == ([1, 2, 3, -4, AWAY, AWAY], [1, 1, 1])
    # a document that the old version cannot finish goes to the new one when the grace is over
    post(-2)
    wait_until(lambda: node.call("graphs.get", name="a").get("resting"), "a destination that is away")
    former = node.call("graphs.get", name="a")["version"]
    node.call("graphs.put", name="a", obj=graphs.graph("a", 5))
    assert [each["version"] for each in node.call("graphs.get", name="a")["former"]] == [former]
    wait_until(lambda: graphs.published("a")[-2] == 1, "a document of the old version")
    assert "former" not in node.call("graphs.get", name="a")
    assert node.event("instance replaced")["graphs"] == ["a"]
    assert both not in settled(["a"], ["b"])
    # a graph that is taken down leaves the instance, and the other one where it is
    both = renewed(3)
    before = graphs.setups("a")
    node.call("graphs.delete", name="b")
    assert settled(["a"]) == {both: ["a"]}
    post(-1)
    wait_until(lambda: graphs.published("a")[-1] == 1, "a document of what is left")
    assert graphs.setups("a") == before == [1, 2, 3, -4, AWAY, AWAY, 5, 5]
