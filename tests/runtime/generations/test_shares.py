"""Shares on a real node: in how many instances a graph runs, and how often it is its turn."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import psutil

from pypes.testing.node import Node, running, until

PARTS = '''
import os
import time
from typing import Annotated

from pypes import Help, Parameters, Publisher


class Sign(Publisher):
    """Works for a moment, and writes the process and its mark."""

    class Params(Parameters):
        file: Annotated[str, Help("Where to write.")]
        mark: Annotated[str, Help("What to write.")]

    def process(self, packet):
        until = time.process_time() + 0.002
        while time.process_time() < until:
            pass
        with open(self.params.file, "a") as file:
            file.write(f"{os.getpid()} {self.params.mark}\\n")
'''


def graph(base: Path, name: str, **keys: Any) -> dict[str, Any]:
    params = {"file": str(base / "signed"), "mark": name}
    nodes = {"json": {"component": "JSON"}, "sign": {"component": "Sign", "params": params}}
    return {"pypes": 1, "name": name, "routes": [name], "nodes": nodes, "wires": [["json.out", "sign.in"]], **keys}


def start(base: Path, *graphs: dict[str, Any], instances: int) -> Any:
    (base / "parts.py").write_text(PARTS)
    (base / "graphs").mkdir()
    for each in graphs:
        (base / "graphs" / f"{each['name']}.json").write_text(json.dumps(each))
    return running(base, graphs[0], "--load", str(base / "parts.py"), workers=1, instances=instances)


def signed(base: Path) -> list[tuple[int, str]]:
    path = base / "signed"
    lines = path.read_text().splitlines() if path.exists() else []
    return [(int(pid), mark) for pid, mark in (line.split() for line in lines)]


def post(node: Node, name: str, count: int) -> None:
    body = b"\n".join(b"{}" for _ in range(10))
    for _ in range(count // 10):
        assert node.post(body, f"/docs/{name}", "application/x-ndjson").status == 202


def switch(node: Node, action: str, *names: str) -> None:
    for name in names:
        assert node.http.request("POST", f"{node.url}/graphs/{name}/{action}").status == 200


def pids(base: Path, mark: str) -> set[int]:
    return {pid for pid, each in signed(base) if each == mark}


def test_a_bounded_graph_runs_in_as_many_instances(tmp_path: Path) -> None:
    with start(tmp_path, graph(tmp_path, "few", max_instances=1), graph(tmp_path, "all"), instances=2) as node:
        # both instances have the same to do when this is handed over at once, however slowly the posts come
        switch(node, "pause", "all")
        post(node, "all", 2000)
        switch(node, "resume", "all")
        post(node, "few", 2000)
        until(lambda: len(signed(tmp_path)) == 4000, 60, "all processed")
        assert len(pids(tmp_path, "all")) == 2
        (first,) = pids(tmp_path, "few")
        # the one that takes its place runs it, and no other
        post(node, "few", 200)
        psutil.Process(first).kill()
        post(node, "few", 200)
        until(lambda: pids(tmp_path, "few") - {first}, 20, "processed by another one")
        (second,) = pids(tmp_path, "few") - {first}
        assert second not in pids(tmp_path, "all")
        assert node.get("/readyz").status == 200
        answer = node.http.request("GET", node.url + "/deadletters")
        assert not answer.json()["deadletters"]


def test_turns_go_by_weight(tmp_path: Path) -> None:
    heavy, light = graph(tmp_path, "heavy", weight=4), graph(tmp_path, "light")
    with start(tmp_path, heavy, light, instances=1) as node:
        for name in ("heavy", "light"):
            post(node, name, 50)
        until(lambda: len(signed(tmp_path)) == 100, 60, "all processed")
        switch(node, "pause", "heavy", "light")
        for name in ("heavy", "light"):
            post(node, name, 800)
        switch(node, "resume", "light", "heavy")
        until(lambda: len(signed(tmp_path)) == 1700, 60, "all processed")
        marks = [mark for _, mark in signed(tmp_path)][100:]
        begin = max(marks.index("heavy"), marks.index("light"))
        seen = Counter(marks[begin : begin + 600])
        assert seen["light"] > 0
        assert seen["heavy"] > 2 * seen["light"], seen
