"""Incidents that are caused on a real node while it is recorded, each with the alerts that must fire in it, and no others.

Each begins with a healthy node under load. ``python -m tests.deploy.record`` records them.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import psutil
import urllib3

from pypes.testing.destination import Destination
from pypes.testing.node import Node, Server, serving
from tests.collector import Collector
from tests.deploy import parts
from tests.deploy.recording import PERIOD_S, Recorder, Recording
from tests.serving import in_thread
from tests.tracing import traced

#: Scrapes before an incident, and in all.
BEFORE: Final = 30
SCRAPES: Final = 130

GRAPHS: Final = ("papers", "mails")


class Load(threading.Thread):
    """Posts to a graph ``per_s`` times in a second: ``in_one`` documents, made of their numbers by ``make``."""

    def __init__(self, url: str, graph: str, per_s: float) -> None:
        super().__init__(name=f"load of {graph}", daemon=True)
        self.per_s = per_s
        self.in_one = 1
        self.make: Callable[[int], dict[str, Any]] = lambda number: {}
        self.ended = threading.Event()
        self._url = f"{url}/docs/{graph}"
        self._http = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(10.0))

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


_INCIDENTS: dict[str, Incident] = {}


def incident(*alerts: str, **options: Any) -> Callable[[Callable[[Stage], None]], Callable[[Stage], None]]:
    def keep(act: Callable[[Stage], None]) -> Callable[[Stage], None]:
        name = act.__name__
        _INCIDENTS[name] = Incident(name, frozenset(alerts), act, **options)
        return act

    return keep


#: All incidents by their names.
INCIDENTS: Final[Mapping[str, Incident]] = MappingProxyType(_INCIDENTS)
#: The incident that is for the dashboard alone: whatever alerts may fire in it.
FOR_DASHBOARD: Final = "troubles"


# -- a node -------------------------------------------------------------------------------------------------


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


def children_of(pid: int) -> list[int]:
    """The direct children of a process, without a look at all others."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@contextmanager
def _disk(path: Path, size: int) -> Iterator[None]:
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def record(incident: Incident, folder: Path) -> Recording:
    """Record an incident in an empty folder."""
    with ExitStack() as stack:
        if incident.disk_bytes:
            stack.enter_context(_disk(folder / "data", incident.disk_bytes))
        destination = stack.enter_context(Destination(folder / "taken.jsonl"))
        collector = stack.enter_context(in_thread(Collector()))
        exported = {"OTLP_ENDPOINT": collector.url, "OTLP_INTERVAL_S": "1", "TRACE_SHARE": "0.1"} if incident.is_exported else {}
        papers, mails = (
            graph(name, folder, destination.address, is_pooled=incident.is_pooled and name == "papers") for name in GRAPHS
        )
        node = _Limited(
            folder,
            papers,
            "--load",
            str(parts.__file__),
            workers=incident.workers,
            instances=incident.instances,
            environ={**incident.environ, **{f"PYPES_OBSERVE_{name}": value for name, value in exported.items()}},
        )
        node.descriptors = incident.descriptors
        node.add(mails)
        stack.enter_context(serving(node))
        loads = {name: Load(node.url, name, per_s) for name, per_s in zip(GRAPHS, (20.0, 5.0), strict=True)}
        for load in loads.values():
            load.start()
            stack.callback(load.join)
            stack.callback(load.ended.set)
        recorder = Recorder(node, incident.scrapes)
        recorder.start()
        stack.callback(recorder.join)
        recorder.is_done.wait(incident.before * PERIOD_S)
        incident.act(Stage(node, folder, destination, collector, loads, recorder))
        recorder.is_done.wait()
    return recorder.recording


# -- incidents ------------------------------------------------------------------------------------------------


@incident(is_pooled=True, is_whole=True)
def healthy(stage: Stage) -> None:
    """Nothing happens; more comes for a while, and a source runs."""
    stage.trigger("mails")
    stage.wait(10)
    stage.loads["papers"].per_s = 100.0
    stage.wait(15)
    stage.loads["papers"].per_s = 20.0


