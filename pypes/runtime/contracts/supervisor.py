"""Calls of an ingest worker to the supervisor on its own behalf, and the events that the supervisor pushes.

A worker's life: ``hello`` first, then ``ready`` once it serves. The supervisor pushes ``topology`` whenever it changed, ``gone``
for each instance that is dead and reaped, and ``drain`` at the end, which the worker answers with ``drained``.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from pypes.core.certificate import Certificate
from pypes.ingest.dispatch.topology import Topology
from pypes.ingest.outcome import ExitReason
from pypes.runtime.contracts.fleet import Member


class WorkerStatus(msgspec.Struct, frozen=True):
    """A worker and the shard that it serves. ``state`` is ``starting`` or ``ready``."""

    pid: int
    slot: int
    state: str


class InstanceStatus(msgspec.Struct, frozen=True):
    """An instance and the graphs that it runs. ``state`` is ``starting``, ``ready`` or ``stopping``."""

    id: int
    generation: int
    pid: int
    state: str
    graphs: list[str]


class PoolWorkerStatus(msgspec.Struct, frozen=True):
    """A pool worker; ``is_busy`` while it works on a packet."""

    pid: int
    is_busy: bool


class PoolStatus(msgspec.Struct, frozen=True):
    """A pool with its pool workers, of which ``deaths`` have been lost.

    ``state`` is ``starting``, ``ready``, ``stalled`` (all were lost, and none can be set up again) or ``ending``.

    ``filters`` are those that it was set up for, with their graphs: ``search.embed``. ``failure`` says why one that was lost
    cannot be set up again, or is empty. ``busy_lately`` is the share of its pool workers that were busy in the last minute, on
    average of the looks at them.
    """

    name: str
    state: str
    filters: list[str]
    workers: list[PoolWorkerStatus]
    deaths: int
    failure: str = ""
    busy_lately: float = 0.0


class ProcessStatus(msgspec.Struct, frozen=True):
    """A process with its resident memory, its processor time in seconds, and its open descriptors.

    ``memory_before`` is what it had at the looks of the last minute, the oldest first; empty if it is new.
    """

    name: str
    pid: int
    memory_bytes: int
    cpu_s: float
    descriptors: int
    memory_before: list[int] = []


class FilterWork(msgspec.Struct, frozen=True):
    """Work that a filter has done in all instances since the start of the node; see ``docs/metrics.md``."""

    packets_in: int = 0
    packets_out: int = 0
    seconds: float = 0.0
    failures: int = 0
    retries: int = 0
    parked_s: float = 0.0
    waiting_s: float = 0.0


class WireWork(msgspec.Struct, frozen=True):
    """Packets that went over a wire, and the time for which senders waited at it."""

    packets: int = 0
    parked_s: float = 0.0


class GraphWork(msgspec.Struct, frozen=True):
    """The work of the filters and wires of a graph, by their names; that of a wire is ``a.out-b.in``."""

    filters: dict[str, FilterWork]
    wires: dict[str, WireWork]


class Refused(msgspec.Struct, frozen=True):
    """POSTs of documents to one route that were refused for one reason; without a route, it is empty."""

    status: str
    code: str
    route: str
    count: int


class OverBudget(msgspec.Struct, frozen=True):
    """Requests that were refused because a client had used as much as it may. Where no token is needed, it is empty."""

    token: str
    budget: str
    count: int


class Lately(msgspec.Struct, frozen=True):
    """Counts of the last ``seconds``: the work of filters by graph, POSTs of documents that were refused, budgets."""

    seconds: float
    work: dict[str, dict[str, FilterWork]]
    refused: list[Refused]
    over_budget: list[OverBudget] = []


class Ending(msgspec.Struct, frozen=True):
    """The end of an instance that nobody asked for: when, of which graphs, why, and in which filter, as far as that is known.

    ``cause`` is one of few words, as in ``restarts``; ``time`` is one of RFC 3339.
    """

    time: str
    instance: int
    graphs: list[str]
    cause: str
    reason: str
    filter: str


class DiskStatus(msgspec.Struct, frozen=True):
    """The file system of the data directory."""

    folder: str
    total_bytes: int
    free_bytes: int


class UndeployedFile(msgspec.Struct, frozen=True):
    """A graph file that is not deployed, with the routes that its graph would have, and why."""

    file: str
    graph: str
    routes: list[str]
    reason: str


class CertificateStatus(msgspec.Struct, frozen=True):
    """The certificate that clients are shown; ``expires`` is a time of RFC 3339."""

    expires: str


class NodeStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A node as its supervisor knows it. ``state`` is ``starting``, ``ready`` or ``draining``; ``graphs`` as ``GET /graphs``.

    ``arbiter`` is ``None`` while there is none. ``restarts`` are instances that ended unasked, by cause; ``work`` is by graph.
    ``endings`` are the last of those instances, the oldest first. ``disk`` and ``lately`` are ``None`` while nothing is known.
    ``max_memory_bytes`` is what an instance may have, 0 for no bound. ``undeployed`` are graph files. ``certificate`` is
    ``None`` without TLS.
    """

    state: str
    pid: int
    url: str
    uptime_s: float
    generation: int
    arbiter: int | None
    workers: list[WorkerStatus]
    instances: list[InstanceStatus]
    pools: list[PoolStatus]
    graphs: list[dict[str, Any]]
    default: str | None
    processes: list[ProcessStatus] = []
    restarts: dict[str, int] = {}
    work: dict[str, GraphWork] = {}
    endings: list[Ending] = []
    disk: DiskStatus | None = None
    lately: Lately | None = None
    max_memory_bytes: int = 0
    undeployed: list[UndeployedFile] = []
    certificate: CertificateStatus | None = None


class WorkerCalls(Protocol):
    """A worker to the supervisor.

    All but ``hello``, ``status`` and ``metrics`` raise :class:`BadRequest` (``control.no_hello``) before ``hello``.
    """

    async def hello(self, pid: int, slot: int) -> Topology:
        """Introduce the worker that serves shard ``slot``; the answer is the topology."""

    async def ready(self) -> None:
        """Say that the worker serves."""

    async def lost(self, id: int) -> bool:
        """Report an instance that cannot be reached: the supervisor kills it, and says when it is gone.

        False if it is gone already.
        """

    async def drained(self, queued: int) -> None:
        """Report that all is done, or as much as the grace allowed; ``queued`` deliveries stay in the queue."""

    async def status(self) -> NodeStatus:
        """The state of the node: workers, instances, graphs."""

    async def metrics(self, is_openmetrics: bool) -> str:
        """The metrics that the supervisor knows, as text."""


class WorkerEvents(Protocol):
    """The supervisor to every worker."""

    def topology(self, topology: Topology) -> None:
        """Tell what runs where; always complete."""

    # the parameters are the keys of the message: this one has kept its name
    def gone(self, id: int, death: ExitReason) -> None:
        """Tell that an instance is dead and reaped, and of what it died: what it had may go to another one."""

    def tokens(self) -> None:
        """Tell that tokens were made, changed or revoked."""

    def members(self, members: list[Member]) -> None:
        """Tell which nodes there are in the fleet; always complete. Before the answer to ``hello``, the first."""

    def certificate(self, certificate: Certificate) -> None:
        """Have the worker present a certificate to clients that come from now on; before the answer to ``hello``, the first."""

    def drain(self, grace_s: float) -> None:
        """Have the worker answer 503 from now on and finish what is queued."""
