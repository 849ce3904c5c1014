"""The node under test: two graphs, one of them ordered, small bounds, and a destination."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pypes.testing.destination import Destination
from pypes.testing.node import Node
from tests.faults.chaos import components
from tests.faults.chaos.faults import GRACE_S

WORKERS = INSTANCES = 2
#: Deliveries outstanding at one instance, per ingest worker: what a kill may cause to be published twice.
WINDOW = 32
SETTINGS = {
    "PYPES_LIMITS_WINDOW_DELIVERIES": str(WINDOW),
    "PYPES_LIMITS_SPOOL_BYTES": "64KiB",
    # receipts are folded after ten seconds, and outlast the run, so that they can be added up
    "PYPES_LIMITS_RECEIPTS_S": "1440",
    # some documents look like an outage: nothing may come after one, by which that could be told
    "PYPES_LIMITS_UNREACHABLE_S": "1",
    "PYPES_SERVER_MAX_MEMORY_BYTES": "400MiB",
}
FILTER_S = 1.5


def graph(name: str, address: str) -> dict[str, Any]:
    """Documents that are poison, branches that meet again, documents to be dropped, and a publisher to the destination."""
    nodes: dict[str, Any] = {
        "look": {"component": "Poisonable", "params": {}, "timeout_s": FILTER_S},
        "out": {"component": "Deliver", "params": {"address": address}},
    }
    if name == "tables":
        nodes["csv"] = {"component": "CSV", "params": {}}
        wires = [["csv.out", "look.in"], ["look.out", "out.in"]]
        return {"pypes": 1, "name": name, "routes": ["tables"], "nodes": nodes, "wires": wires}
    for each, component in {"json": "JSON", "split": "Split", "half": "Half", "merge": "Merge", "paired": "Paired"}.items():
        nodes[each] = {"component": component, "params": {}}
    nodes["drop"] = {"component": "DropDocument", "params": {"fields": ["unwanted"]}}
    wires = [["json.out", "look.in"], ["look.out", "split.in"], ["split.out", "half.in"], ["half.out", "merge.in"]]
    wires += [["split.out2", "merge.in2"], ["merge.out", "paired.in"], ["paired.out", "drop.in"], ["drop.out", "out.in"]]
    more: dict[str, Any] = {"routes": ["ordered"], "order_by": "id"} if name == "ordered" else {}
    return {"pypes": 1, "name": name, "nodes": nodes, "wires": wires, **more}


@contextmanager
def running(
    base: Path, destination: Destination, names: tuple[str, ...] = ("plain", "ordered"), **settings: str
) -> Iterator[Node]:
    """A node with those graphs, the first being the default; ``settings`` as environment variables, over :data:`SETTINGS`."""
    first, *others = (graph(name, destination.address) for name in names)
    load = str(Path(components.__file__))
    flags = ("--load", load, "--grace", str(GRACE_S), "--log-format", "json")
    node = Node(base, first, *flags, workers=WORKERS, instances=INSTANCES, environ={**SETTINGS, **settings})
    for other in others:
        node.add(other)
    # poison ends processes in earnest: hundreds of core files are of no use
    core = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, core[1]))
    try:
        node.start()
        node.wait_ready()
        yield node
    finally:
        node.close()
        resource.setrlimit(resource.RLIMIT_CORE, core)
