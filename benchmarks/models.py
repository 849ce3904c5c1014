"""A model of 500 MB in a pool of one process: the memory of a whole node with an instance for each core."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.report import Line
from pypes.core.machine import cores
from pypes.testing.node import running, until

MODEL_MB = 500
#: All else, for each core.
REST_MB = 150

PART = """
from pypes import Transformer


class Model(Transformer):
    \"\"\"Has so many bytes in memory.\"\"\"

    def setup(self):
        self.model = b"x" * {size}

    def process(self, packet):
        packet.set("score", self.model[packet.get("n")])
        return packet
"""


def graph(**pool: Any) -> dict[str, Any]:
    return {
        "pypes": 1,
        "name": "bench",
        "nodes": {
            "json": {"component": "JSON"},
            "model": {"component": "Model", **({"pool": pool} if pool else {})},
            "end": {"component": "Null"},
        },
        "wires": [["json.out", "model.in"], ["model.out", "end.in"]],
    }


def lines() -> Iterator[Line]:
    pooled, alone = _memory_mb(graph(processes=1)), _memory_mb(graph())
    yield Line(
        f"models: a node with an instance for each of {cores()} cores, and a model of {MODEL_MB} MB in a pool of one process",
        f"{pooled:,.0f} MB, against {alone:,.0f} MB with the model in each instance (PSS of all processes)",
        pooled,
        must=MODEL_MB + REST_MB * cores(),
        stretch=MODEL_MB + REST_MB * cores() // 2,
        unit=" MB",
    )


def _memory_mb(graph: dict[str, Any]) -> float:
    """Proportional memory of all processes of a node that has worked on documents in all of its instances."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "part.py").write_text(PART.format(size=MODEL_MB * 1_000_000))
        with running(folder, graph, "--load", str(folder / "part.py"), workers=1, instances=cores()) as node:
            for _ in range(20):
                answer = node.post(b"\n".join(b'{"n": %d}' % n for n in range(500)), content_type="application/x-ndjson")
                receipt = json.loads(answer.data)["receipt"]
                until(lambda found=receipt: _is_done(node.get(f"/receipts/{found}?wait=5")), 30, "the documents are published")
            processes = [process for found in node.roles().values() for process in found]
            return sum(process.memory_full_info().pss for process in processes if process.is_running()) / 1e6


def _is_done(answer: Any) -> bool:
    return bool(json.loads(answer.data)["state"] == "done")
