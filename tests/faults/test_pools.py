"""Processes of the pools of a real node: whatever becomes of them, no document is lost or doubled, and nothing is left."""

from __future__ import annotations

import json
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from pypes.testing.node import Node, runs, until
from tests.faults.pooled import POOL, finished, graph, kept, letters, node_in, numbers, pools, post, put, workers

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="files in memory, limits and signals as Linux has them"
)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with node_in(tmp_path) as found:
        yield found


def test_all_instances_share_the_processes_of_the_node(node: Node, tmp_path: Path) -> None:
    found = [finished(node, post(node, [{"n": 20 * m + n} for n in range(20)])) for m in range(8)]
    assert [each["state"] for each in found] == ["done"] * 8
    assert numbers(tmp_path) == Counter(range(160))
    [pool] = pools(node)
    assert (pool["name"], pool["state"], pool["filters"], pool["deaths"]) == ("g.work", "ready", ["g.work"], 0)
    assert {line["pid"] for line in kept(tmp_path)} <= {*workers(node)}
    assert len(workers(node)) == 2


def test_what_becomes_of_packets_is_as_without_a_pool(node: Node, tmp_path: Path) -> None:
    dos = [None, "raises", "reject", "retry", "drop", "more"]
    found = finished(node, post(node, [{"n": n, **({} if do is None else {"do": do})} for n, do in enumerate(dos)]))
    assert (found["state"], found["published"], found["failed"], found["dropped"]) == ("failed", 3, 2, 1)
    assert numbers(tmp_path) == Counter([0, 3, 5])
    assert sorted(line["k"] for line in kept(tmp_path, "extra")) == [0, 1, 2]
    by_code = {letter["code"]: letter for letter in letters(node)}
    assert set(by_code) == {"component.raised", "my.code"}
    assert by_code["component.raised"]["error"] == "ValueError: no good"
    assert by_code["component.raised"]["filter"] == "work"
    whole = json.loads(node.get(f"/deadletters/{by_code['component.raised']['id']}").data)
    assert whole["packet"]["fields"] == {"n": 1, "do": "raises"}
    assert 'raise ValueError("no good")' in whole["traceback"]


def test_a_worker_that_is_killed_in_mid_stride_costs_nothing(node: Node, tmp_path: Path) -> None:
    go = tmp_path / "go"
    receipt = post(node, [{"n": n, **({"do": "wait", "path": str(go)} if n == 5 else {})} for n in range(40)])
    until(Path(f"{go}.begun").exists, 10.0, f"begun\n{node.log()}")
    [busy] = [worker["pid"] for pool in pools(node) for worker in pool["workers"] if worker["is_busy"]]
    instances = {process.pid for process in node.roles()["instance"]}
    psutil.Process(busy).send_signal(signal.SIGKILL)
    until(lambda: busy not in workers(node) and len(workers(node)) == 2, 10.0, "another one in its place")
    go.touch()
    assert finished(node, receipt)["state"] == "done"
    assert numbers(tmp_path) == Counter(range(40))
    assert [pool["deaths"] for pool in pools(node)] == [1]
    assert {process.pid for process in node.roles()["instance"]} == instances
    assert letters(node) == []


@pytest.mark.parametrize(
    ("do", "options", "code", "cause"),
    [
        ("exit", {}, "pool.killed", "exited with status 3"),
        ("hang", {"timeout_s": 1}, "pool.timeout", "not done after 1 s"),
        ("memory", {"memory": "900MiB"}, "pool.killed", "ran out of memory: it may have 900 MiB"),
    ],
)
def test_poison_costs_exactly_itself(tmp_path: Path, do: str, options: dict[str, Any], code: str, cause: str) -> None:
    with node_in(tmp_path, {**POOL, **options}) as node:
        instances = {process.pid for process in node.roles()["instance"]}
        found = finished(node, post(node, [{"n": n, **({"do": do} if n == 7 else {})} for n in range(30)]))
        assert (found["state"], found["published"], found["failed"]) == ("failed", 29, 1), letters(node)
        [letter] = letters(node)
        assert (letter["code"], letter["filter"], letter["error"]) == (code, "work", cause)
        assert numbers(tmp_path) == Counter(n for n in range(30) if n != 7)
        assert {process.pid for process in node.roles()["instance"]} == instances


@pytest.mark.parametrize(("then", "kept"), [("hang", []), ("exit", [1])])
def test_what_a_pool_worker_started_ends_with_it_and_is_waited_for(tmp_path: Path, then: str, kept: list[int]) -> None:
    """A process that has left the group of a pool worker is found where that is killed, not where it ends by itself."""
    with node_in(tmp_path, {"processes": 1, "timeout_s": 1}) as node:
        path = tmp_path / "tools"
        receipt = post(node, [{"n": 1, "do": "tools", "then": then, "path": str(path)}])
        found: list[list[int]] = []

        def tools() -> bool:
            if path.exists() and (pids := [int(pid) for pid in path.read_text().split()]) not in found:
                found.append(pids)
            return bool(json.loads(node.get(f"/receipts/{receipt}").data)["state"] == "failed")

        until(tools, 30.0, f"failed\n{node.log()}")
        tools()
        assert found
        try:
            for pids in found:
                ended = [pid for at, pid in enumerate(pids) if at not in kept]
                until(lambda ended=ended: not any(map(psutil.pid_exists, ended)), 10.0, f"nothing is left of {ended}")
            assert not [child for child in psutil.Process(node.process.pid).children() if child.status() == psutil.STATUS_ZOMBIE]
        finally:
            for pid in (pids[at] for pids in found for at in kept):
                with suppress(psutil.NoSuchProcess):
                    psutil.Process(pid).kill()


