"""Nodes with a pool, and questions to them, for tests of their faults."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from pypes.testing.node import Node, running, until
from tests.faults import pool_parts

#: The pool of most tests.
POOL = {"processes": 2, "stride": 4}


def graph(folder: Path, pool: Any = POOL, name: str = "g", **params: Any) -> dict[str, Any]:
    return {
        "pypes": 1,
        "name": name,
        "nodes": {
            "in": {"component": "In"},
            "work": {"component": "Work", "params": params, **({} if pool is None else {"pool": pool})},
            "keep": {"component": "File", "params": {"file": str(folder / "kept")}},
            "extra": {"component": "File", "params": {"file": str(folder / "extra")}},
        },
        "wires": [["in.out", "work.in"], ["work.out", "keep.in"], ["work.more", "extra.in"]],
    }


def node_in(folder: Path, pool: Any = POOL, **options: Any) -> Any:
    return running(folder, graph(folder, pool), "--load", pool_parts.__file__, **{"workers": 1, "instances": 2, **options})


def post(node: Node, values: list[Any]) -> str:
    body = b"\n".join(json.dumps(value).encode() for value in values)
    answer = node.post(body, content_type="application/x-ndjson")
    assert answer.status == 202, answer.data
    return str(json.loads(answer.data)["receipt"])


def finished(node: Node, receipt: str, timeout_s: float = 30.0) -> dict[str, Any]:
    def look() -> Any:
        found = json.loads(node.get(f"/receipts/{receipt}").data)
        return found if found["state"] in ("done", "failed") else None

    found: dict[str, Any] = until(look, timeout_s, f"finished: {receipt}\n{node.log()}")
    return found


def letters(node: Node) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(node.get("/deadletters").data)["deadletters"]
    return found


def kept(folder: Path, name: str = "kept") -> list[dict[str, Any]]:
    path = folder / name
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def numbers(folder: Path, name: str = "kept") -> Counter[int]:
    return Counter(line["n"] for line in kept(folder, name))


def pools(node: Node) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(node.get("/status").data)["pools"]
    return found


def workers(node: Node) -> list[int]:
    return [worker["pid"] for pool in pools(node) for worker in pool["workers"]]


def pool_workers(node: Node) -> list[psutil.Process]:
    """All processes of pools below the node, whoever has them."""
    found = []
    assert node.process is not None
    for process in psutil.Process(node.process.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if "pypes.placement.pool_worker" in process.cmdline():
                found.append(process)
    return found


def put(node: Node, graph: dict[str, Any]) -> Any:
    body = json.dumps(graph).encode()
    return node.http.request("PUT", f"{node.url}/graphs/{graph['name']}", body=body, headers={"Content-Type": "application/json"})
