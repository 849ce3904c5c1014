"""The supervisor as a process: start, signals, graphs that cannot be set up."""

import json
import shutil
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import urllib3

from tests.runtime.supervisor.nodes import Start, Until, address, deployed, posted, status_of


def test_it_starts_stops_and_leaves_nothing(start_node: Start, tmp_path: Path, a_graph: Any, wait_until: Until) -> None:
    deployed(tmp_path, a_graph)
    node = start_node()
    url = node.ready()
    found = node.call("status")
    assert found["state"] == "ready"
    assert [i["state"] for i in found["instances"]] == ["ready", "ready"]
    assert [(g["name"], g["version"], g["state"]) for g in found["graphs"]] == [("g", 1, "live")]
    assert found["default"] == "g"
    wait_until(lambda: status_of(url) == 200)
    assert node.stop() == 0
    node.assert_no_orphans()
    assert not Path(node.socket).parent.exists()
    with socket.create_server(address(url)):
        pass
    assert node.events[-1]["event"] == "stopped"


def test_a_graph_file_is_deployed_only_when_its_content_changed(start_node: Start, tmp_path: Path, a_graph: Any) -> None:
    deployed(tmp_path, a_graph)
    for _ in range(2):
        node = start_node()
        node.ready()
        assert node.call("graphs.get", name="g")["version"] == 1
        assert node.stop(signal.SIGINT) == 0
    deployed(tmp_path, a_graph, file="x")
    node = start_node()
    node.ready()
    assert node.call("graphs.get", name="g")["version"] == 2
    node.call("graphs.put", name="g", obj=a_graph(file="y"))
    assert node.stop() == 0
    node = start_node()
    node.ready()
    assert node.call("graphs.get", name="g")["graph"]["nodes"]["odd"]["params"] == {"file": "y"}


def test_a_second_server_on_the_data_directory_is_refused(start_node: Start, tmp_path: Path) -> None:
    first = start_node()
    first.ready()
    second = start_node()
    assert second.wait() == 1
    assert "another server" in second.events[-1]["event"]
    assert first.call("status")["state"] == "ready"


def test_an_idle_node_with_the_demo_graph_is_small(start_node: Start, tmp_path: Path) -> None:
    (tmp_path / "graphs").mkdir()
    shutil.copy(Path(__file__).parents[3] / "graphs" / "search.json", tmp_path / "graphs")
    node = start_node()
    node.ready()
    processes = [psutil.Process(node.process.pid), *node.children()]
    sizes = {process.pid: process.memory_info().rss >> 20 for process in processes}
    assert sum(sizes.values()) <= 250, sizes


def test_hup_takes_up_graphs_and_settings_or_nothing(start_node: Start, tmp_path: Path, a_graph: Any, wait_until: Until) -> None:
    deployed(tmp_path, a_graph)
    (tmp_path / "pypes.ini").write_text("[server]\nhosts = a.example\n")
    node = start_node()
    node.ready()
    workers = node.worker_pids()
    (tmp_path / "pypes.ini").write_text("[server]\nhosts = a.example\nworkerz = 1\n")
    node.process.send_signal(signal.SIGHUP)
    assert "did you mean workers" in node.event("reload failed, everything stays as it was")["reason"]

    deployed(tmp_path, a_graph, file="x")
    (tmp_path / "pypes.ini").write_text("[server]\nhosts = a.example\n")
    node.process.send_signal(signal.SIGHUP)
    node.event("reloaded")
    assert node.call("graphs.get", name="g")["version"] == 2
    assert node.worker_pids() == workers

    (tmp_path / "pypes.ini").write_text("[server]\nhosts = b.example\n")
    node.process.send_signal(signal.SIGHUP)
    node.event("reloaded", 2)
    wait_until(lambda: node.worker_pids() - workers, "workers with the new settings")


def test_hup_with_a_graph_that_cannot_be_set_up_keeps_the_old(start_node: Start, tmp_path: Path, a_graph: Any) -> None:
    deployed(tmp_path, a_graph)
    node = start_node()
    node.ready()
    deployed(tmp_path, a_graph, do="raise", file="unicorns")
    node.process.send_signal(signal.SIGHUP)
    assert "unicorns" in node.event("graph file not deployed")["reason"]
    node.event("reloaded")
    assert node.call("graphs.get", name="g")["version"] == 1
    assert node.call("graphs.get", name="g")["state"] == "live"


