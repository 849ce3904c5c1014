"""Shadows over HTTP, on a real node: exactly the seeded differences are found, and nothing is published or kept waiting."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from pypes.testing.node import Node, running, until
from tests.api.asking import GRAPH as BASE
from tests.api.asking import Asker
from tests.faults.publications import publications

PARTS = '''
import os
import signal
import time
from typing import Annotated

from pypes import Help, Parameters, Transformer


class Work(Transformer):
    """Does with some documents what its parameter says."""

    class Params(Parameters):
        do: Annotated[str, Help("seeded, slow, die, fail or hang; else nothing.")] = ""

    def setup(self):
        if self.params.do == "fail":
            raise RuntimeError("no model")
        if self.params.do == "hang":
            time.sleep(3600)

    def process(self, packet):
        print("what components print is no report")
        do, n = self.params.do, packet.get("n")
        if do == "slow":
            time.sleep(0.02)
        if do == "die" and n == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        if do != "seeded":
            return packet
        if n % 10 == 1:
            packet.set("title", "changed")
        if n % 10 == 2:
            return None
        if n % 10 == 3:
            self.send("out", packet.clone())
        if n % 10 == 4:
            raise ValueError("seeded")
        if n % 10 == 5:
            packet.set("more", n)
        return packet
'''
TEMPLATE = "/graphs/{name}/shadow"
ONE = TEMPLATE + "/{id}"


def graph(base: Path, do: str = "", out: str = "live.jsonl") -> dict[str, Any]:
    nodes: dict[str, Any] = {
        "json": {"component": "JSON"},
        "work": {"component": "Work", "params": {"do": do}},
        "out": {"component": "JSONLines", "params": {"path": str(base / out)}},
    }
    return {"pypes": 1, "name": "g", "nodes": nodes, "wires": [["json.out", "work.in"], ["work.out", "out.in"]]}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    base = tmp_path_factory.mktemp("shadows")
    (base / "parts.py").write_text(PARTS)
    environ = {"PYPES_SERVER_SETUP_S": "10"}
    with running(base, graph(base), "--load", str(base / "parts.py"), workers=2, instances=1, environ=environ) as node:
        yield node


class Watched:
    """A shadow under test."""

    def __init__(self, node: Node, ask: Asker, **wanted: Any) -> None:
        self.node, self.ask = node, ask
        status, answer = ask("POST", "/graphs/g/shadow", wanted, template=TEMPLATE)
        assert status == 202, answer
        self.path = f"/graphs/g/shadow/{answer['shadow']}"

    def report(self) -> dict[str, Any]:
        status, report = self.ask("GET", self.path, template=ONE)
        assert status == 200
        found: dict[str, Any] = report
        return found

    def until(self, state: str) -> dict[str, Any]:
        until(lambda: self.report()["state"] in (state, "ended"), 20, state)
        report = self.report()
        assert report["state"] == state, report
        return report

    def until_seen(self, documents: int) -> dict[str, Any]:
        until(lambda: self.report()["documents"] >= documents, 20, f"{documents} documents seen")
        return self.report()

    def copied(self) -> int:
        """Post what differs in nothing until all workers copy; returns how many documents were seen by then."""
        self.until("running")
        until(lambda: self._came_whole(), 20, "copied")
        return int(self.report()["documents"])

    def _came_whole(self) -> bool:
        before = self.report()["documents"]
        for _ in range(16):
            # a connection for each, so that all workers have some
            assert post(self.node, 0, Connection="close") == 202
        try:
            self.until_seen(before + 16)
        except AssertionError:
            return False
        return True

    def end(self) -> dict[str, Any]:
        assert self.ask("DELETE", self.path, template=ONE)[0] == 204
        return self.report()


def post(node: Node, *numbers: int, **headers: str) -> int:
    body = b"\n".join(json.dumps({"id": f"d{n}", "n": n, "title": f"t{n}"}).encode() for n in numbers)
    return int(node.post(body, content_type="application/x-ndjson" if len(numbers) > 1 else "application/json", **headers).status)


def shadow_processes(node: Node) -> list[psutil.Process]:
    found = []
    for process in node.roles()["other"]:
        with suppress(psutil.NoSuchProcess):
            if "pypes.runtime.trials.shadow" in process.cmdline():
                found.append(process)
    return found


def test_exactly_the_seeded_differences_are_found(node: Node, ask: Asker) -> None:
    shadow = Watched(node, ask, graph=graph(node.base, "seeded", "shadow.jsonl"), documents=100_000)
    before = shadow.copied()
    for n in range(50):
        assert post(node, n, Connection="close") == 202
    assert post(node, *range(50, 100)) == 202
    shadow.until_seen(before + 100)
    report = shadow.end()
    assert (report["state"], report["incomplete"], report["error"]) == ("ended", True, None)
    assert (report["documents"], report["different"], report["missed"]) == (before + 100, 50, 0)
    assert report["publishers"] == {
        "out": {"missing": 20, "added": 10, "changed": 20, "fields": {"title": 10, "more": 10}},
    }
    assert report["fates"] == [
        {"live": "published", "candidate": "dropped", "documents": 10},
        {"live": "published", "candidate": "failed in work (component.raised)", "documents": 10},
    ]
    whats = {example["what"] for example in report["examples"]}
    assert whats == {"changed", "missing", "added", "fate"}
    assert report["filters"]["work"].keys() == {"live_ms", "candidate_ms"}
    until(lambda: all(f"d{n}" in publications(node.base / "live.jsonl") for n in range(100)), 10, "published")
    copies = publications(node.base / "live.jsonl")
    assert {copies[f"d{n}"] for n in range(1, 100)} == {1}
    assert not list(node.base.rglob("shadow.jsonl*"))
    assert not shadow_processes(node)


def test_it_ends_after_so_many_documents(node: Node, ask: Asker) -> None:
    shadow = Watched(node, ask, graph=graph(node.base), documents=5)
    shadow.until("running")
    status, answer = ask("POST", "/graphs/g/shadow", {"graph": graph(node.base)}, template=TEMPLATE)
    assert (status, answer["code"]) == (409, "shadow.running")

    def is_done() -> bool:
        assert post(node, 0) == 202
        return bool(shadow.report()["state"] == "done")

    until(is_done, 20, "done")
    report = shadow.report()
    assert (report["incomplete"], report["documents"], report["different"]) == (False, 5, 0)
    assert report["version"] == 1
    until(lambda: not shadow_processes(node), 10, "its process ended")
    assert post(node, 0) == 202


def test_what_cannot_keep_up_keeps_nobody_waiting(node: Node, ask: Asker) -> None:
    shadow = Watched(node, ask, graph=graph(node.base, "slow"), documents=100_000)
    shadow.until("running")
    filler = "x" * 20_000
    count = 0

    def has_missed() -> bool:
        nonlocal count
        for _ in range(50):
            answer = node.post(json.dumps({"id": f"s{count}", "n": 0, "filler": filler}).encode())
            assert answer.status == 202
            count += 1
        return bool(shadow.report()["missed"])

    until(has_missed, 30, "copies left out")
    until(lambda: {f"s{n}" for n in range(count)} <= publications(node.base / "live.jsonl").keys(), 20, "published")
    assert shadow.end()["documents"] < count


def test_one_that_dies_leaves_an_incomplete_report(node: Node, ask: Asker) -> None:
    shadow = Watched(node, ask, graph=graph(node.base, "die"), documents=100_000)
    seen = shadow.copied()
    assert post(node, 1) == 202
    report = shadow.until("ended")
    assert (report["incomplete"], report["error"]["code"]) == (True, "shadow.died")
    assert report["documents"] >= seen
    until(lambda: publications(node.base / "live.jsonl")["d1"], 10, "published")


@pytest.mark.parametrize(("do", "said"), [("fail", "no model"), ("hang", "not done after 10 s")])
def test_a_candidate_that_cannot_be_set_up(node: Node, ask: Asker, do: str, said: str) -> None:
    shadow = Watched(node, ask, graph=graph(node.base, do))
    report = shadow.until("ended")
    assert (report["incomplete"], report["error"]["code"]) == (True, "shadow.setup_failed")
    assert said in report["error"]["message"]
    assert report["error"]["where"] == ("work" if do == "fail" else "g")
    until(lambda: not shadow_processes(node), 10, "its process ended")


@pytest.mark.parametrize(
    ("name", "wanted", "status"),
    [
        ("g", {}, 400),
        ("g", {"graph": {"nodes": {}}}, 422),
        ("none", {"graph": {}}, 404),
        ("g", {"graph": {}, "documents": 0}, 400),
        ("g", {"graph": {}, "record": 1}, 400),
        ("g", {"record": 1, "redact": "a"}, 400),
        ("g", {"record": 1, "more": 1}, 400),
        ("g", [1], 400),
    ],
)
def test_what_cannot_be_asked(ask: Asker, name: str, wanted: Any, status: int) -> None:
    assert ask("POST", f"/graphs/{name}/shadow", wanted, template=TEMPLATE)[0] == status


def test_what_there_is_not(ask: Asker) -> None:
    for method in ("GET", "DELETE"):
        assert ask(method, "/graphs/g/shadow/none", template=ONE)[0] == 404


def test_a_killed_supervisor_leaves_none(tmp_path: Path) -> None:
    with running(tmp_path, BASE, workers=1, instances=1) as node:
        ask = Asker(node, node.get("/openapi.json").json())
        status, answer = ask("POST", "/graphs/base/shadow", {"graph": BASE}, template=TEMPLATE)
        assert status == 202
        path = f"/graphs/base/shadow/{answer['shadow']}"
        until(lambda: ask("GET", path, template=ONE)[1]["state"] == "running", 20, "running")
        assert shadow_processes(node)
        node.kill()
        until(lambda: not node.leftovers(), 10, "all processes gone")
