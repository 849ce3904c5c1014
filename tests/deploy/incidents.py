"""Incidents that are caused on a real node while it is recorded, each with the alerts that must fire in it, and no others.

``python -m tests.deploy.record`` records them.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from tests.certificates import DAY
from tests.deploy.stage import Incident, Stage
from tests.tracing import traced

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


def children_of(pid: int) -> list[int]:
    """The direct children of a process, without a look at all others."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


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
    environ={
        "PYPES_LIMITS_QUEUE_MAX_DELIVERIES": "150",
        "PYPES_LIMITS_WIRE_PACKETS": "8",
        "PYPES_ACCESS_DOCUMENTS_PER_S": "150",
    },
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


@incident("PypesCertificateEnds", is_encrypted=True, before=10, scrapes=40)
def certificate_ends(stage: Stage) -> None:
    """The certificate is replaced by one that ends in eight hours, ten days in stretched time."""
    stage.authority.issue(end=DAY / 3, into=stage.files)
    assert stage.node.process is not None
    stage.node.process.send_signal(signal.SIGHUP)


@incident("PypesDescriptorsNearlyUsed", descriptors=480, instances=1)
def descriptors_leak(stage: Stage) -> None:
    """A filter does not close what it opens."""
    stage.loads["papers"].make = lambda number: {"open": int(number % 2 == 0)}