def test_a_batch_keeps_the_fates_of_its_documents(tmp_path: Path) -> None:
    batches = graph(tmp_path, {"processes": 1, "stride": 8})
    batches["nodes"]["work"]["component"] = "Batches"
    with node_in(tmp_path) as node:
        assert put(node, batches).status == 200
        go = tmp_path / "go"
        # while the first one waits others gather, of several deliveries
        first = post(node, [{"n": 0, "do": "wait", "path": str(go)}])
        until(Path(f"{go}.begun").exists, 10.0, f"begun\n{node.log()}")
        bad = {3: "raises", 11: "exit", 17: "drop"}
        others = [post(node, [{"n": n, **({"do": bad[n]} if n in bad else {})}]) for n in range(1, 30)]
        go.touch()
        states = {n: finished(node, receipt) for n, receipt in enumerate([first, *others])}
        assert {n for n, found in states.items() if found["failed"]} == {3, 11}
        assert {n for n, found in states.items() if found["dropped"]} == {17}
        assert {letter["code"] for letter in letters(node)} == {"component.raised", "pool.killed"}
        assert numbers(tmp_path) == Counter(n for n in range(30) if n not in bad)
        assert max(line["together"] for line in kept(tmp_path)) > 1
        assert [pool["deaths"] for pool in pools(node) if pool["state"] == "ready"] == [2]
        [worker] = [worker for pool in pools(node) if pool["state"] == "ready" for worker in pool["workers"]]
        again = tmp_path / "again"
        receipt = post(node, [{"n": n, **({"do": "wait", "path": str(again)} if n == 35 else {})} for n in range(30, 60)])
        until(Path(f"{again}.begun").exists, 10.0, f"begun\n{node.log()}")
        psutil.Process(worker["pid"]).send_signal(signal.SIGKILL)
        again.touch()
        assert finished(node, receipt)["state"] == "done"
        assert numbers(tmp_path) == Counter(n for n in range(60) if n not in bad)


def test_nothing_is_left_when_the_supervisor_is_killed(node: Node, tmp_path: Path) -> None:
    go = tmp_path / "go"
    receipt = post(node, [{"n": n, **({"do": "wait", "path": str(go)} if n == 5 else {})} for n in range(40)])
    until(Path(f"{go}.begun").exists, 10.0, f"begun\n{node.log()}")
    gone = [psutil.Process(pid) for pid in workers(node)]
    node.kill()
    until(lambda: not any(runs(process) for process in gone) and not node.leftovers(), 10.0, "all processes gone")
    go.touch()
    node.start()
    node.wait_ready()
    assert finished(node, receipt)["state"] == "done"
    # at least once: what was published before the kill may be published again, and nothing else is
    assert set(numbers(tmp_path)) == set(range(40))
    assert node.stop() == 0
    # a helper of multiprocessing ends a moment after the supervisor
    until(lambda: not node.leftovers(), 10.0, "no process left")


@pytest.mark.parametrize("pool", [{"processes": 1}, None])
def test_what_components_started_ends_with_a_killed_supervisor(tmp_path: Path, pool: dict[str, Any] | None) -> None:
    """In a pool worker, and in an instance. A process that has left the group runs on, and keeps no memory of the node."""
    with node_in(tmp_path, pool) as node:
        path = tmp_path / "tools"
        post(node, [{"n": 1, "do": "tools", "then": "hang", "path": str(path)}])
        until(path.exists, 20.0, f"begun\n{node.log()}")
        tool, apart = (psutil.Process(int(pid)) for pid in path.read_text().split())
        try:
            node.kill()
            until(lambda: not runs(tool) and {*node.leftovers()} <= {apart}, 10.0, f"all have ended: {node.describe_leftovers()}")
            assert not [link for fd in Path(f"/proc/{apart.pid}/fd").iterdir() if "memfd" in (link := str(fd.readlink()))]
            assert "memfd" not in Path(f"/proc/{apart.pid}/maps").read_text()
        finally:
            for process in (tool, apart):
                with suppress(psutil.NoSuchProcess):
                    process.kill()


def test_a_pool_that_cannot_be_set_up_changes_nothing(node: Node, tmp_path: Path) -> None:
    before = workers(node)
    answer = put(node, graph(tmp_path, mark="bad"))
    problem = json.loads(answer.data)
    assert (answer.status, problem["code"]) == (409, "graph.setup_failed"), problem
    assert "RuntimeError: cannot be set up like this" in problem["detail"]
    assert "work" in json.dumps(problem)
    assert finished(node, post(node, [{"n": 1}]))["state"] == "done"
    assert [pool["workers"] for pool in pools(node) if pool["state"] == "ready"]
    until(lambda: workers(node) == before, 10.0, "only the former ones are there")