def test_a_graph_of_a_fleet_waits_for_one(start_node: Start, tmp_path: Path, a_graph: Any) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "pypes.ini").write_text("[server]\nfleet = shared\n")
    (tmp_path / "graphs").mkdir()
    (tmp_path / "graphs" / "g.json").write_text(json.dumps({**a_graph(), "firing": "fleet"}))
    node = start_node()
    node.ready()
    assert node.call("graphs.get", name="g")["graph"]["firing"] == "fleet"
    (tmp_path / "pypes.ini").unlink()
    node.process.send_signal(signal.SIGHUP)
    assert "in no fleet" in node.event("reload failed, everything stays as it was")["reason"]
    assert node.call("graphs.get", name="g")["state"] == "live"
    assert node.stop() == 0

    node = start_node()
    assert "in no fleet" in node.event("not ready")["failed"]["g"]
    found = node.call("graphs.get", name="g")
    assert found["state"] == "failed"
    assert "in no fleet" in found["error"]
    (tmp_path / "pypes.ini").write_text("[server]\nfleet = shared\n")
    node.process.send_signal(signal.SIGHUP)
    node.event("reloaded")
    assert node.call("graphs.get", name="g")["state"] == "live"
    node.ready()


def test_usr2_rolls_the_workers_without_refusing_anybody(start_node: Start, tmp_path: Path, a_graph: Any) -> None:
    deployed(tmp_path, a_graph)
    node = start_node("--workers", "2")
    url = node.ready()
    node.event("worker ready", 2)
    before = node.worker_pids()
    node.process.send_signal(signal.SIGUSR2)
    while not any(e["event"] == "worker rolled" for e in node.events[-5:]):
        assert status_of(url) in (200, 503)
    node.event("worker rolled", 2)
    after = node.worker_pids()
    assert len(after) == 2
    assert not after & before


def test_a_graph_that_cannot_be_set_up_at_start_is_tried_again(
    start_node: Start, tmp_path: Path, a_graph: Any, wait_until: Until
) -> None:
    flag = tmp_path / "flag"
    flag.touch()
    deployed(tmp_path, a_graph, do="raise-if-missing", file=str(flag))
    node = start_node()
    node.ready()
    node.call("graphs.put", name="other", obj=a_graph("other"))
    assert node.stop() == 0
    flag.unlink()
    node = start_node("--default", "g")
    told = node.event("not ready")
    assert "it is missing" in told["failed"]["g"]
    shown = node.call("graphs.get", name="g")
    assert shown["state"] == "failed"
    assert "'odd'" in shown["error"]
    assert "it is missing" in shown["error"]
    assert [(g["name"], g.get("error")) for g in node.listed("graphs")] == [("g", shown["error"]), ("other", None)]
    assert node.call("graphs.get", name="other")["state"] == "live"
    # nobody should send documents that only wait; those that come all the same are kept, and the receipt says why they wait
    answer = urllib3.request("GET", f"{told['url']}/readyz", retries=False)
    assert (answer.status, answer.json()) == (503, {"status": "failed", "degraded": told["failed"]})
    receipt = f"{told['url']}/receipts/{posted(told['url'])}"
    found = urllib3.request("GET", receipt, retries=False).json()
    assert (found["state"], found["started"], "it is missing" in found["reason"]) == ("queued", None, True)
    (listed,) = urllib3.request("GET", f"{told['url']}/receipts?state=queued", retries=False).json()["receipts"]
    assert listed == found
    flag.touch()
    wait_until(lambda: node.call("graphs.get", name="g")["state"] == "live", "another attempt")
    assert len(node.instances()) == 4  # those of the other graph stay
    assert node.ready()
    done = urllib3.request("GET", f"{receipt}?wait=10", retries=False).json()
    assert (done["state"], "reason" in done) == ("done", False)
    assert urllib3.request("GET", f"{told['url']}/readyz", retries=False).json() == {"status": "ready"}


def test_a_new_graph_file_that_cannot_be_set_up_at_the_first_start_waits(start_node: Start, tmp_path: Path, a_graph: Any) -> None:
    """There is no earlier version: the node would call itself ready, and refuse documents or run them through another graph."""
    flag = tmp_path / "flag"
    deployed(tmp_path, a_graph)
    made = {**a_graph("late", do="raise-if-missing", file=str(flag)), "routes": ["late"]}
    (tmp_path / "graphs" / "late.json").write_text(json.dumps(made))
    node = start_node("--default", "g")
    event = node.event("ready")
    assert (event["graphs"], list(event["failed"])) == (["g"], ["late"])
    url = event["url"]
    assert urllib3.request("GET", f"{url}/readyz", retries=False).json()["degraded"] == event["failed"]
    answer = urllib3.request("POST", f"{url}/docs/late", json={"a": 1}, retries=False)
    receipt = f"{url}/receipts/{answer.json()['receipt']}"
    found = urllib3.request("GET", receipt, retries=False).json()
    assert (found["graph"], found["state"]) == ("late", "queued")
    flag.touch()
    node.event("graph set up")
    done = urllib3.request("GET", f"{receipt}?wait=10", retries=False).json()
    assert (done["graph"], done["state"], done["version"]) == ("late", "done", 1)