@incident(
    is_pooled=True,
    is_whole=True,
    is_exported=True,
    environ={"PYPES_LIMITS_QUEUE_MAX_DELIVERIES": "150", "PYPES_LIMITS_WIRE_PACKETS": "8"},
)
def troubles(stage: Stage) -> None:
    """A little of everything, for the dashboard: failures, retries, what is away and comes back, deaths, deployments."""
    papers, mails = stage.loads["papers"], stage.loads["mails"]
    papers.make = lambda number: {"fail": number % 40 == 0, "again": number % 20 == 0, "counted": 2}
    mails.make = lambda number: {"aside": 0.05}
    stage.wait(5)
    stage.destination.refuse()
    stage.collector.answers += [(400, {})] * 10
    stage.wait(10)
    stage.destination.recover()
    stage.wait(5)
    stage.kill_pool_worker()
    stage.node.roles()["instance"][0].kill()
    stage.wait(5)
    stage.deploy("papers", away=str(stage.folder / "nowhere"))
    stage.deploy("mails", away="/")  # which is there: the set-up fails
    stage.trigger("papers")
    mails.in_one = 40
    mails.make = lambda number: {"busy": 0.01}


@incident("PypesNodeDown")
def node_down(stage: Stage) -> None:
    """The node is killed, and nobody starts it again."""
    stage.node.kill()


@incident("PypesNodeRestarted")
def node_restarted(stage: Stage) -> None:
    """The node is killed, and its service manager starts it again."""
    stage.node.kill()
    stage.node.start()


@incident(
    *("PypesNodeNotReady", "PypesPostsRefused", "PypesDocumentsStandStill", "PypesDocumentsWaitLong"),
    environ={"PYPES_LIMITS_GRACE_S": "300"},
)
def node_drains(stage: Stage) -> None:
    """The node is told to stop, and a document takes long."""
    stage.loads["papers"].make = lambda number: {"busy": 200}
    stage.wait(1)
    assert stage.node.process is not None
    stage.node.process.send_signal(signal.SIGTERM)


@incident("PypesShardMissing", workers=2, before=10, scrapes=40)
def worker_dies_again_and_again(stage: Stage) -> None:
    """One of two ingest workers dies whenever it comes up."""
    [arbiter] = stage.node.roles()["arbiter"]
    spared, _ = children_of(arbiter.pid)
    for _ in stage.moments(0.005):
        for pid in children_of(arbiter.pid):
            if pid != spared:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


@incident("PypesNoInstances", "PypesInstancesDie", "PypesDocumentsStandStill", "PypesDocumentsWaitLong")
def instances_die_again_and_again(stage: Stage) -> None:
    """All instances die whenever they come up."""
    stage.kill_all("instance")


@incident("PypesInstancesDie")
def instance_killed(stage: Stage) -> None:
    """One instance is killed from outside."""
    stage.node.roles()["instance"][0].kill()


@incident("PypesDeploymentFailed")
def deployment_failed(stage: Stage) -> None:
    """A new version of a graph cannot be set up."""
    stage.deploy("mails", away="/")  # which is there


@incident(
    *("PypesGraphNotRunning", "PypesNodeNotReady", "PypesDeploymentFailed", "PypesNodeRestarted"),
    *("PypesDocumentsStandStill", "PypesDocumentsWaitLong"),
)
def model_away(stage: Stage) -> None:
    """The node is started again while the model of its default graph is away."""
    (stage.folder / "away").touch()
    stage.node.kill()
    found = stage.node.graphs / "mails.json"
    found.write_text(found.read_text().replace(str(stage.folder / "away"), ""))
    stage.node.start()


@incident("PypesGraphPaused")
def graph_paused(stage: Stage) -> None:
    """Somebody pauses a graph, and goes home."""
    stage.node.http.request("POST", f"{stage.node.url}/graphs/papers/pause")


@incident("PypesDestinationUnreachable", "PypesDocumentsStandStill", "PypesDocumentsWaitLong")
def destination_dead(stage: Stage) -> None:
    """The service to which documents go is down."""
    stage.destination.refuse()


@incident("PypesFilterSlow", "PypesDocumentsWaitLong", instances=1)
def filter_slow(stage: Stage) -> None:
    """A filter becomes slow: a fifth of a second for each of twenty documents a second."""
    stage.loads["mails"].ended.set()
    stage.loads["papers"].make = lambda number: {"busy": 0.2}


