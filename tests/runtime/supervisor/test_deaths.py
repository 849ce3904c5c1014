"""Any process of a node may die at any time."""

import os
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.runtime.supervisor.nodes import Start, Until, address, deployed, status_of


def test_when_the_supervisor_is_killed_all_go_and_a_successor_gets_the_port(
    start_node: Start, tmp_path: Path, a_graph: Any
) -> None:
    deployed(tmp_path, a_graph)
    node = start_node()
    url = node.ready()
    assert len(node.children()) >= 5  # gunicorn, a worker, two instances, multiprocessing's tracker
    node.process.kill()
    successor = start_node("--bind", f"127.0.0.1:{address(url)[1]}")
    assert successor.ready() == url
    node.assert_no_orphans()


def test_when_gunicorn_is_killed_its_workers_go_and_it_comes_back(
    start_node: Start, tmp_path: Path, a_graph: Any, wait_until: Until
) -> None:
    deployed(tmp_path, a_graph)
    node = start_node()
    url = node.ready()
    for _ in range(2):
        arbiter, workers, instances = node.call("status")["arbiter"], node.worker_pids(), node.instances()
        node.children()
        os.kill(arbiter, signal.SIGKILL)
        wait_until(lambda known=workers: node.worker_pids() - known, "a new worker")
        assert not {process.pid for process in node.children()} & ({arbiter} | workers)
        assert node.instances() == instances
        wait_until(lambda: status_of(url) == 200)


def test_an_ingest_worker_that_is_killed_is_replaced(start_node: Start, tmp_path: Path, a_graph: Any, wait_until: Until) -> None:
    deployed(tmp_path, a_graph)
    node = start_node()
    node.ready()
    workers = node.worker_pids()
    os.kill(next(iter(workers)), signal.SIGKILL)
    wait_until(lambda: node.worker_pids() - workers, "a new worker")


def test_an_instance_that_is_killed_is_replaced_at_once_and_what_it_started_goes(
    start_node: Start, tmp_path: Path, a_graph: Any, wait_until: Until
) -> None:
    deployed(tmp_path, a_graph, do="child", file=str(tmp_path / "pids"))
    node = start_node()
    node.ready()
    instances = node.instances()
    victim = min(instances)
    os.kill(instances[victim], signal.SIGKILL)
    assert node.event("instance died", instance=victim)["restart_s"] == 0
    found = wait_until(lambda: len(node.instances()) == 2 and node.instances(), "two instances")
    assert victim not in found
    [ending] = node.call("status")["endings"]
    assert (ending["instance"], ending["graphs"], ending["cause"]) == (victim, ["g"], "SIGKILL")
    assert (ending["reason"], ending["filter"]) == ("killed by SIGKILL", "")
    node.children()
    supervisor = psutil.Process(node.process.pid)
    wait_until(lambda: all(child.status() != psutil.STATUS_ZOMBIE for child in supervisor.children()), "no zombies")
    assert node.stop() == 0
    for pid in (tmp_path / "pids").read_text().split():
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)
    node.assert_no_orphans()


def test_any_other_process_may_die_too(start_node: Start, tmp_path: Path, a_graph: Any, wait_until: Until) -> None:
    deployed(tmp_path, a_graph)
    node = start_node()
    node.ready()
    found = node.call("status")
    known = {found["arbiter"], *(w["pid"] for w in found["workers"]), *(i["pid"] for i in found["instances"])}
    others = {child.pid for child in node.children()} - known
    assert others  # the resource tracker of multiprocessing
    for pid in others:
        os.kill(pid, signal.SIGKILL)
    victim = min(instances := node.instances())
    os.kill(instances[victim], signal.SIGKILL)
    wait_until(lambda: len(left := node.instances()) == 2 and victim not in left, "a replacement")
    assert node.stop() == 0
    node.assert_no_orphans()


def test_an_instance_that_a_worker_lost_is_killed(start_node: Start, tmp_path: Path, a_graph: Any, wait_until: Until) -> None:
    deployed(tmp_path, a_graph)
    node = start_node()
    node.ready()
    victim = min(node.instances())
    assert node.call("lost", id=victim) is True
    wait_until(lambda: len(found := node.instances()) == 2 and victim not in found, "a replacement")
    assert node.call("lost", id=victim) is False
