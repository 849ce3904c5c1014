"""Graphs with pools on a real node: deployed, paused, tried and shadowed, and sharing pools."""

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

from pypes.testing.node import Node, running, until
from tests.faults import pool_parts
from tests.faults.pooled import POOL, finished, graph, kept, letters, node_in, numbers, pool_workers, pools, post, put, workers

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="files in memory, limits and signals as Linux has them"
)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with node_in(tmp_path) as found:
        yield found


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


def test_pool_workers_that_stay_stopped_are_replaced(tmp_path: Path) -> None:
    """Nobody is to blame for a pause: the packets run again, also where all pool workers are stopped."""
    with node_in(tmp_path, {**POOL, "timeout_s": 2}) as node:
        stopped = workers(node)
        for pid in stopped:
            psutil.Process(pid).suspend()
        receipt = post(node, [{"n": n} for n in range(20)])
        assert finished(node, receipt)["state"] == "done"
        assert numbers(tmp_path) == Counter(range(20))
        assert not {*workers(node)} & {*stopped}
        assert [pool["deaths"] for pool in pools(node)] == [2]
        assert "stopped from outside for 2 s" in node.log()
        assert letters(node) == []


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


def test_a_graph_whose_pool_has_lost_all_processes_is_not_live(tmp_path: Path) -> None:
    """Its documents wait, the graph says why, and the node takes those of other graphs."""
    (tmp_path / "graphs").mkdir()
    pooled = {**graph(tmp_path, {"processes": 1}), "routes": ["g"]}
    pooled["nodes"]["work"]["params"] = {"folder": str(tmp_path)}
    (tmp_path / "graphs" / "g.json").write_text(json.dumps(pooled))
    with running(tmp_path, graph(tmp_path, None, name="other"), "--load", pool_parts.__file__, workers=1, instances=1) as node:

        def seen() -> tuple[Any, ...]:
            readiness, (pool,) = node.get("/readyz"), pools(node)
            shown = json.loads(node.get("/graphs/g").data)
            return readiness.status, readiness.json().get("degraded", {}), pool["state"], shown["state"], shown.get("error", "")

        assert seen() == (200, {}, "ready", "live", "")
        (tmp_path / "away").touch()
        psutil.Process(workers(node)[0]).kill()
        failure = "ComponentError: g.work: set-up failed: RuntimeError: the model is away"
        reason = f"no process of pool g.work can be set up again: {failure}"
        until(lambda: node.get("/readyz").json().get("degraded"), 20.0, f"it is told\n{node.log()}")
        assert seen() == (200, {"g": reason}, "stalled", "stalled", reason)
        assert node.get("/graphs/g").json()["error_filter"] == "work"
        answer = node.post(b'{"n": 1}', "/docs/g")
        assert answer.status == 202
        receipt = answer.json()["receipt"]
        assert node.get(f"/receipts/{receipt}").json()["reason"] == f"the graph cannot run: {reason}"
        assert finished(node, post(node, [{"n": 2}]))["state"] == "done"
        (tmp_path / "away").unlink()
        until(lambda: seen() == (200, {}, "ready", "live", ""), 40.0, f"it is set up again\n{node.log()}")
        assert finished(node, receipt, 60.0)["state"] == "done"