@incident("PypesFilterSlow", "PypesGraphStarves", "PypesDocumentsWaitLong", instances=1)
def graph_starves(stage: Stage) -> None:
    """Documents of one graph take six seconds each, those of the other wait behind them."""
    stage.loads["papers"].make = lambda number: {"busy": 6}


@incident(
    "PypesQueueGrows",
    "PypesQueueNearlyFull",
    "PypesPostsRefused",
    "PypesFilterSlow",
    "PypesDocumentsWaitLong",
    instances=1,
    environ={"PYPES_LIMITS_QUEUE_MAX_DELIVERIES": "1200"},
)
def overload(stage: Stage) -> None:
    """More comes than a graph can do, until its queue is full."""
    stage.loads["mails"].ended.set()
    stage.loads["papers"].per_s = 40.0
    stage.loads["papers"].make = lambda number: {"busy": 0.1}


@incident("PypesDiskNearlyFull", "PypesDiskRefuses", "PypesPostsRefused", disk_bytes=48 << 20)
def disk_full(stage: Stage) -> None:
    """Something else fills the disk, little by little."""
    with (stage.folder / "data" / "ballast").open("ab", buffering=0) as file:
        for _ in stage.moments(0.5):
            with suppress(OSError):
                file.write(bytes(min(3 << 20, max(4096, shutil.disk_usage(file.name).free // 2))))


@incident("PypesStoreSlow", "PypesPostsSlow")
def disk_slow(stage: Stage) -> None:
    """Each sync takes more than a second."""
    worker = stage.node.roles()["worker"][0].pid
    with traced(worker, "-e", "trace=fdatasync,fsync", "-e", "inject=fdatasync,fsync:delay_exit=1500000", "-o", os.devnull):
        stage.recorder.is_done.wait()


@incident("PypesEventLoopBusy", "PypesPostsSlow", before=20, scrapes=80)
def machine_overcommitted(stage: Stage) -> None:
    """The ingest worker gets no processor for more than a second, again and again."""
    worker = stage.node.roles()["worker"][0]
    for _ in stage.moments(0.3):
        worker.suspend()
        time.sleep(1.6)
        worker.resume()


@incident("PypesDeadLetters")
def some_documents_fail(stage: Stage) -> None:
    """One document in fifty is not as it should be."""
    stage.loads["papers"].make = lambda number: {"fail": number % 50 == 0}


@incident(
    "PypesDeadLetters",
    "PypesManyDocumentsFail",
    "PypesDeadLettersNearlyFull",
    "PypesPostsRefused",
    environ={"PYPES_LIMITS_DEAD_LETTERS_KEPT": "300"},
)
def many_documents_fail(stage: Stage) -> None:
    """A client sends what a graph does not understand, until there is no room for more dead letters."""
    stage.loads["papers"].make = lambda number: {"fail": number % 2 == 0}


@incident("PypesDeadLetters", "PypesPoisonDocuments", "PypesInstancesDie")
def poison(stage: Stage) -> None:
    """Three documents crash a component."""
    stage.loads["papers"].make = lambda number: {"crash": number in (320, 400, 480)}


@incident("PypesSourceFails")
def source_fails(stage: Stage) -> None:
    """A source finds its server gone, runs again when that is back, and fails no more."""
    (stage.folder / "feed away").touch()
    stage.trigger("mails")
    stage.wait(5)
    (stage.folder / "feed away").unlink()
    stage.trigger("mails")


@incident("PypesPoolWorkersDie", is_pooled=True)
def pool_worker_killed(stage: Stage) -> None:
    """A pool worker is killed."""
    stage.kill_pool_worker()


@incident(
    "PypesMemoryGrows",
    "PypesMemoryHigh",
    instances=1,
    environ={"PYPES_SERVER_MAX_MEMORY_BYTES": str(920 << 20)},
)
def memory_grows(stage: Stage) -> None:
    """A filter keeps a megabyte of each document."""
    stage.loads["papers"].make = lambda number: {"keep": 1}


@incident("PypesDescriptorsNearlyUsed", descriptors=480, instances=1)
def descriptors_leak(stage: Stage) -> None:
    """A filter does not close what it opens."""
    stage.loads["papers"].make = lambda number: {"open": int(number % 2 == 0)}
