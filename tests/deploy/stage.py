"""The stage of an incident: a healthy node under load, which is recorded while the incident happens."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil
import urllib3

from pypes.testing.destination import Destination
from pypes.testing.node import Node, Server, serving
from tests.certificates import Authority, Files
from tests.collector import Collector
from tests.deploy import parts
from tests.deploy.recording import PERIOD_S, Recorder, Recording
from tests.disks import small_disk
from tests.serving import in_thread

#: Scrapes before an incident, and in all.
BEFORE: Final = 30
SCRAPES: Final = 130

GRAPHS: Final = ("papers", "mails")


class Load(threading.Thread):
    """Posts to a graph ``per_s`` times in a second: ``in_one`` documents, made of their numbers by ``make``."""

    def __init__(self, node: Node, graph: str, per_s: float) -> None:
        super().__init__(name=f"load of {graph}", daemon=True)
        self.per_s = per_s
        self.in_one = 1
        self.make: Callable[[int], dict[str, Any]] = lambda number: {}
        self.ended = threading.Event()
        self._url = f"{node.url}/docs/{graph}"
        self._http = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(10.0), **node.trust)

    def run(self) -> None:
        number = 0
        while not self.ended.wait(1 / self.per_s):
            documents = [{"n": number + n, **self.make(number + n)} for n in range(self.in_one)]
            body = json.dumps(documents if self.in_one > 1 else documents[0])
            with suppress(urllib3.exceptions.HTTPError):
                self._http.request("POST", self._url, body=body, headers={"Content-Type": "application/json"})
            number += self.in_one


@dataclass
class Stage:
    """A node with its load while it is recorded."""

    node: Node
    folder: Path
    destination: Destination
    collector: Collector
    loads: Mapping[str, Load]
    recorder: Recorder
    #: What issues certificates, and the files of the node's, if it speaks TLS.
    authority: Authority
    files: Files | None

    def moments(self, every_s: float) -> Iterator[None]:
        """Moments until the recording is done."""
        while not self.recorder.is_done.wait(every_s):
            yield

    def wait(self, seconds: float) -> None:
        """Let time pass in the incident."""
        self.recorder.is_done.wait(seconds)

    def trigger(self, graph: str) -> None:
        """Have the source of a graph run."""
        self.node.http.request("POST", f"{self.node.url}/graphs/{graph}/trigger")

    def kill_pool_worker(self) -> None:
        pools = self.node.get("/status").json()["pools"]
        os.kill(pools[0]["workers"][0]["pid"], signal.SIGKILL)

    def deploy(self, graph: str, **params: str) -> None:
        """Put a graph with other parameters of its filter ``work``."""
        found = self.node.get(f"/graphs/{graph}").json()["graph"]
        found["nodes"]["work"]["params"] |= params
        self.node.http.request("PUT", f"{self.node.url}/graphs/{graph}", json=found)

    def kill_all(self, role: str) -> None:
        """Kill the first process of a role as soon as it is there, again and again."""
        for _ in self.moments(0.02):
            for process in self.node.roles()[role]:
                with suppress(psutil.NoSuchProcess):
                    process.kill()


@dataclass(frozen=True)
class Incident:
    """``act`` causes it. ``alerts`` fire in it; ``is_pooled`` filters of papers work in a pool."""

    name: str
    alerts: frozenset[str]
    act: Callable[[Stage], None]
    workers: int = 1
    instances: int = 2
    is_pooled: bool = False
    #: Descriptors that processes of the node may have; 0: as many as this one.
    descriptors: int = 0
    #: Bytes of the file system of the data directory; 0: no file system of its own.
    disk_bytes: int = 0
    environ: Mapping[str, str] = field(default_factory=dict)
    #: True if the node speaks TLS.
    is_encrypted: bool = False
    #: True if spans and metrics go to a collector.
    is_exported: bool = False
    #: True if all series are recorded, for the dashboard, and not only those of alerts.
    is_whole: bool = False
    #: Scrapes before it, and in all.
    before: int = BEFORE
    scrapes: int = SCRAPES

    @property
    def about(self) -> str:
        return (self.act.__doc__ or "").strip()


def graph(name: str, folder: Path, to: str, *, is_pooled: bool) -> dict[str, Any]:
    work: dict[str, Any] = {"component": "Work", "params": {"away": str(folder / "away")}}
    if is_pooled:
        work["pool"] = {"processes": 2}
    nodes = {
        "json": {"component": "JSON"},
        "feed": {"component": "Feed", "params": {"away": str(folder / "feed away")}},
        "work": work,
        "send": {"component": "Send", "params": {"to": to}},
    }
    wires = [["json.out", "work.in"], ["feed.out", "work.in"], ["work.out", "send.in"]]
    return {"pypes": 1, "name": name, "routes": [name], "nodes": nodes, "wires": wires}


class _Limited(Node):
    """A node whose processes may have few descriptors."""

    descriptors = 0

    def start(self) -> None:
        if self.descriptors:
            self.command = ["prlimit", f"--nofile={self.descriptors}", *self.command]
        Server.start(self)


def record(incident: Incident, folder: Path) -> Recording:
    """Record an incident in an empty folder."""
    with ExitStack() as stack:
        if incident.disk_bytes:
            stack.enter_context(small_disk(folder / "data", incident.disk_bytes))
        destination = stack.enter_context(Destination(folder / "taken.jsonl"))
        collector = stack.enter_context(in_thread(Collector()))
        exported = {"OTLP_ENDPOINT": collector.url, "OTLP_INTERVAL_S": "1", "TRACE_SHARE": "0.1"} if incident.is_exported else {}
        papers, mails = (
            graph(name, folder, destination.address, is_pooled=incident.is_pooled and name == "papers") for name in GRAPHS
        )
        authority = Authority(folder)
        files = authority.issue() if incident.is_encrypted else None
        node = _Limited(
            folder,
            papers,
            *("--load", str(parts.__file__)),
            *(files.flags if files else ()),
            ca_file=authority.file if files else None,
            workers=incident.workers,
            instances=incident.instances,
            environ={**incident.environ, **{f"PYPES_OBSERVE_{name}": value for name, value in exported.items()}},
        )
        node.descriptors = incident.descriptors
        node.add(mails)
        stack.enter_context(serving(node))
        loads = {name: Load(node, name, per_s) for name, per_s in zip(GRAPHS, (20.0, 5.0), strict=True)}
        for load in loads.values():
            load.start()
            stack.callback(load.join)
            stack.callback(load.ended.set)
        recorder = Recorder(node, incident.scrapes)
        recorder.start()
        stack.callback(recorder.join)
        recorder.is_done.wait(incident.before * PERIOD_S)
        incident.act(Stage(node, folder, destination, collector, loads, recorder, authority, files))
        recorder.is_done.wait()
    return recorder.recording
