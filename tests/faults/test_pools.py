"""Pools of a real node: whatever becomes of their processes, no document is lost, doubled or mixed up, and nothing is left."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from pypes.testing.node import Node, running, runs, until
from tests.faults import pool_parts

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="files in memory, limits and signals as Linux has them"
)

#: The pool of most tests.
POOL = {"processes": 2, "stride": 4}


def graph(folder: Path, pool: Any = POOL, name: str = "g", **params: Any) -> dict[str, Any]:
    return {
        "pypes": 1,
        "name": name,
        "nodes": {
            "in": {"component": "In"},
            "work": {"component": "Work", "pool": pool, "params": params},
            "keep": {"component": "File", "params": {"file": str(folder / "kept")}},
            "extra": {"component": "File", "params": {"file": str(folder / "extra")}},
        },
        "wires": [["in.out", "work.in"], ["work.out", "keep.in"], ["work.more", "extra.in"]],
    }


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with node_in(tmp_path) as found:
        yield found


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


def test_new_parameters_are_a_new_generation_of_the_pool(node: Node, tmp_path: Path) -> None:
    before = workers(node)
    assert put(node, graph(tmp_path, mark="new")).status == 200
    assert finished(node, post(node, [{"n": n} for n in range(10)]))["state"] == "done"
    assert {line["mark"] for line in kept(tmp_path)} == {"new"}
    until(lambda: len(workers(node)) == 2 and not {*before} & {*workers(node)}, 20.0, f"the former ones are gone\n{node.log()}")
    # nothing of the pool has changed: it stays
    after = workers(node)
    changed = graph(tmp_path, mark="new")
    changed["nodes"]["keep"]["params"]["file"] = str(tmp_path / "elsewhere")
    assert put(node, changed).status == 200
    assert finished(node, post(node, [{"n": 11}]))["state"] == "done"
    assert workers(node) == after


def test_what_cannot_run_in_a_pool_is_refused(node: Node, tmp_path: Path) -> None:
    wrong = graph(tmp_path)
    wrong["nodes"]["keep"]["pool"] = {"processes": 1}
    wrong["nodes"]["work"]["pool"] = "nowhere"
    answer = put(node, wrong)
    assert answer.status == 422
    errors = {error["path"]: error["code"] for error in json.loads(answer.data)["errors"]}
    assert errors == {"nodes.keep.pool": "graph.no_pool", "nodes.work.pool": "graph.unknown_pool"}


def test_a_pool_that_is_paused_is_not_to_blame(tmp_path: Path) -> None:
    with node_in(tmp_path, {**POOL, "timeout_s": 2}) as node:
        stopped = [psutil.Process(pid) for pid in workers(node)]
        for process in stopped:
            process.suspend()
        receipt = post(node, [{"n": n} for n in range(20)])
        # the server waits with its answer for longer than a packet may take
        state = json.loads(node.get(f"/receipts/{receipt}?wait=3").data)["state"]
        assert state == "processing"
        for process in stopped:
            process.resume()
        assert finished(node, receipt)["state"] == "done"
        assert numbers(tmp_path) == Counter(range(20))
        assert [pool["deaths"] for pool in pools(node)] == [0]


def test_deployments_under_load_lose_and_double_nothing(node: Node, tmp_path: Path) -> None:
    receipts: list[str] = []
    stop = threading.Event()

    def feed() -> None:
        n = 0
        while not stop.is_set():
            receipts.append(post(node, [{"n": n + k} for k in range(7)]))
            n += 7

    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        for mark in ("a", "b", "c"):
            assert put(node, graph(tmp_path, mark=mark)).status == 200
            # of any generation that is there just then
            with suppress(psutil.NoSuchProcess):
                psutil.Process(workers(node)[0]).send_signal(signal.SIGKILL)
    finally:
        stop.set()
        feeder.join()
    assert [finished(node, receipt)["state"] for receipt in receipts] == ["done"] * len(receipts)
    assert numbers(tmp_path) == Counter(range(7 * len(receipts)))
    assert letters(node) == []
    until(lambda: [pool["state"] for pool in pools(node)] == ["ready"], 20.0, f"one pool is left\n{node.log()}")


def test_trials_have_processes_of_their_own(node: Node, tmp_path: Path) -> None:
    before = workers(node)
    body = json.dumps({"content_type": "application/json", "body": json.dumps({"n": 1, "do": "exit"})}).encode()
    answer = node.post(body, "/graphs/g/dryrun")
    assert answer.status == 200, answer.data
    [failure] = json.loads(answer.data)["failures"]
    assert (failure["filter"], failure["code"], failure["error"]) == ("work", "pool.killed", "exited with status 3")
    assert workers(node) == before
    assert [pool["deaths"] for pool in pools(node)] == [0]


def test_shadows_have_processes_of_their_own(node: Node, tmp_path: Path) -> None:
    before = workers(node)
    body = json.dumps({"graph": graph(tmp_path, mark="other"), "documents": 100_000}).encode()
    answer = node.post(body, "/graphs/g/shadow")
    assert answer.status == 202, answer.data
    path = f"/graphs/g/shadow/{json.loads(answer.data)['shadow']}"

    def report() -> dict[str, Any]:
        found: dict[str, Any] = json.loads(node.get(path).data)
        return found

    until(lambda: report()["state"] == "running", 20.0, f"running\n{node.log()}")
    posted = 0

    def is_seen() -> bool:
        nonlocal posted
        assert finished(node, post(node, [{"n": posted}]))["state"] == "done"
        posted += 1
        return bool(report()["documents"])

    until(is_seen, 20.0, f"a document was seen\n{node.log()}")
    shadow = {process.pid for process in pool_workers(node)} - {*before}
    assert shadow
    seen = report()["documents"]
    assert finished(node, post(node, [{"n": n} for n in range(posted, posted + 20)]))["state"] == "done"
    until(lambda: report()["documents"] >= seen + 20, 20.0, f"all were seen\n{node.log()}")
    assert node.http.request("DELETE", f"{node.url}{path}").status == 204
    found = report()
    assert found["publishers"]["keep"]["fields"]["mark"] == found["documents"]
    assert not found["fates"]
    # the node's own have noticed nothing, and nothing of the shadow was published or is left
    assert [(pool["deaths"], [worker["pid"] for worker in pool["workers"]]) for pool in pools(node)] == [(0, before)]
    until(lambda: {process.pid for process in pool_workers(node)} == {*before}, 10.0, "the processes of the shadow are gone")
    assert numbers(tmp_path) == Counter(range(posted + 20))
    assert {line["mark"] for line in kept(tmp_path)} == {""}


def test_a_graph_with_pools_pauses_and_dead_letters_run_again(node: Node, tmp_path: Path) -> None:
    there = tmp_path / "there"
    assert node.post(b"", "/graphs/g/pause").status < 300
    receipt = post(node, [{"n": n, **({"do": "must_have", "path": str(there)} if n % 4 == 1 else {})} for n in range(20)])
    assert json.loads(node.get(f"/receipts/{receipt}?wait=0.3").data)["state"] == "queued"
    assert kept(tmp_path) == []
    assert node.post(b"", "/graphs/g/resume").status < 300
    assert finished(node, receipt)["failed"] == 5
    assert {letter["code"] for letter in letters(node)} == {"my.code"}
    there.touch()
    answer = node.post(b"{}", "/deadletters/replay")
    assert answer.status == 202, answer.data
    until(lambda: numbers(tmp_path) == Counter(range(20)), 20.0, f"all are published\n{node.log()}")
    assert letters(node) == []


def test_graphs_share_a_pool_of_the_node(tmp_path: Path) -> None:
    (tmp_path / "pypes.ini").write_text("[pool:shared]\nprocesses = 1\n")
    (tmp_path / "graphs").mkdir()
    other = graph(tmp_path, "shared", name="h")
    other["routes"] = ["h"]
    (tmp_path / "graphs" / "h.json").write_text(json.dumps(other))
    with node_in(tmp_path, "shared") as node:
        [pool] = pools(node)
        assert (pool["name"], pool["filters"], len(pool["workers"])) == ("shared", ["g.work", "h.work"], 1)
        first, second = post(node, [{"n": 1}]), json.loads(node.post(b'{"n": 2}', "/docs/h").data)["receipt"]
        assert [finished(node, receipt)["state"] for receipt in (first, second)] == ["done", "done"]
        assert {line["pid"] for line in kept(tmp_path)} == {pool["workers"][0]["pid"]}


def test_threads_of_an_instance(tmp_path: Path) -> None:
    with node_in(tmp_path, {"threads": 8}) as node:
        instances = {process.pid for process in node.roles()["instance"]}
        go = tmp_path / "go"
        receipt = post(node, [{"n": n, **({"do": "wait", "path": str(go)} if n == 3 else {})} for n in range(40)])
        until(Path(f"{go}.begun").exists, 10.0, f"begun\n{node.log()}")
        go.touch()
        assert finished(node, receipt)["state"] == "done"
        assert numbers(tmp_path) == Counter(range(40))
        assert {line["pid"] for line in kept(tmp_path)} <= instances
        assert pools(node) == []


def test_another_interpreter(tmp_path: Path) -> None:
    python = tmp_path / "python"
    paths = os.pathsep.join([*sys.path, str(Path(__file__).parents[2])])
    python.write_text(f'#!/bin/sh\nPYTHONPATH={paths} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    pool = {"processes": 1, "python": str(python)}
    with node_in(tmp_path) as node:
        assert "pythons in [components]" in put(node, graph(tmp_path, pool)).data.decode()
    with node_in(tmp_path, pool, environ={"PYPES_COMPONENTS_PYTHONS": str(python)}) as node:
        assert finished(node, post(node, [{"n": 1}]))["state"] == "done"
        [pid] = workers(node)
        assert kept(tmp_path)[-1]["pid"] == pid
