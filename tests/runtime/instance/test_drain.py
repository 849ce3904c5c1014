"""Nothing that was answered is lost or done twice when a node stops, changes its graphs, or rolls its workers."""

import json
import signal
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import urllib3

Start = Callable[..., Any]
Until = Callable[..., Any]


def post(http: urllib3.PoolManager, url: str, n: int) -> int:
    return http.request("POST", f"{url}/docs", json={"n": n}).status


def published(path: Path) -> Counter[int]:
    return Counter(map(int, path.read_text().split())) if path.exists() else Counter()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_was_accepted_is_finished_before_the_end(
    start_node: Start, tmp_path: Path, a_graph: Any, number: signal.Signals
) -> None:
    node = start_node()
    url = node.ready()
    out = tmp_path / "out"
    node.call("graphs.put", name="g", obj=a_graph(out=str(out), do="dawdle", file="0.02"))
    with urllib3.PoolManager(retries=False) as http:
        assert [post(http, url, n) for n in range(40)] == [202] * 40
    assert node.stop(number) == 0
    assert published(out) == Counter(range(40))
    node.assert_no_orphans()


def test_what_does_not_finish_within_the_grace_is_done_after_the_next_start(
    start_node: Start, tmp_path: Path, a_graph: Any, wait_until: Until
) -> None:
    out = tmp_path / "out"
    node = start_node("--grace", "0.3")
    url = node.ready()
    node.call("graphs.put", name="g", obj=a_graph(out=str(out), do="dawdle", file="30"))
    with urllib3.PoolManager(retries=False) as http:
        assert [post(http, url, n) for n in range(3)] == [202] * 3
    started = time.monotonic()
    assert node.stop() == 0
    assert time.monotonic() - started < 10
    assert node.event_seen("deliveries stay queued until the next start")["queued"] == 3
    node.assert_no_orphans()
    (tmp_path / "graphs" / "g.json").write_text(json.dumps(a_graph(out=str(out))))
    node = start_node()
    node.ready()
    wait_until(lambda: set(published(out)) == {0, 1, 2}, "the queued deliveries")


def test_while_it_drains_it_refuses_documents(start_node: Start, tmp_path: Path, a_graph: Any, wait_until: Until) -> None:
    node = start_node()
    url = node.ready()
    node.call("graphs.put", name="g", obj=a_graph(do="dawdle", file="1.5"))
    with urllib3.PoolManager(retries=False) as http:
        assert post(http, url, 1) == 202
        node.process.send_signal(signal.SIGTERM)

        def refusal() -> Any:
            answer = http.request("POST", f"{url}/docs", json={"n": 2})
            return answer if answer.status != 202 else None

        answer = wait_until(refusal, "a refusal")
        assert answer.status == 503
        assert answer.headers["Connection"].lower() == "close"
        assert answer.json()["code"] == "node.draining"
    assert node.wait() == 0


def test_graphs_change_and_workers_roll_under_load_without_loss(
    start_node: Start, tmp_path: Path, a_graph: Any, wait_until: Until
) -> None:
    out = tmp_path / "out"
    node = start_node("--workers", "2")
    url = node.ready()
    node.call("graphs.put", name="g", obj=a_graph(out=str(out)))
    done = Event()

    def load(first: int) -> list[int]:
        accepted: list[int] = []
        with urllib3.PoolManager(retries=False) as http:
            n = first
            while not done.is_set():
                # a connection that was open when its worker went may be cut: that is no answer, and not counted
                try:
                    status = post(http, url, n)
                except urllib3.exceptions.HTTPError:
                    status = 0
                assert status in (0, 202, 503)
                if status == 202:
                    accepted.append(n)
                n += 2
        return accepted

    with ThreadPoolExecutor(2) as threads:
        loads = [threads.submit(load, first) for first in (0, 1)]
        try:
            for version in range(2, 5):
                assert node.call("graphs.put", name="g", obj=a_graph(out=str(out), file=str(version)))["version"] == version
            node.process.send_signal(signal.SIGUSR2)
            node.event("worker rolled", 2)
        finally:
            done.set()
        accepted = [n for load_ in loads for n in load_.result()]
    assert accepted
    assert node.stop() == 0
    found = published(out)
    assert set(accepted) - set(found) == set()
    twice = {n for n, count in found.items() if count > 1}
    assert twice == set()