MINE = "from pypes import Transformer\nclass Mine(Transformer):\n    def process(self, packet):\n        return packet\n"


def test_a_graph_whose_component_is_gone_keeps_no_other_from_running(
    start_node: Start, tmp_path: Path, a_graph: Any, wait_until: Until
) -> None:
    """It is named as degraded, others are deployed meanwhile, and it comes back as soon as the file does."""
    file = tmp_path / "mine.py"
    file.write_text(MINE)
    mine = a_graph("mine")
    mine["nodes"]["odd"] = {"component": "Mine"}
    deployed(tmp_path, a_graph)
    (tmp_path / "graphs" / "mine.json").write_text(json.dumps({**mine, "routes": ["mine"]}))
    node = start_node("--load", "mine.py", "--default", "g")
    node.ready()
    assert node.stop() == 0
    file.unlink()
    node = start_node("--load", "mine.py", "--default", "g")
    event = node.event("ready")
    assert event["graphs"] == ["g"]
    assert "not installed any more" in event["failed"]["mine"]
    url = event["url"]
    answer = urllib3.request("GET", f"{url}/readyz", retries=False)
    assert (answer.status, answer.json()) == (200, {"status": "ready", "degraded": event["failed"]})
    deployed(tmp_path, a_graph, file="x")
    wait_until(lambda: node.call("graphs.get", name="g")["version"] == 2, "a graph file is deployed")
    node.process.send_signal(signal.SIGHUP)
    node.event("reloaded")
    node.call("graphs.put", name="g", obj=a_graph(file="y"))
    assert node.call("graphs.get", name="mine")["state"] == "failed"
    file.write_text(MINE)
    node.event("graph set up")
    wait_until(lambda: urllib3.request("GET", f"{url}/readyz", retries=False).json() == {"status": "ready"}, "not degraded")


def test_a_load_file_takes_the_place_of_what_is_installed(start_node: Start, tmp_path: Path, a_graph: Any) -> None:
    (tmp_path / "null.py").write_text(
        "from pypes import Publisher\nclass Null(Publisher):\n    def process(self, packet):\n        open('mine', 'w').close()\n"
    )
    graph = a_graph()
    graph["nodes"]["out"] = {"component": "Null"}
    (tmp_path / "graphs").mkdir()
    (tmp_path / "graphs" / "g.json").write_text(json.dumps(graph))
    node = start_node("--load", "null.py")
    url = node.ready()
    assert node.call("components.get", name="Null")["distribution"] == "null.py"
    done = urllib3.request("GET", f"{url}/receipts/{posted(url)}?wait=10", retries=False).json()
    assert done["published"] == 1
    assert (tmp_path / "mine").exists()
    node.call("components.rescan")
    told = [event for event in node.events if event["event"] == "a load file replaces an installed component"]
    assert len(told) == 1
    assert "'Null' is that of null.py, not that of pypes-basic" in told[0]["reason"]


def test_a_second_signal_does_not_wait(start_node: Start, tmp_path: Path, a_graph: Any) -> None:
    deployed(tmp_path, a_graph)
    node = start_node()
    node.ready()
    node.children()
    node.process.send_signal(signal.SIGINT)
    node.event("stopping")
    node.process.send_signal(signal.SIGINT)
    assert node.wait() == 0
    node.assert_no_orphans()


def test_it_can_be_stopped_while_it_starts(start_node: Start, tmp_path: Path, a_graph: Any) -> None:
    deployed(tmp_path, a_graph, do="hang")
    node = start_node()
    node.event("starting")
    assert node.stop() == 0
    node.assert_no_orphans()


def test_a_deployment_is_given_up_when_it_stops(start_node: Start, tmp_path: Path, a_graph: Any, wait_until: Until) -> None:
    """Whoever waits for it is told: it may take longer than what is left."""
    deployed(tmp_path, a_graph)
    node = start_node("--graphs", str(tmp_path / "graphs"), "--grace", "60")
    url = node.ready()
    body = json.dumps(a_graph("h", do="hang")).encode()
    with ThreadPoolExecutor(1) as threads:
        headers = {"Content-Type": "application/json"}
        put = threads.submit(urllib3.request, "PUT", f"{url}/graphs/h", body=body, headers=headers, retries=False)
        wait_until(lambda: any(i["state"] == "starting" for i in node.call("status")["instances"]), "a new instance")
        assert node.stop() == 0
        answer = put.result()
    assert (answer.status, answer.json()["code"]) == (503, "node.draining")
    assert not [event for event in node.events if event["event"] == "gunicorn killed"]
    node.assert_no_orphans()
