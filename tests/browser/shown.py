"""Nodes of which pictures are made."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pypes.testing.node import Node, running

#: A component that cannot be set up, and one whose destination is not there.
COMPONENTS = """
import socket
import time
from pypes import Parameters, Publisher, Reject, Transformer


class Model(Transformer):
    def setup(self):
        raise RuntimeError("there is no model at models/contracts.onnx")

    def process(self, packet):
        return packet


class Warehouse(Publisher):
    \"\"\"Book cloth into the warehouse.\"\"\"

    icon = "archive"

    def process(self, packet):
        socket.create_connection(("127.0.0.1", 9)).close()
"""


def graph(name: str, *filters: tuple[str, str, dict[str, Any]], **parts: Any) -> dict[str, Any]:
    """A graph that takes JSON, with filters in a row: name, component, parameters."""
    names = ["json", *(each for each, _, _ in filters)]
    return {
        "pypes": 1,
        "name": name,
        "routes": [name],
        "nodes": {
            "json": {"component": "JSON"},
            **{each: {"component": component, "params": params} for each, component, params in filters},
        },
        "wires": [[f"{one}.out", f"{other}.in"] for one, other in itertools.pairwise(names)],
        **parts,
    }


CONTRACTS = graph("contracts", ("model", "Model", {}), ("null", "Null", {}))


@contextmanager
def showing(
    base: Path, first: dict[str, Any], graphs: Sequence[dict[str, Any]], components: str, **options: Any
) -> Iterator[Node]:
    """A node with these graphs, of which the first is the default one, and more components."""
    (base / "shown.py").write_text(COMPONENTS + components)
    (base / "graphs").mkdir()
    for each in graphs:
        (base / "graphs" / f"{each['name']}.json").write_text(json.dumps(each))
    with running(base, first, "--load", str(base / "shown.py"), workers=1, **options) as node:
        yield node
